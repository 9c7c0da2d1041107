"""Captions against a loop over Algorithm 2, on real clusters, and what may go wrong."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from sklearn_vlclust import ClusterCaptioner, OfflineEmbedder, Vocabulary
from sklearn_vlclust.data.rows import unit

DATA = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"))


class AnyWidthCaptioner(ClusterCaptioner):
    """Nouns with vectors as wide as X, whatever that is: the checks use many widths."""

    def _noun_vectors(self, vocabulary, n_features):
        vectors = np.random.RandomState(0).normal(size=(len(vocabulary), n_features))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)


CHECKED = AnyWidthCaptioner([f"noun {i}" for i in range(12)])


@parametrize_with_checks([CHECKED])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_more_checks(check):
    check("AnyWidthCaptioner", CHECKED)


def slow_votes(X, labels, nouns, top, logit_scale, centering):
    """Algorithm 2, a candidate at a time."""
    X = [x / np.linalg.norm(x) for x in X]
    clusters = sorted(set(labels[labels >= 0]))
    means = [
        np.mean([x for x, c in zip(X, labels) if c == k], axis=0) for k in clusters
    ]
    common, common_noun = np.mean(means, axis=0), np.mean(nouns, axis=0)
    votes = np.zeros((len(clusters), len(nouns)))
    for row, cluster in enumerate(clusters):
        members = [x for x, c in zip(X, labels) if c == cluster]
        for x in members:
            x = x - centering * common
            scores = []
            for noun in nouns:
                noun = noun - centering * common_noun
                scores.append(x @ noun / np.linalg.norm(x) / np.linalg.norm(noun))
            scores = np.array(scores)
            if logit_scale is not None:
                scores = np.exp(logit_scale * scores)
                scores /= scores.sum()
            for j in sorted(range(len(nouns)), key=lambda j: -scores[j])[:top]:
                votes[row, j] += scores[j] / len(members)
    return votes


@given(
    n=st.integers(3, 40),
    m=st.integers(1, 12),
    d=st.integers(3, 8),
    top=st.integers(1, 6),
    logit_scale=st.sampled_from([None, 5.0, 100.0]),
    centering=st.sampled_from([0.0, 0.4, 0.8]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_algorithm_2(n, m, d, top, logit_scale, centering, seed):
    rng = np.random.RandomState(seed)
    # Not too far from each other: all cosines are positive, as with CLIP.
    X, nouns = 1 + rng.uniform(size=(n, d)), 1 + rng.uniform(size=(m, d))
    labels = rng.randint(-1, 3, size=n)
    labels[:3] = 5, 2, -3
    vocabulary = Vocabulary([f"noun {i}" for i in range(m)], nouns)
    captioner = ClusterCaptioner(
        vocabulary,
        top,
        method="votes",
        n_candidates=m,
        logit_scale=logit_scale,
        centering=centering,
    ).fit(X, labels)
    votes = slow_votes(X, labels, vocabulary.embeddings, top, logit_scale, centering)
    assert captioner.clusters_.tolist() == sorted(set(labels[labels >= 0]))
    np.testing.assert_allclose(captioner.scores_, votes.max(axis=1), rtol=2e-3)
    for row, caption, names, scores in zip(
        votes, captioner.captions_, captioner.candidates_, captioner.candidate_scores_
    ):
        place = [int(name.split()[1]) for name in names]
        np.testing.assert_allclose(scores, row[place], rtol=2e-3, atol=1e-7)
        assert caption == names[0] and (np.diff(scores) <= 0).all()
        if logit_scale is None and centering == 0:
            assert sorted(place) == np.flatnonzero(row).tolist()


@pytest.fixture
def three_groups():
    nouns = np.eye(3, 8)
    X = np.repeat(nouns, 10, axis=0)
    X = X + 0.1 * np.random.RandomState(0).normal(size=X.shape)
    return X, np.repeat([0, 1, 2], 10), Vocabulary(["cat", "dog", "car"], nouns)


def test_labels_of_any_clusterer(three_groups):
    X, labels, vocabulary = three_groups
    captioner = ClusterCaptioner(vocabulary).fit(X, labels)
    assert captioner.captions_.tolist() == ["cat", "dog", "car"]
    by_name = ClusterCaptioner(vocabulary).fit(X, np.array(["b", "c", "a"])[labels])
    assert by_name.clusters_.tolist() == ["a", "b", "c"]
    assert by_name.captions_.tolist() == ["car", "cat", "dog"]
    # HDBSCAN's noise has no caption, and no vote.
    X = np.r_[X, 5 * np.eye(8)[3:6]]
    found = HDBSCAN(copy=True).fit_predict(X)
    assert set(found) == {-1, 0, 1, 2}
    captioner.fit(X, found)
    assert sorted(captioner.captions_) == ["car", "cat", "dog"]
    captions = captioner.caption(found)
    assert (captions[found < 0] == None).all()  # noqa: E711
    assert [len(set(captions[i : i + 10])) for i in (0, 10, 20)] == [1, 1, 1]
    kept = found >= 0
    alone = ClusterCaptioner(vocabulary).fit(X[kept], found[kept])
    np.testing.assert_allclose(alone.scores_, captioner.scores_)


def test_kinds_of_x(three_groups, tmp_path):
    X, labels, vocabulary = three_groups
    expected = ClusterCaptioner(vocabulary, centering=0.3).fit(X, labels)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    inputs = [
        100 * X,
        torch.from_numpy(X).half(),
        np.load(tmp_path / "X.npy", mmap_mode="r"),
    ]
    for other in inputs:
        captioner = ClusterCaptioner(vocabulary, centering=0.3).fit(other, labels)
        assert captioner.captions_.tolist() == expected.captions_.tolist()
        np.testing.assert_allclose(captioner.scores_, expected.scores_, rtol=0.02)
    copied = pickle.loads(pickle.dumps(captioner))
    assert copied.caption([1]).tolist() == ["dog"]


def test_images_are_compared_with_many_nouns_in_blocks():
    """A cluster of less than a block gets the same caption alone."""
    rng = np.random.default_rng(0)
    nouns = rng.normal(size=(60_000, 4)).astype(np.float32)  # a block is 559 images
    vocabulary = Vocabulary([str(i) for i in range(len(nouns))], nouns)
    labels = np.repeat(range(4), 300)
    X = nouns[rng.permutation(1200) % 40 + 40 * labels]
    captioner = ClusterCaptioner(vocabulary, top=2, method="votes", centering=0)
    whole = captioner.fit(X, labels)
    names, scores = whole.captions_.copy(), whole.scores_.copy()
    for cluster in range(4):
        alone = captioner.fit(X[labels == cluster], labels[labels == cluster])
        assert alone.captions_ == names[[cluster]]
        assert 40 * cluster <= int(names[cluster]) < 40 * (cluster + 1)
        np.testing.assert_allclose(alone.scores_, scores[cluster], rtol=1e-4)


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    top=st.integers(1, 8),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_nouns_with_one_vector_vote_like_any(sizes, top, seed):
    rng = np.random.RandomState(seed)
    places = rng.permutation(np.repeat(range(len(sizes)), sizes))
    nouns = rng.normal(size=(len(sizes), 5))[places]
    X, labels = rng.normal(size=(12, 5)), np.arange(12) % 3
    names = [f"noun {i}" for i in range(len(nouns))]
    captioner = ClusterCaptioner(
        Vocabulary(names, nouns),
        top,
        method="votes",
        n_candidates=99,
        centering=0,
        logit_scale=5,
    ).fit(X, labels)
    # Which of equal nouns are the last of the best is not said; their sum is.
    vectors = nouns / np.linalg.norm(nouns, axis=1, keepdims=True)
    votes = slow_votes(X, labels, vectors, top, 5, 0)
    for row, found, scores in zip(
        votes, captioner.candidates_, captioner.candidate_scores_
    ):
        own = np.bincount(places[[names.index(n) for n in found]], scores, len(sizes))
        expected = np.bincount(places, row, len(sizes))
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-7)


def test_a_share_of_what_is_common_is_taken_where_there_is_a_gap():
    rng = np.random.RandomState(0)
    images, nouns = np.eye(5, 16)[:, None], np.eye(5, 16)
    X = (images + 0.1 * rng.normal(size=(5, 20, 16))).reshape(100, 16)
    labels = np.repeat(range(5), 20)
    names = ["cat", "dog", "car", "bus", "cup"]
    plain = ClusterCaptioner(Vocabulary(names, nouns)).fit(X, labels)
    assert plain.centering_ == 0
    # All images move one way, all nouns another, and the cup lies near the images.
    X = X + 2 * np.eye(16)[15]
    nouns = nouns + 2 * np.eye(16)[14]
    nouns[4] += 0.6 * np.eye(16)[15]
    vocabulary = Vocabulary(names, nouns)
    centered = ClusterCaptioner(vocabulary).fit(X, labels)
    assert centered.centering_ == pytest.approx(0.7 * 5 / 8)
    assert centered.captions_.tolist() == names
    printed = ClusterCaptioner(vocabulary, method="votes", centering=0).fit(X, labels)
    assert printed.captions_.tolist() == ["cup"] * 5
    single = ClusterCaptioner(vocabulary).fit(X[:20], labels[:20])
    assert single.centering_ == 0


def test_breeds_of_pets(clip_data, lvis_imagenet):
    images = clip_data("images_oxford_pets.npz")
    X, y = images["emb_val"].astype(np.float32), images["label_val"]
    names = {
        "samoyed": "Samoyed, Samoyede",
        "siamese": "Siamese cat, Siamese",
        "great_pyrenees": "Great Pyrenees",
        "newfoundland": "Newfoundland, Newfoundland dog",
        "boxer": "boxer",
        "beagle": "beagle",
        "saint_bernard": "Saint Bernard, St Bernard",
        "leonberger": "Leonberg",
        "keeshond": "keeshond",
        "english_setter": "English setter",
    }
    classes = [list(images["classname"]).index(name) for name in names]

    def right(**params):
        captioner = ClusterCaptioner(lvis_imagenet, **params).fit(X, y)
        found = [name.partition(",")[0] for name in captioner.caption(classes)]
        return sum(a == b.partition(",")[0] for a, b in zip(found, names.values()))

    votes = right(method="votes")
    assert votes == 8  # boxer and newfoundland are taken for breeds like them
    assert right() >= votes >= right(method="votes", centering=0)


ZOO = {
    "poodle": "poodle.n.01",
    "beagle": "beagle.n.01",
    "dog": "dog.n.01",
    "carnivore": "carnivore.n.01",
    "airliner": "airliner.n.01",
    "airplane": "airplane.n.01",
    "plane": "airplane.n.01",
    "sky": None,
}


def captions_of(*mixtures, method="votes", **params):
    """Fit one image a cluster, which votes for nouns in the shares given."""
    logits = np.log([[shares.get(n, 1e-6) for n in ZOO] for shares in mixtures])
    # Unit rows whose softmax the shares are: noun vectors are axes.
    scale = np.linalg.norm(logits, axis=1).max()
    spare = np.sqrt((scale**2 - np.square(logits).sum(axis=1)).clip(0))
    X = np.c_[logits, np.diag(spare)]
    vocabulary = Vocabulary(list(ZOO), np.eye(8, X.shape[1]), list(ZOO.values()))
    return ClusterCaptioner(
        vocabulary, top=8, method=method, logit_scale=scale, centering=0, **params
    ).fit(X, np.arange(len(X)))


def test_a_more_general_noun_names_a_cluster_that_it_tells_from_others():
    poodles = {"poodle": 0.6, "dog": 0.2, "carnivore": 0.01, "airplane": 0.15}
    airliners = {"airliner": 0.75, "airplane": 0.08, "plane": 0.05, "sky": 0.12}
    alone = captions_of(poodles, airliners)
    assert alone.captions_.tolist() == ["dog", "airliner"]
    assert alone.candidates_[0][:2].tolist() == ["dog", "poodle"]
    np.testing.assert_allclose(alone.scores_, [0.8 / 0.96, 0.75], rtol=1e-3)
    printed = captions_of(poodles, airliners, generality=None)
    assert printed.captions_.tolist() == ["poodle", "airliner"]
    assert (np.diff(printed.candidate_scores_[0]) <= 0).all()
    lower = captions_of(poodles, airliners, generality=0.01)
    assert lower.captions_.tolist() == ["dog", "airplane"]
    # Beside beagles a poodle is no longer just a dog; beside other poodles it is.
    beagles = {"beagle": 0.6, "dog": 0.3}
    both = captions_of(poodles, beagles, airliners)
    assert both.captions_.tolist() == ["poodle", "beagle", "airliner"]
    twins = captions_of(poodles, {**poodles, "sky": 0.04}, airliners)
    assert twins.captions_.tolist() == ["dog", "dog", "airliner"]
    # A noun of the same synset is no more general one.
    planes = captions_of({"plane": 0.6, "airplane": 0.3}, poodles)
    assert planes.captions_.tolist() == ["plane", "dog"]


def slow_shares(votes, rounds=5):
    """Shares of most likelihood after some rounds, an image at a time."""
    mixture = np.full(votes.shape[1], 1 / votes.shape[1])
    for _ in range(1 + rounds):
        posteriors = [vote * mixture / (vote @ mixture) for vote in votes]
        mixture = np.mean(posteriors, axis=0)
    return mixture


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_a_detector_by_loops(n_clusters, n_images, seed):
    rng = np.random.RandomState(seed)
    X = unit(rng.normal(size=(n_clusters * n_images, 12)).astype(np.float32))
    labels = np.repeat(range(n_clusters), n_images)
    synsets = list(ZOO.values())
    vectors = unit(rng.normal(size=(8, 12)).astype(np.float32))
    captioner = ClusterCaptioner(
        Vocabulary(list(ZOO), vectors, synsets),
        n_candidates=9,
        logit_scale=10,
        centering=0,
    ).fit(X, labels)
    votes = np.exp(10 * X @ vectors.T)
    votes /= votes.sum(axis=1, keepdims=True)
    shares = np.array([slow_shares(votes[labels == c]) for c in range(n_clusters)])
    below = {
        "dog": ["poodle", "beagle", "dog"],
        "carnivore": ["poodle", "beagle", "dog", "carnivore"],
        "plane": ["airliner", "airplane", "plane"],
    }
    recall = {
        noun: shares[:, [list(ZOO).index(n) for n in below.get(noun, [noun])]].sum(1)
        for noun in ZOO
    }
    for c, (nouns, found) in enumerate(
        zip(captioner.candidates_, captioner.candidate_scores_)
    ):
        own = nouns[0].partition(",")[0]
        for noun, share in zip([own, *nouns[1:]], found):
            assert share == pytest.approx(recall[noun][c], rel=2e-2, abs=2e-3)
        precision = recall[own][c] / recall[own].sum()
        f_measure = 2 / (1 / precision + 1 / recall[own][c])
        expected = f_measure * n_images / (n_images + 2)
        assert captioner.confidences_[c] == pytest.approx(expected, rel=2e-2)


def test_the_level_of_a_detector_follows_from_the_other_clusters():
    poodles, beagles = {"poodle": 0.8, "dog": 0.15}, {"beagle": 0.8, "dog": 0.15}
    planes = {"airliner": 0.5, "airplane": 0.45}
    alone = captions_of(poodles, planes, method="detection")
    assert alone.captions_.tolist() == ["dog", "plane"]
    both = captions_of(poodles, beagles, planes, method="detection")
    assert both.captions_.tolist() == ["poodle", "beagle", "plane"]
    # "carnivore" detects as well as "dog", but nobody says it.
    assert alone.candidates_[0].tolist() == ["dog", "poodle"]


def test_clusters_of_one_name_have_a_second_noun():
    # Nothing but the sky fits the one a little better than the other.
    alike = captions_of({"sky": 0.99}, {"sky": 0.99}, method="detection")
    assert alike.captions_.tolist() == ["sky", "sky"]
    images = np.repeat(["sky", "poodle", "sky", "airliner"], [9, 1, 9, 1])
    captioner = ClusterCaptioner(
        Vocabulary(list(ZOO), np.eye(8), list(ZOO.values())), centering=0
    ).fit(np.eye(8)[[list(ZOO).index(noun) for noun in images]], np.repeat([0, 1], 10))
    assert captioner.captions_.tolist() == ["sky, dog", "sky, plane"]


def test_a_cluster_of_few_images_is_believed_less():
    X, labels = (
        np.repeat(np.eye(8)[[0, 4]], [1, 30], axis=0),
        np.repeat([0, 1], [1, 30]),
    )
    vocabulary = Vocabulary(list(ZOO), np.eye(8), list(ZOO.values()))
    captioner = ClusterCaptioner(vocabulary, centering=0).fit(X, labels)
    np.testing.assert_allclose(captioner.confidences_, [1 / 3, 30 / 32], rtol=1e-4)


def test_synonyms_are_one_noun():
    poodles = {"poodle": 0.9, "sky": 0.1}
    planes = {"plane": 0.5, "airplane": 0.4, "sky": 0.1}
    captioner = captions_of(poodles, planes)
    assert captioner.captions_.tolist() == ["poodle", "plane"]
    assert "airplane" not in captioner.candidates_[1]
    np.testing.assert_allclose(captioner.scores_, 0.9, rtol=1e-3)
    # Neither alone has a fifth of the votes for airliners.
    kinds = captions_of(poodles, {"airliner": 0.7, "airplane": 0.1, "plane": 0.1})
    assert kinds.captions_.tolist() == ["poodle", "airplane"]
    printed = captions_of(poodles, planes, generality=None)
    np.testing.assert_allclose(printed.scores_, [0.9, 0.5], rtol=1e-3)


@given(st.integers(1, 6), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_votes_of_lists_that_share_nouns(n_clusters, seed):
    nouns = {
        "mug, cup": "mug.n.04",
        "Mug": None,
        "crane (bird)": "crane.n.05",
        "crane (machine)": "crane.n.04",
        "Crane": None,
        "CRANE": None,
        "cup": None,
        "coffee mug": "mug.n.04",
    }
    rng = np.random.default_rng(seed)
    # Of 32 images of each cluster, those that show each noun; others show the sky.
    counts = rng.integers(0, 5, size=(n_clusters, len(nouns)))
    counts = np.c_[counts, 32 - counts.sum(axis=1)]
    names = [*nouns, "sky"]
    vocabulary = Vocabulary(names, np.eye(9), [*nouns.values(), None])
    shown = np.concatenate([np.repeat(range(9), own) for own in counts])
    captioner = ClusterCaptioner(
        vocabulary,
        top=1,
        method="votes",
        n_candidates=9,
        logit_scale=None,
        centering=0,
    ).fit(np.eye(9)[shown], np.repeat(range(n_clusters), 32))
    for cluster, own in enumerate(counts):
        expected = {}
        for group in ([0, 1, 6, 7], [4, 5], [2], [3], [8]):
            if own[group].any():
                kept = group[counts[:, group].sum(axis=0).argmax()]
                expected[names[kept]] = own[group].sum() / 32
        found = captioner.candidates_[cluster], captioner.candidate_scores_[cluster]
        # A crane is shown without its sense where the other one is not.
        bare, kept = (
            sorted((name.partition(" (")[0], score) for name, score in pairs)
            for pairs in (zip(*found), expected.items())
        )
        assert [name for name, _ in bare] == [name for name, _ in kept]
        assert [s for _, s in bare] == pytest.approx([s for _, s in kept])


def test_things_of_caltech_by_their_common_names(clip_data, lvis_imagenet):
    images = clip_data("images_caltech101.npz")
    X, y = images["emb_val"].astype(np.float32), images["label_val"]
    common = {"camera": "camera", "scissors": "scissors", "elephant": "elephant"}
    classes = [list(images["classname"]).index(name) for name in common]

    def right(**params):
        captioner = ClusterCaptioner(lvis_imagenet, **params).fit(X, y)
        return (captioner.caption(classes) == list(common.values())).sum()

    assert right() == right(method="votes") == 3
    assert right(method="votes", generality=None) == 1


def test_images_and_words_by_an_encoder():
    photos = DATA / "images" / "pacs_photo"
    if not photos.is_dir():
        pytest.skip(f"no shared data: {photos} is missing")
    kinds = ["dog", "elephant", "guitar"]
    paths = [str(p) for kind in kinds for p in sorted((photos / kind).iterdir())[:3]]
    labels = np.repeat(range(3), 3)
    captioner = ClusterCaptioner([*kinds, "house"], embedder="offline")
    assert captioner.fit(paths, labels).captions_.tolist() == kinds
    pipe = make_pipeline(OfflineEmbedder(), captioner).fit(paths, labels)
    assert pipe[-1].captions_.tolist() == kinds


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "requires y to be passed"),
        ([0, 1], "inconsistent numbers of samples"),
        ([-1] * 30, "Of 30 labels, all are negative"),
        ([np.nan] * 30, "Input y contains NaN"),
    ],
)
def test_wrong_labels(three_groups, labels, message):
    X, _, vocabulary = three_groups
    with pytest.raises(ValueError, match=message):
        ClusterCaptioner(vocabulary).fit(X, labels)


def test_wrong_input(three_groups):
    X, labels, vocabulary = three_groups
    with pytest.raises(ValueError, match=r"8 columns but X has 5: both must come from"):
        ClusterCaptioner(vocabulary).fit(X[:, :5], labels)
    with pytest.raises(ValueError, match="Row 3 of X is all zeros"):
        ClusterCaptioner(vocabulary).fit(X * (np.arange(30) != 3)[:, None], labels)
    with pytest.raises(ValueError, match=r"prompt must hold \{\} once"):
        ClusterCaptioner(vocabulary, prompt="a photo").fit(X, labels)
    with pytest.raises(ValueError, match="nouns is empty"):
        ClusterCaptioner([]).fit(X, labels)
    captioner = ClusterCaptioner(vocabulary).fit(X, labels)
    with pytest.raises(ValueError, match=r"without a caption: \[7\].*3 clusters"):
        captioner.caption([0, 7, -1])

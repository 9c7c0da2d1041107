"""Corrections of clusters, on real embeddings and photographs' digits."""

import copy
import json
import pickle

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    MCAClustering,
    RateReductionClustering,
    SemanticSpace,
    VLClustering,
)
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.plotting import ClusterReport


@pytest.fixture(scope="module")
def pets(clip_data):
    """CLIP rows of ten breeds: those to fit to, new ones, and the breeds of both."""
    data = clip_data("images_oxford_pets.npz")
    X, y = data["emb_val"].astype(np.float32), data["label_val"]
    X, y = X[y < 10], y[y < 10]
    return X[::2], y[::2], X[1::2], y[1::2]


@pytest.fixture(scope="module")
def fitted_pets(pets, lvis_imagenet):
    """A clustering of these with names."""
    space = SemanticSpace(lvis_imagenet)
    return VLClustering(10, semantic_space=space, random_state=0).fit(pets[0])


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)[0][:400].astype(np.float32)


@pytest.fixture(scope="module")
def fitted_digits(digits):
    return VLClustering(8, semantic_space=None, random_state=0).fit(digits)


@pytest.fixture
def model(fitted_pets):
    return copy.deepcopy(fitted_pets)


def state(model, X):
    """Return everything that corrections change, as comparable values."""
    names = getattr(model, "cluster_names_", None)
    return (
        model.labels_.tolist(),
        model.n_clusters_,
        model.cluster_centers_.tolist(),
        names and [[str(name) for name in own] for own in names],
        names and [own.tolist() for own in model.name_scores_],
        model.transform(X).tolist(),
    )


def check(model, X):
    """All that tells of the clusters agrees."""
    k = model.n_clusters_
    np.testing.assert_array_equal(np.unique(model.labels_), np.arange(k))
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    proba, logits = model.predict_proba(X), model.transform(X)
    assert proba.shape == logits.shape == (len(X), k)
    assert len(model.get_feature_names_out()) == k
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.labels_)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    means = np.stack([unit[model.labels_ == c].mean(axis=0) for c in range(k)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(model.cluster_centers_, means, atol=1e-5)


def test_names(model, pets, tmp_path):
    X = pets[0]
    before = [list(names) for names in model.cluster_names_]
    assert model.rename_clusters({3: " my dog ", np.int64(1): before[1][1]}) is model
    check(model, X)
    assert list(model.cluster_names_[3]) == ["my dog", *before[3]]
    assert model.name_scores_[3][0] == model.name_scores_[1][0] == 1
    assert sorted(model.cluster_names_[1]) == sorted(before[1])
    assert list(model.cluster_names_[0]) == before[0]
    assert model.corrections_ == [
        {"action": "rename", "clusters": [3, 1], "names": ["my dog", before[1][1]]}
    ]
    model.save(tmp_path / "model")
    for read in (
        VLClustering.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
    ):
        assert state(read, X) == state(model, X)
        assert read.corrections_ == model.corrections_
        assert [
            list(names) for names in read.undo_correction().cluster_names_
        ] == before


def test_names_without_words(digits, fitted_digits):
    model = copy.deepcopy(fitted_digits)
    assert not hasattr(model, "cluster_names_")
    model.rename_clusters({0: "zero"})
    assert [list(names) for names in model.cluster_names_] == [["zero"]] + [[]] * 7
    assert list(model.merge_clusters([0, 5]).cluster_names_[0]) == ["zero"]
    model.split_cluster(0, 2)
    assert list(model.cluster_names_[0]) == list(model.cluster_names_[7]) == ["zero"]
    assert not hasattr(model.reset_corrections(), "cluster_names_")


def test_merged_clusters_are_their_union(model, pets):
    X, _, new, _ = pets
    old, of_new = model.labels_, model.predict(new)
    votes = {}
    for c in (3, 7):
        share = (old == c).sum() / np.isin(old, [3, 7]).sum()
        for name, score in zip(model.cluster_names_[c], model.name_scores_[c]):
            votes[name] = votes.get(name, 0) + share * score
    model.merge_clusters([7, 3])
    check(model, X)
    assert model.n_clusters_ == 9
    number = np.array([0, 1, 2, 3, 4, 5, 6, 3, 7, 8])
    np.testing.assert_array_equal(model.labels_, number[old])
    np.testing.assert_array_equal(model.predict(new), number[of_new])
    assert dict(zip(model.cluster_names_[3], model.name_scores_[3])) == pytest.approx(
        votes
    )
    assert (np.diff(model.name_scores_[3]) <= 0).all()


@pytest.mark.parametrize("n_clusters", [2, 4, "auto"])
def test_parts_of_a_cluster(model, pets, n_clusters):
    X, _, new, _ = pets
    old, of_new = model.labels_, model.predict(new)
    model.split_cluster(2, n_clusters)
    check(model, X)
    n_parts = model.n_clusters_ - 9
    assert n_parts == n_clusters or (n_clusters == "auto" and n_parts >= 2)
    parts = [2, *range(10, 9 + n_parts)]
    # Only this cluster is divided, for new images as well.
    for before, after in ((old, model.labels_), (of_new, model.predict(new))):
        np.testing.assert_array_equal(np.isin(after, parts), before == 2)
        np.testing.assert_array_equal(after[before != 2], before[before != 2])
    sizes = np.bincount(model.labels_)[parts]
    assert (np.diff(sizes) <= 0).all()
    assert len(model.cluster_names_) == model.n_clusters_
    assert all(len(model.cluster_names_[part]) for part in parts)
    assert model.corrections_[0]["n_clusters"] == n_parts


def test_two_breeds_that_were_merged_are_told_apart_again(model, pets):
    X, y, new, y_new = pets
    accuracy = clustering_accuracy(y, model.labels_)
    a, b = np.argsort(-np.bincount(model.labels_))[:2].tolist()
    model.merge_clusters([a, b]).split_cluster(min(a, b), 2)
    check(model, X)
    assert clustering_accuracy(y, model.labels_) > accuracy - 0.02
    assert clustering_accuracy(y_new, model.predict(new)) > accuracy - 0.1


def test_moved_samples(model, pets):
    X, _, new, _ = pets
    old, of_new = model.labels_, model.predict(new)
    moved = np.flatnonzero(old == 0)[:3]
    model.move_samples(moved, 4)
    check(model, X)  # predict follows, for the same rows
    np.testing.assert_array_equal(model.predict(5 * X[moved]), 4)
    np.testing.assert_array_equal(model.predict(new), of_new)
    assert (model.labels_ != old).sum() == 3
    mask = np.arange(len(old)) == moved[0]
    model.move_samples(mask, 1)
    check(model, X)
    assert model.labels_[moved[0]] == 1


def test_a_dropped_cluster_goes_to_the_next_likeliest(model, pets):
    X, _, new, _ = pets
    expected = [
        np.delete(model.predict_proba(x), 6, axis=1).argmax(1) for x in (X, new)
    ]
    model.drop_cluster(6)
    check(model, X)
    np.testing.assert_array_equal(model.labels_, expected[0])
    np.testing.assert_array_equal(model.predict(new), expected[1])


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["rename", "merge", "split", "move", "drop"]),
        st.integers(0, 99),
        st.integers(0, 99),
    ),
    max_size=6,
)


def act(model, action, i, j):
    """Make a correction with any two numbers, if it is possible."""
    k = model.n_clusters_
    a, b = i % k, j % k
    if action == "rename":
        model.rename_clusters({a: f"name {j}"})
    elif action == "merge" and a != b:
        model.merge_clusters([a, b])
    elif action == "split" and (model.labels_ == a).sum() > 9:
        model.split_cluster(a, 2 + j % 2)
    elif action == "move" and np.bincount(model.labels_)[model.labels_[i]] > 1:
        model.move_samples([i], b)
    elif action == "drop" and k > 2:
        model.drop_cluster(a)


@given(ACTIONS)
@settings(max_examples=15, deadline=None)
def test_corrections_can_be_undone_and_made_again(digits, fitted_digits, actions):
    model = copy.deepcopy(fitted_digits)
    before = [state(model, digits)]
    for action in actions:
        n = len(model.corrections_)
        act(model, *action)
        if len(model.corrections_) > n:
            check(model, digits)
            before.append(state(model, digits))
    written = json.loads(json.dumps({"version": 1, "corrections": model.corrections_}))
    again = copy.deepcopy(fitted_digits).apply_corrections(written)
    assert state(again, digits) == before[-1]
    assert again.corrections_ == model.corrections_
    for expected in before[-2::-1]:
        model.undo_correction()
        assert state(model, digits) == expected
    assert state(again.reset_corrections(), digits) == before[0]
    assert model.corrections_ == again.corrections_ == []
    with pytest.raises(ValueError, match="no correction to undo"):
        model.undo_correction()


@pytest.mark.parametrize(
    "estimator",
    [
        MCAClustering(8, semantic_space=None, max_iter=5, random_state=0),
        RateReductionClustering(8, max_iter=3, random_state=0),
        ContrastiveMaskedClustering(
            8, pretrain_epochs=1, train_epochs=2, boost_epochs=1, random_state=0
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_clusterer_can_be_corrected(digits, estimator, tmp_path):
    model = clone(estimator).fit(digits)
    k = model.n_clusters_
    before, features = model.labels_, model.transform(digits)
    model.merge_clusters([0, 1]).split_cluster(1, 2).rename_clusters({0: "round"})
    model.move_samples([5], (model.labels_[5] + 1) % k).drop_cluster(2)
    assert model.n_clusters_ == k - 1 == model.labels_.max() + 1
    np.testing.assert_array_equal(model.predict(digits), model.labels_)
    assert model.predict_proba(digits).shape == (400, k - 1)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(digits), model.labels_)
    # Without the rows, moves concern labels alone, and splits ask for them.
    with pytest.raises(ValueError, match=r"split_cluster needs .*give it as X"):
        loaded.split_cluster(0)
    n = loaded.n_clusters_
    assert loaded.split_cluster(0, X=digits).n_clusters_ > n
    with pytest.raises(ValueError, match=r"X has 9 samples, but .* fitted to 400"):
        loaded.drop_cluster(0, X=digits[:9])
    loaded.reset_corrections()
    np.testing.assert_array_equal(loaded.labels_, before)
    np.testing.assert_array_equal(loaded.transform(digits), features)


def test_a_new_clustering_has_no_corrections(digits, fitted_digits):
    model = copy.deepcopy(fitted_digits).merge_clusters([0, 1])
    assert model.set_n_clusters(5).corrections_ == [] and model.n_clusters_ == 5
    model.merge_clusters([0, 1]).fit(digits)
    assert model.corrections_ == []
    np.testing.assert_array_equal(model.labels_, fitted_digits.labels_)


def test_copies_do_not_keep_a_corrected_model_from_being_saved(digits, tmp_path):
    X = np.concatenate([digits, digits[:200]])
    model = VLClustering(5, semantic_space=None, random_state=0).fit(X)
    model.merge_clusters([0, 1]).save(tmp_path / "model")
    loaded = VLClustering.load(tmp_path / "model").split_cluster(0, 2)
    np.testing.assert_array_equal(loaded.predict(X), loaded.labels_)


def test_dask_follows(digits, fitted_digits):
    model = copy.deepcopy(fitted_digits).merge_clusters([2, 3]).split_cluster(0, 3)
    model.move_samples([7], 1)
    blocks = da.from_array(digits, chunks=(150, 64))
    np.testing.assert_array_equal(model.predict(blocks).compute(), model.labels_)
    assert model.predict_proba(blocks).shape == (400, 9)


def test_the_report_follows(model, pets, tmp_path):
    from PIL import Image

    model.rename_clusters({0: "my own dog"}).merge_clusters([1, 2])
    images = [Image.new("RGB", (8, 8), (i % 256, 0, 0)) for i in range(len(pets[0]))]
    report = ClusterReport.from_estimator(model, images, embeddings=pets[0])
    assert "my own dog" in report.to_html()
    assert report.sizes == dict(enumerate(np.bincount(model.labels_).tolist()))


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        ("rename_clusters", ({10: "x"},), ValueError, "names: 10 is none of .* 0 to 9"),
        ("rename_clusters", ({"3": "x"},), ValueError, "names: '3' is none of"),
        ("rename_clusters", ({3: " "},), ValueError, "empty name"),
        ("rename_clusters", ({3: 5},), TypeError, "names has 5, which is not a text"),
        ("rename_clusters", ("dog",), TypeError, "names='dog' is not a dict"),
        ("merge_clusters", ([3],), ValueError, r"clusters=\[3\] are not two"),
        ("merge_clusters", ([3, 3],), ValueError, "are not two"),
        ("merge_clusters", ([3, -1],), ValueError, "clusters: -1 is none of"),
        ("split_cluster", (True,), ValueError, "cluster: True is none of"),
        ("split_cluster", (3, 1), ValueError, "n_clusters=1 is neither 'auto' nor"),
        ("split_cluster", (3, "two"), ValueError, "n_clusters='two' is neither"),
        ("split_cluster", (3, 10**6), ValueError, "n_clusters=1000000 is neither"),
        ("move_samples", ([10**6], 2), ValueError, "samples: 1000000 is none of the"),
        ("move_samples", ([-1], 2), ValueError, "samples: -1 is none of the places"),
        ("move_samples", ([0.5], 2), ValueError, "neither places of samples nor"),
        ("move_samples", ([0], 10), ValueError, "to: 10 is none of"),
        ("drop_cluster", (11,), ValueError, "cluster: 11 is none of"),
        ("apply_corrections", ({"version": 2},), ValueError, "version 2; this release"),
        (
            "apply_corrections",
            ([{"action": "drop", "cluster": 1}, {"action": "burn"}],),
            ValueError,
            r"corrections\[1\]: .* has none of the actions rename, merge",
        ),
        (
            "apply_corrections",
            ([{"action": "merge"}],),
            ValueError,
            r"corrections\[0\]: the action 'merge' needs 'clusters'",
        ),
    ],
)
def test_mistakes_are_named_and_change_nothing(
    model, pets, method, arguments, error, message
):
    before = state(model, pets[0][:9])
    with pytest.raises(error, match=message):
        getattr(model, method)(*arguments)
    assert state(model, pets[0][:9]) == before and model.corrections_ == []


def test_a_cluster_is_not_emptied_by_moving(model):
    everything = np.flatnonzero(model.labels_ == 3)
    with pytest.raises(
        ValueError, match=r"left without samples: merge_clusters\(\[3, 5"
    ):
        model.move_samples(everything, 5)


def test_one_cluster_can_be_left_but_not_dropped(digits, fitted_digits):
    model = copy.deepcopy(fitted_digits).merge_clusters(range(8))
    assert model.n_clusters_ == 1 and not model.predict(digits).any()
    with pytest.raises(ValueError, match="the only one"):
        model.drop_cluster(0)


def test_equal_samples_are_not_divided():
    X = np.repeat(np.eye(3, 8), 20, axis=0)
    model = VLClustering(3, semantic_space=None, random_state=0).fit(X)
    with pytest.raises(ValueError, match="has 1 samples that differ"):
        model.split_cluster(0)


def test_an_estimator_that_is_not_fitted():
    model = VLClustering()
    for method in ("merge_clusters", "drop_cluster", "split_cluster"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(0)
    with pytest.raises(NotFittedError):
        model.reset_corrections()
    assert not hasattr(model, "corrections_")

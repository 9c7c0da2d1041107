"""Label-free scores: against loops, at chance, and choosing on real data."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_vlclust import (
    CLIPEmbedder,
    ContrastiveMaskedClustering,
    MCAClustering,
    RateReductionClustering,
)
from sklearn_vlclust.metrics import learned_information
from sklearn_vlclust.model_selection import (
    coding_rate_reduction_score,
    consensus_score,
    generalization_score,
    neighbor_consistency_score,
)
from tests._open_clip import save_random_clip

SCORES = [
    coding_rate_reduction_score,
    generalization_score,
    neighbor_consistency_score,
]


class Given:
    """A fitted clusterer with labels that are given."""

    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def predict(self, X):
        return self.labels

    def transform(self, X):
        return np.asarray(X)[:, :2] + 10


def slow_rate(Z, eps):
    m, d = Z.shape
    _, logdet = np.linalg.slogdet(np.eye(d) + d / (m * eps) * Z.T @ Z)
    return logdet / 2


def slow_consistency(X, labels, n_neighbors):
    """Fano's bound, an image at a time; noise is -1."""
    same = total = 0
    for i, x in enumerate(X):
        others = [j for j in range(len(X)) if j != i]
        for j in sorted(others, key=lambda j: -(x @ X[j]))[:n_neighbors]:
            same += labels[i] == labels[j] and labels[i] >= 0
            total += 1
    a, k = same / total, len(set(labels))
    if k == 1:
        return 0
    bits = 0
    for c in set(labels):
        p = np.mean(labels == c)
        bits -= p * np.log(p)
    for q in (a, 1 - a):
        bits += q * np.log(q) if q else 0
    return bits - (1 - a) * np.log(k - 1)


@given(
    n=st.integers(6, 40),
    d=st.integers(2, 8),
    k=st.integers(1, 5),
    eps=st.sampled_from([0.05, 0.5]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_against_loops(n, d, k, eps, seed):
    rng = np.random.RandomState(seed)
    X, labels = rng.standard_normal((n, d)), rng.randint(-1, k - 1, size=n)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    score = neighbor_consistency_score(Given(labels), 3 * X, n_neighbors=3)
    assert score == pytest.approx(slow_consistency(unit, labels, 3), abs=1e-5)

    def rate(labels):
        return sum(
            np.mean(labels == c) * slow_rate(unit[labels == c], eps)
            for c in np.unique(labels)
        )

    draws = np.random.RandomState(seed)
    chance = np.mean([rate(draws.permutation(labels)) for _ in range(3)])
    score = coding_rate_reduction_score(Given(labels), X, eps=eps, random_state=seed)
    assert score == pytest.approx(1 - rate(labels) / chance, abs=1e-4)


@pytest.mark.parametrize("score", SCORES)
def test_nothing_is_gained_by_chance(score):
    rng = np.random.RandomState(0)
    X, groups = make_blobs(400, 16, centers=4, random_state=0)
    trivial = [np.zeros(400, int), np.arange(400), rng.randint(4, size=400)]
    true = score(Given(groups), X)
    assert true > 0.2
    for labels in trivial:
        assert score(Given(labels), X) < 0.02 * true
    # Split at random, or merged, is worse; so is a group that is called noise.
    for labels in (2 * groups + rng.randint(2, size=400), groups // 2):
        assert score(Given(labels), X) < true
    noise = neighbor_consistency_score(Given(np.where(groups, groups, -1)), X)
    assert noise < neighbor_consistency_score(Given(groups), X)


@pytest.mark.parametrize("score", SCORES)
def test_the_width_does_not_matter(score):
    X, groups = make_blobs(300, 8, centers=3, random_state=0)
    turned = np.linalg.qr(np.random.RandomState(0).normal(size=(32, 8)))[0]
    narrow, wide = score(Given(groups), X), score(Given(groups), X @ turned.T)
    assert wide == pytest.approx(narrow, rel=0.3)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "clusterer",
    [
        KMeans(3, n_init=1, random_state=0),
        GaussianMixture(3, random_state=0),
        AgglomerativeClustering(3),
        HDBSCAN(copy=True),
        make_pipeline(PCA(4), KMeans(3, n_init=1, random_state=0)),
        MCAClustering(3, semantic_space=None, max_iter=3, random_state=0),
    ],
    ids=lambda clusterer: type(clusterer).__name__,
)
def test_any_clusterer(score, clusterer):
    X, groups = make_blobs(120, 8, centers=3, random_state=0)
    clusterer.fit(X)
    found = score(clusterer, X)
    # The samples scored are others than those of the fit, and so are their labels.
    other = score(clusterer, X[::2])
    true = score(Given(groups), X)
    assert found == pytest.approx(true, abs=0.05 * abs(true)) and other > 0.3 * true


def test_features(tmp_path):
    X, groups = make_blobs(90, 8, centers=3, random_state=0)
    given = Given(groups)
    two = coding_rate_reduction_score(given, X, features="transform")
    assert two == coding_rate_reduction_score(given, X[:, :2] + 10)
    with pytest.raises(ValueError, match=r"features must be .* got 'pixels'"):
        coding_rate_reduction_score(given, X, features="pixels")


@pytest.mark.parametrize("score", SCORES)
def test_images(score, tmp_path):
    clip = CLIPEmbedder(save_random_clip(tmp_path), device="cpu")
    images = np.random.RandomState(0).randint(256, size=(24, 32, 32, 3), dtype=np.uint8)
    X = clip.transform(images)
    kmeans = KMeans(3, n_init=1, random_state=0)
    expected = score(kmeans.fit(X), X)
    piped = make_pipeline(clip, kmeans).fit(images)
    assert score(piped, images) == pytest.approx(expected, abs=1e-3)
    params = {"semantic_space": None, "max_iter": 2, "random_state": 0}
    mca = MCAClustering(3, embedder=clip, **params).fit(images)
    own = score(MCAClustering(3, **params).fit(X), X)
    assert score(mca, images) == pytest.approx(own, abs=1e-3)
    kmeans.predict = lambda images: np.zeros(len(images))
    with pytest.raises(ValueError, match="KMeans does not embed images"):
        score(kmeans, images)


def search(score, ks, X, cv=3):
    kmeans = KMeans(n_init=2, random_state=0)
    return GridSearchCV(kmeans, {"n_clusters": ks}, scoring=score, cv=cv).fit(X)


def test_choice_of_n_clusters_on_real_embeddings(clip_data):
    data = clip_data("images_caltech101.npz")
    X, y = data["emb_test"].astype(np.float32), data["label_test"]
    ks = [2, 10, 50, 100, 300]
    agreement = [
        adjusted_rand_score(y, KMeans(k, n_init=1, random_state=0).fit_predict(X))
        for k in ks
    ]
    chosen = search(neighbor_consistency_score, ks, X).best_params_["n_clusters"]
    assert chosen in (50, 100)
    assert agreement[ks.index(chosen)] > 0.8 * max(agreement)
    chosen = search(coding_rate_reduction_score, ks, X).best_params_["n_clusters"]
    assert chosen in (10, 50, 100)


def test_choice_on_digits():
    X, _ = load_digits(return_X_y=True)
    X = X - X.mean(axis=0)
    chosen = search(neighbor_consistency_score, [2, 4, 10, 60], X).best_params_
    assert chosen["n_clusters"] == 10


def test_wrong_input():
    X, groups = make_blobs(12, 4, centers=2, random_state=0)
    with pytest.raises(ValueError, match=r"k=10 neighbors.*7 other rows"):
        neighbor_consistency_score(Given(groups[:8]), X[:8])
    score = partial(neighbor_consistency_score, n_neighbors=2)
    with pytest.raises(ValueError, match="Row 3 of X is all zeros"):
        score(Given(groups), X * (np.arange(12) != 3)[:, None])


def test_generalization_is_that_of_the_metric():
    X, groups = make_blobs(150, 8, centers=3, cluster_std=5, random_state=0)
    params = {"alpha": 3, "n_folds": 4}
    found = generalization_score(Given(groups), X, random_state=2, **params)
    assert found == learned_information(X, groups, rng=2, **params)


def test_search_over_methods(clip_data):
    data = clip_data("images_oxford_pets.npz")
    X = data["emb_test"][data["label_test"] < 4].astype(np.float32)
    short = {"pretrain_epochs": 1, "train_epochs": 1, "boost_epochs": 1}
    methods = [
        MCAClustering(4, semantic_space=None, max_iter=5, random_state=0),
        RateReductionClustering(4, max_iter=5, random_state=0),
        ContrastiveMaskedClustering(4, random_state=0, **short),
        KMeans(4, n_init=1, init="random", max_iter=1, random_state=0),
    ]
    search = GridSearchCV(
        Pipeline([("cluster", methods[0])]),
        {"cluster": methods},
        scoring=generalization_score,
        cv=[(np.arange(len(X)), np.arange(len(X)))],
    ).fit(X)
    *_, poor = search.cv_results_["mean_test_score"]
    assert poor < search.best_score_
    # That of the library's clusterers is their `score`.
    best = search.best_estimator_
    assert best.score(X) == pytest.approx(search.best_score_)


def test_consensus():
    X, groups = make_blobs(120, 8, centers=3, random_state=0)
    fitted = [KMeans(k, n_init=1, random_state=0).fit(X) for k in (2, 3, 9)]
    for i, one in enumerate(fitted):
        others = fitted[:i] + fitted[i + 1 :]
        expected = np.mean(
            [adjusted_rand_score(one.labels_, other.labels_) for other in others]
        )
        by_model = consensus_score(one, X, partitions=others)
        by_labels = consensus_score(
            one, X, partitions=[other.labels_ for other in others]
        )
        assert by_model == by_labels == pytest.approx(expected)
    score = partial(consensus_score, partitions=fitted)
    assert search(score, [2, 3, 9], X).best_params_["n_clusters"] == 3
    # Noise is in no cluster: two that call all of X noise have nothing in common.
    noise = np.where(groups == 0, -1, groups)
    agreement = consensus_score(Given(noise), X, partitions=[noise, groups])
    assert 0.5 < agreement < 1
    own = np.where(groups == 0, 3 + np.arange(120), groups)
    expected = [adjusted_rand_score(own, other) for other in (own, groups)]
    assert agreement == pytest.approx(np.mean(expected))


def test_wrong_partitions():
    X, groups = make_blobs(30, 4, centers=2, random_state=0)
    with pytest.raises(ValueError, match="partitions is empty: give labels"):
        consensus_score(Given(groups), X, partitions=[])
    with pytest.raises(
        ValueError, match=r"partitions\[1\] has shape \(29,\).* 30 samp"
    ):
        consensus_score(Given(groups), X, partitions=[groups, groups[1:]])

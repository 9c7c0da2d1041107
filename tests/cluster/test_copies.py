"""Copies, uneven groups and clusters without samples, in all clusterers."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from sklearn_vlclust import (
    CodingLengthKSelector,
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
)
from sklearn_vlclust.cluster.separate import separate_groups
from sklearn_vlclust.metrics import clustering_accuracy


def make(name, k, **params):
    params = {"random_state": 0, **params}
    if name == "mca":
        return MCAClustering(k, semantic_space=None, **params)
    if name == "rate":
        return RateReductionClustering(k, **params)
    if name == "pici":
        return ContrastiveMaskedClustering(k, **params)
    short = {"contrast_epochs": 2, "head_epochs": 2, "generator_epochs": 2}
    return GenerativeCalibrationClustering(k, n_rounds=0, **short, **params)


ALL = ["mca", "rate", "pici", "gcc"]


def orthogonal(sizes, width=32, noise=0.05):
    y = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(0)
    X = np.eye(len(sizes), width)[y] + noise * rng.normal(size=(len(y), width))
    return X.astype(np.float32), y


@pytest.mark.parametrize("name", ALL)
def test_copies_change_nothing(name):
    """Rows of three groups, each 20 times: the labels are those of the rows alone."""
    X, y = orthogonal([8, 8, 8])
    copies = np.repeat(X, 20, axis=0)
    alone, model = make(name, 3).fit(X), make(name, 3).fit(copies)
    np.testing.assert_array_equal(model.labels_, np.repeat(alone.labels_, 20))
    np.testing.assert_array_equal(model.predict(copies), model.labels_)
    assert clustering_accuracy(y, alone.labels_) == 1


def test_near_copies_of_photographs(clip_data):
    data = clip_data("images_caltech101.npz")
    y = data["label_test"]
    kept = np.concatenate([np.flatnonzero(y == c)[:30] for c in range(10)])
    X, y = data["emb_test"][kept].astype(np.float32), np.repeat(y[kept], 20)
    rng = np.random.default_rng(0)
    near = np.repeat(X / np.linalg.norm(X, axis=1, keepdims=True), 20, axis=0)
    near += 0.15 / np.sqrt(512) * rng.normal(size=near.shape)  # cosine .989
    near = near.astype(np.float32)
    model = make("rate", 10).fit(near)
    assert clustering_accuracy(y, model.labels_) > 0.95
    # All samples have features; one of each group of copies is cut.
    assert len(model.features_) == len(near)
    assert model.cuts_[0].affinity.shape[0] < 230
    model.set_n_clusters(4)
    assert len(model.labels_) == len(near) and model.n_clusters_ == 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        selector = CodingLengthKSelector(random_state=0).fit(near)
    assert selector.cut_.affinity.shape[0] < 230
    assert selector.labels_.shape == (len(near),) and len(selector.features_) == len(
        near
    )


def test_selector_with_copies(small):
    X, y, _ = small
    alone = CodingLengthKSelector(random_state=0).fit(X)
    for estimator in (None, RateReductionClustering(random_state=0), make("mca", 2)):
        params = {"k_range": (3, 6)} if isinstance(estimator, MCAClustering) else {}
        selector = CodingLengthKSelector(estimator, random_state=0, **params)
        selector.fit(np.repeat(X, 12, axis=0))
        if estimator is None:
            assert selector.n_clusters_ == alone.n_clusters_
        assert clustering_accuracy(np.repeat(y, 12), selector.labels_) > 0.9
        assert len(selector.features_) == 12 * len(X)


@pytest.mark.parametrize("name", ALL)
def test_fewer_distinct_rows_than_clusters(name):
    X = np.repeat(np.eye(3, 16, dtype=np.float32), 10, axis=0)
    match = "3 of n_clusters=5 clusters have samples, as X has only 3 distinct rows"
    with pytest.warns(ConvergenceWarning, match=match):
        model = make(name, 5).fit(X)
    assert model.n_clusters_ == 3 == len(model.cluster_centers_)
    # Clusters without samples are none that can be predicted.
    assert model.predict_proba(X).shape == (30, 3)
    other = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    assert model.predict(other).max() < 3


@pytest.mark.parametrize("name", ALL)
def test_models_with_fewer_clusters_are_saved(name, tmp_path):
    X = np.repeat(np.eye(3, 16, dtype=np.float32), 10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make(name, 5).fit(X)
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("name", ["mca", "pici", "gcc"])
def test_clusters_without_samples_get_a_half(name, small):
    """A head that no sample chooses is filled, without a warning."""
    X = small[0]
    model = make(name, 5)
    heads = {
        "mca": lambda network: network.image_head,
        "pici": lambda network: network.cluster,
        "gcc": lambda network: network.clustering.cluster,
    }

    def empty_two(rows, rng):
        heads[name](model.network_).bias[1:3] -= 100

    model._find_clusters = empty_two
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)
    assert model.n_clusters_ == 5 == len(model.cluster_centers_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("name", ALL)
def test_two_orthogonal_rows_are_two_clusters(name):
    assert sorted(make(name, 2).fit(np.eye(2, 16)).labels_) == [0, 1]


@pytest.mark.parametrize(
    ("name", "sizes", "noise"),
    [
        ("mca", (500, 5, 5), 0),
        ("mca", (500, 5, 5), 0.05),
        ("mca", (500, 1), 0.05),
        ("rate", (500, 5, 5), 0),
        ("rate", (500, 5, 5), 0.05),
        ("rate", (500, 1), 0),
        ("rate", (400, 60, 20), 0.05),
    ],
)
def test_uneven_groups_are_not_cut_even(name, sizes, noise):
    X, y = orthogonal(sizes, noise=noise)
    model = make(name, len(sizes)).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.99


def test_separate_groups(clip_data):
    X, y = orthogonal([50, 3, 20, 1])
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    assert adjusted_rand_score(y, separate_groups(X, 4)) == 1
    assert separate_groups(X, 3) is None or separate_groups(X, 3).max() == 2
    assert separate_groups(X, 1) is None and separate_groups(X, 100) is None
    photos = clip_data("images_dtd.npz")["emb_test"].astype(np.float32)
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    assert all(separate_groups(photos, k) is None for k in (2, 5, 47))

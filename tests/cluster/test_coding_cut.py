"""Cuts that the coding rate chooses between, against loops in NumPy."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from sklearn_vlclust.cluster.spectral.coding_cut import (
    ClusterRates,
    cut_and_merge,
    partition_by_rate,
)
from sklearn_vlclust.cluster.spectral.cut import (
    SpectralCut,
    doubly_stochastic,
    neighbor_affinity,
)
from sklearn_vlclust.cluster.spectral.recipe import SpectralRecipe
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.neighbors import kneighbors


def subspaces(rng, n_groups, n_each=12, width=10, dimension=2):
    """Unit rows in random subspaces, and their groups."""
    bases = np.linalg.qr(rng.normal(size=(n_groups, width, dimension)))[0]
    y = np.repeat(np.arange(n_groups), n_each)
    X = np.einsum("nwd,nd->nw", bases[y], rng.normal(size=(len(y), dimension)))
    return X / np.linalg.norm(X, axis=1, keepdims=True), y


def loop_rate(X, labels, eps):
    """Eq. 2 of CPP, cluster by cluster."""
    n, d = X.shape
    total = 0.0
    for c in np.unique(labels):
        Z = X[labels == c]
        gram = np.eye(d) + d / (len(Z) * eps) * Z.T @ Z
        total += len(Z) / (2 * n) * np.linalg.slogdet(gram)[1]
    return total


def loop_merge(X, labels, k, eps, power):
    """Try every pair, keep the merge of least cost, until `k` are left."""
    while len(np.unique(labels)) > k:
        tried, now = [], loop_rate(X, labels, eps)
        for a, b in combinations(np.unique(labels), 2):
            grown = loop_rate(X, np.where(labels == b, a, labels), eps) - now
            smaller = min((labels == a).sum(), (labels == b).sum())
            tried.append((grown / smaller**power, a, b))
        _, a, b = min(tried)
        labels = np.where(labels == b, a, labels)
    return labels


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.sampled_from([0.05, 0.5]),
    st.sampled_from([0, 0.5]),
)
def test_merging_equals_loops(seed, k, eps, power):
    rng = np.random.default_rng(seed)
    X, _ = subspaces(rng, 3)
    labels = np.unique(rng.integers(0, 7, size=len(X)), return_inverse=True)[1]
    rate, merged = ClusterRates(torch.from_numpy(X), labels, eps).merge(k, power)
    expected = loop_merge(X, labels, k, eps, power)
    assert clustering_accuracy(expected, merged[labels]) == 1
    assert rate == pytest.approx(loop_rate(X, expected, eps))
    assert set(merged) == set(range(min(k, labels.max() + 1)))


@pytest.mark.parametrize("n_groups", [4, 20])  # all pairs are tried, or near ones
def test_halves_of_groups_are_merged(n_groups):
    X, y = subspaces(np.random.default_rng(0), n_groups, n_each=30, width=20)
    halves = 2 * y + np.arange(len(y)) % 2
    rates = ClusterRates(torch.from_numpy(X), halves)
    assert len(rates._near) <= 15 * 2 * n_groups
    _, merged = rates.merge(n_groups)
    assert clustering_accuracy(y, merged[halves]) == 1


def test_merging_repairs_a_cut_that_joins_groups():
    """The cut of this graph halves one digit and joins two others."""
    X, y = load_digits(return_X_y=True)
    rows = X - X.mean(axis=0)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    near, cosines = kneighbors(rows, 16, random_state=np.random.RandomState(0))
    graph = doubly_stochastic(neighbor_affinity(near, cosines, 0.06))
    cut = SpectralCut(graph, 15, np.random.RandomState(0), residue=0.3)
    plain, repaired = cut.labels(10, ward=True), cut_and_merge(cut, rows, 10)
    Z = rows.astype(float)
    assert loop_rate(Z, repaired, 0.1) < loop_rate(Z, plain, 0.1)
    assert clustering_accuracy(y, plain) < 0.85 < 0.9 < clustering_accuracy(y, repaired)


@pytest.mark.parametrize("seed", range(3))
def test_normalized_cut(seed):
    rng = np.random.RandomState(seed)
    near, cosines = kneighbors(
        subspaces(np.random.default_rng(seed), 3, n_each=20)[0], 5, random_state=rng
    )
    cut = SpectralCut(neighbor_affinity(near, cosines, 0.5), 4, rng)
    labels = rng.permutation(np.arange(60) % 4)
    graph, shares = cut.affinity.toarray(), []
    for c in range(4):
        inside = [i for i in range(60) if labels[i] == c]
        out = sum(graph[i, j] for i in inside for j in range(60) if labels[j] != c)
        shares.append(out / sum(graph[i, j] for i in inside for j in range(60)))
    assert cut.normalized_cut(labels) == pytest.approx(np.mean(shares))
    # Numbers without rows change nothing.
    assert cut.normalized_cut(2 * labels) == pytest.approx(np.mean(shares))


def test_digits_are_cut_from_their_pixels():
    """k-means has 79, Ward 84 and spectral clustering 81 percent there."""
    X, y = load_digits(return_X_y=True)
    labels = partition_by_rate(X.astype(np.float32), 10, np.random.RandomState(0))
    assert clustering_accuracy(y, labels) > 0.9


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_or_equal_rows(rows):
    equal = np.ones((rows, 3), dtype=np.float32)
    for k in range(1, rows + 1):
        labels = partition_by_rate(equal, k, np.random.RandomState(0))
        assert len(labels) == rows and labels.min() >= 0 and labels.max() < k


def test_clusters_of_which_no_row_is_looked_at():
    """Of every third row none is of cluster 2."""
    X, y = subspaces(np.random.default_rng(0), 2, n_each=30)
    y[[1, 2, 4]] = 2
    for k in (1, 2, 3):
        with SpectralRecipe.using(rated_rows=20):
            rates = ClusterRates(torch.from_numpy(X), y)
        _, merged = rates.merge(k)
        assert len(merged) == 3 and set(merged) == set(range(k))

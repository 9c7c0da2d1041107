import numpy as np
import pytest
from sklearn.datasets import load_digits

from sklearn_vlclust.cluster import _n_clusters
from sklearn_vlclust.cluster._n_clusters import (
    MOVES,
    choose,
    estimate_n_clusters,
    n_modes,
    persistence,
)
from sklearn_vlclust.cluster._spectral import (
    SpectralCut,
    doubly_stochastic,
    knn_affinity,
)
from sklearn_vlclust.metrics import coding_length, simplified_silhouette_score


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def subspaces(n_groups, size, seed, width=64, rank=4, noise=0.05):
    """Rows of `n_groups` random subspaces, with noise, and their groups."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(n_groups):
        basis = np.linalg.qr(rng.normal(size=(width, rank)))[0]
        parts.append(unit(rng.normal(size=(size, rank)) @ basis.T))
    X = np.concatenate(parts)
    X += noise * rng.normal(size=X.shape) / np.sqrt(width)
    return unit(X), np.repeat(np.arange(n_groups), size)


def cut(rows, k_values, n_neighbors=10):
    rng = np.random.RandomState(0)
    membership = doubly_stochastic(knn_affinity(rows, n_neighbors, 0.1, rng))
    return SpectralCut(membership, n_modes(k_values, len(rows)), rng, 0.2)


def slow_coding_length(Z, labels, eps):
    n, d = Z.shape
    total = 0.0
    for label in set(labels.tolist()):
        rows = Z[labels == label]
        m = len(rows)
        covariance = sum(np.outer(row, row) for row in rows)
        _, logdet = np.linalg.slogdet(np.eye(d) + d / (m * eps) * covariance)
        total += (m + d) / 2 * logdet - m * np.log(m / n)
    return total


@pytest.mark.parametrize("eps", [0.1, 1.0])
@pytest.mark.parametrize("n_labels", [1, 4, 60])  # more and fewer rows than columns
def test_coding_length_equals_loops(eps, n_labels):
    Z, _ = subspaces(4, 40, 0, width=20)
    Z = Z.astype(np.float64)
    labels = np.random.default_rng(1).integers(n_labels, size=len(Z))
    expected = slow_coding_length(Z, labels, eps)
    assert coding_length(Z, labels, eps) == pytest.approx(expected, rel=1e-10)
    single = coding_length(Z.astype(np.float32), labels, eps)
    assert single == pytest.approx(expected, rel=1e-5)


def test_coding_length_refuses():
    with pytest.raises(ValueError, match="eps=0 should be positive"):
        coding_length(np.eye(3), [0, 1, 2], eps=0)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        coding_length(np.eye(3), [0, 1])


@pytest.mark.parametrize("criterion", ["persistence", "coding_length"])
@pytest.mark.parametrize(("n_groups", "size"), [(3, 100), (10, 100), (30, 80)])
def test_number_of_subspaces_is_exact(criterion, n_groups, size):
    k_values = np.arange(2, n_groups + 12)
    exact = 0
    for seed in range(3):
        rows, _ = subspaces(n_groups, size, seed)
        found, curves = estimate_n_clusters(
            cut(rows, k_values), rows, k_values, criterion
        )
        exact += found == n_groups
        assert {len(curve) for curve in curves.values()} == {len(k_values)}
    assert exact == 3


def test_persistence_is_zero_without_structure_and_high_with_it():
    rng = np.random.default_rng(0)
    k_values = np.arange(2, 20)
    noise = unit(rng.normal(size=(500, 3)))
    graph = cut(noise, k_values)
    assert persistence(graph, [graph.labels(k) for k in k_values]).max() < 0.05
    rows, groups = subspaces(8, 60, 0)
    graph = cut(rows, k_values)
    shuffled = rng.permutation(groups)
    right, wrong = persistence(graph, [groups, shuffled])
    assert right > 0.1 and wrong == 0


def slow_persistence(graph, labels):
    """One clustering and one time after the other, with all modes."""
    stay = (graph.affinity.diagonal() / graph.affinity.sum(axis=1)).mean()
    total = 0.0
    for moves in MOVES:
        weights = graph.eigenvalues.clip(0) ** (moves / (1 - stay))
        rows = graph.eigenvectors * weights
        ends = [graph.labels(2), graph.labels(graph.max_k)]
        worth = [simplified_silhouette_score(rows, row) for row in [labels, *ends]]
        total += max(0, worth[0] - max(worth[1:]))
    return total / len(MOVES)


def test_persistence_equals_loops():
    rows, groups = subspaces(8, 60, 0)
    graph = cut(rows, np.arange(2, 20))
    labels = [graph.labels(k) for k in (3, 7, 8, 15)] + [groups]
    expected = [slow_persistence(graph, row) for row in labels]
    assert max(expected) > 0.1
    np.testing.assert_allclose(persistence(graph, labels), expected, atol=1e-3)


def test_clusters_of_which_no_row_is_looked_at(monkeypatch):
    """A sample that has rows of one cluster only has no silhouette."""
    rows, groups = subspaces(8, 60, 0)
    graph = cut(rows, np.arange(2, 20))
    few = np.zeros(len(rows), dtype=int)
    few[1] = 1
    monkeypatch.setattr(_n_clusters, "SAMPLE_ROWS", 48)
    wrong, right = persistence(graph, [few, groups])
    assert wrong == 0 and right > 0.05


def test_number_of_digits():
    X, _ = load_digits(return_X_y=True)
    rows = unit(X - X.mean(axis=0))
    k_values = np.arange(2, 31)
    found, curves = estimate_n_clusters(cut(rows, k_values), rows, k_values)
    assert 8 <= found <= 13
    assert curves["persistence"].argmax() + 2 == found


def test_choice():
    k_values = np.array([2, 3, 5, 9])
    curves = {"coding_length": np.array([7.0, 4.0, 4.0, 6.0])}
    curves["persistence"] = np.array([0, 0.1, 0.3, 0.2])
    assert choose(k_values, curves, "persistence") == 5
    assert choose(k_values, curves, "coding_length") == 3
    curves["persistence"] = np.array([0, 0.296, 0.3, 0.2])
    assert choose(k_values, curves, "persistence") == 3  # both agree, about
    curves["persistence"] = np.full(4, 1e-3) * [1, 0, 1, 1]
    assert choose(k_values, curves, "persistence") == 2


@pytest.mark.parametrize("n", [2, 5, 9])
def test_few_rows(n):
    rows = unit(np.random.default_rng(0).normal(size=(n, 4)))
    k_values = np.arange(1, n + 1)
    found, curves = estimate_n_clusters(cut(rows, k_values), rows, k_values)
    assert found == 1
    assert np.isfinite(curves["coding_length"]).all()

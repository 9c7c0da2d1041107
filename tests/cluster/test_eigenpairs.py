import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from sklearn.datasets import make_blobs

from sklearn_vlclust.cluster.spectral import eigenpairs as eigen_module
from sklearn_vlclust.cluster.spectral.cut import knn_affinity
from sklearn_vlclust.cluster.spectral.eigenpairs import (
    dense_eigenpairs,
    lanczos_eigenpairs,
)

NONE = csr_array((600, 0))


def graph(loops, n=600):
    """A connected graph of near rows, with eigenvalues between -1 and 1."""
    X, _ = make_blobs(n, 8, centers=20, cluster_std=6, random_state=0)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True)
    affinity = knn_affinity(
        rows.astype(np.float32), 8, 0.1, np.random.RandomState(0), loops
    )
    assert connected_components(affinity)[0] == 1
    root = diags_array(1 / np.sqrt(affinity.sum(axis=1)))
    return (root @ affinity @ root).tocsr()


def bipartite(n):
    """A random graph between two halves: for each eigenvalue also its negative."""
    half = np.random.default_rng(0).uniform(size=(n // 2, n // 2)) < 0.03
    matrix = np.block([[np.zeros_like(half), half], [half.T, np.zeros_like(half)]])
    root = diags_array(1 / np.sqrt(matrix.sum(axis=1).clip(1)))
    return (root @ csr_array(matrix.astype(float)) @ root).tocsr()


def assert_same(matrix, found, k):
    expected = np.linalg.eigvalsh(matrix.toarray())[::-1][:k]
    values, vectors = found
    np.testing.assert_allclose(values, expected, atol=1e-7)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-4)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-10)


@pytest.mark.parametrize("loops", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("k", [1, 6, 70])
def test_both_equal_the_full_decomposition(loops, k):
    matrix = graph(loops)
    rng = np.random.RandomState(0)
    assert_same(matrix, lanczos_eigenpairs(matrix, NONE, k, rng), k)
    assert_same(matrix, dense_eigenpairs(matrix, NONE, k), k)


def test_negative_eigenvalues_as_large_as_the_positive_ones():
    matrix = bipartite(600)
    found = lanczos_eigenpairs(matrix, NONE, 20, np.random.RandomState(0))
    assert_same(matrix, found, 20)


def test_what_is_known_is_left_out():
    matrix = graph(1.0)
    values, vectors = np.linalg.eigh(matrix.toarray())
    ones = values > 1 - 1e-9
    known = csr_array(vectors[:, ones])
    k = 12
    expected = values[~ones][::-1][:k]
    for found, found_vectors in (
        lanczos_eigenpairs(matrix, known, k, np.random.RandomState(0)),
        dense_eigenpairs(matrix, known, k),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-7)
        assert np.abs(known.T @ found_vectors).max() < 1e-6


def test_the_polynomial_saves_steps(monkeypatch):
    """The basis grows by a few steps only: that is what time goes into."""
    matrix, steps = graph(0.0), []
    eigsh = eigen_module.eigsh

    def counting(operator, *args, **params):
        product = operator.matvec
        steps.append(0)

        def count(x):
            steps[-1] += 1
            return product(x)

        counted = eigen_module.LinearOperator(operator.shape, count, dtype=np.float64)
        return eigsh(counted, *args, **params)

    monkeypatch.setattr(eigen_module, "eigsh", counting)
    lanczos_eigenpairs(matrix, NONE, 70, np.random.RandomState(0))
    monkeypatch.setattr(eigen_module, "_unwanted", lambda *args: (0.0, 0.0))
    lanczos_eigenpairs(matrix, NONE, 70, np.random.RandomState(0))
    filtered, plain = steps
    assert filtered < plain / 2


@pytest.mark.parametrize("count", [1, 20, 69])
def test_a_bound_above_wanted_eigenvalues_is_noticed(monkeypatch, count):
    matrix = graph(0.0)
    values = np.linalg.eigvalsh(matrix.toarray())
    bound = values[::-1][count - 1] - 1e-6
    monkeypatch.setattr(eigen_module, "_unwanted", lambda *args: (values[0], bound))
    assert_same(
        matrix, lanczos_eigenpairs(matrix, NONE, 70, np.random.RandomState(0)), 70
    )


@pytest.mark.parametrize("k", [1, 9, 80])
def test_more_than_k_eigenvalues_exceed_the_bound(k):
    matrix = graph(0.0)
    values = np.linalg.eigvalsh(matrix.toarray())[::-1]
    for seed in range(10):
        start = np.random.RandomState(seed).normal(size=600)
        low, bound = eigen_module._unwanted(matrix, NONE, k, start)
        assert values[-1] - 1e-9 <= low < bound
        assert k < (values > bound).sum() < 6 * k + 60


def test_a_graph_of_one_eigenvalue_has_no_bound():
    matrix = csr_array(np.eye(600))
    start = np.random.RandomState(0).normal(size=600)
    low, bound = eigen_module._unwanted(matrix, NONE, 5, start)
    assert low == bound == pytest.approx(1)

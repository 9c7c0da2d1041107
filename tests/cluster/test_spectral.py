import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.cluster import SpectralClustering
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score

from sklearn_vlclust.cluster.spectral.cut import (
    SpectralCut,
    by_size,
    doubly_stochastic,
    knn_affinity,
)


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return unit(X), y


def make_affinity(rows, n_neighbors=10, gamma=0.1, **params):
    return knn_affinity(rows, n_neighbors, gamma, np.random.RandomState(0), **params)


@pytest.mark.parametrize("loops", [1.0, 0.0])
def test_affinity_equals_loops(digits, loops):
    rows, k, gamma = digits[0][:60] - 0.1, 7, 0.2
    rows = unit(rows)
    cosines = rows @ rows.T
    expected = np.zeros((60, 60))
    for i in range(60):
        others = [j for j in np.argsort(-cosines[i]) if j != i][:k]
        for j in others:
            expected[i, j] = expected[j, i] = np.exp((abs(cosines[i, j]) - 1) / gamma)
        expected[i, i] = loops
    found = make_affinity(rows, k, gamma, loops=loops)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-5)


def test_membership_is_doubly_stochastic_and_exactly_symmetric(digits):
    membership = doubly_stochastic(make_affinity(digits[0]))
    assert (membership != membership.T).nnz == 0
    np.testing.assert_allclose(membership.sum(axis=0), 1, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_any_positive_symmetric_matrix_is_scaled(n, seed):
    matrix = np.random.default_rng(seed).uniform(0.01, 1, size=(n, n))
    membership = doubly_stochastic(matrix + matrix.T).toarray()
    np.testing.assert_allclose(membership.sum(axis=1), 1, atol=1e-5)


def test_membership_that_does_not_converge_is_said():
    star = np.zeros((6, 6))
    star[0, 1:] = star[1:, 0] = 1  # no scaling makes all its sums one
    with pytest.warns(ConvergenceWarning, match="a row sum differs from 1 by"):
        doubly_stochastic(star)


def test_isolated_rows_are_groups_of_their_own():
    graph = np.zeros((5, 5))
    graph[0, 1] = graph[1, 0] = 1
    cut = SpectralCut(doubly_stochastic(graph), 4, np.random.RandomState(0))
    np.testing.assert_array_equal(cut.labels(4), [0, 0, 1, 2, 3])


@pytest.mark.parametrize("n", [300, 1797])  # dense, and iterative
def test_eigenvalues_equal_those_of_the_full_matrix(digits, n):
    membership = doubly_stochastic(make_affinity(digits[0][:n]))
    cut = SpectralCut(membership, 12, np.random.RandomState(0))
    expected = np.linalg.eigvalsh(membership.toarray())[::-1][:12]
    np.testing.assert_allclose(cut.eigenvalues, expected, atol=1e-6)
    product = membership @ cut.eigenvectors
    np.testing.assert_allclose(product, cut.eigenvectors * expected, atol=1e-3)


def test_labels_agree_with_sklearn(digits):
    affinity = make_affinity(digits[0], loops=0.0)
    cut = SpectralCut(affinity, 12, np.random.RandomState(0))
    for k in (3, 10, 12):
        sklearn = SpectralClustering(
            k, affinity="precomputed", n_init=10, random_state=0
        ).fit_predict(affinity)
        assert normalized_mutual_info_score(cut.labels(k), sklearn) > 0.9


def test_labels_are_repeatable_by_size_and_without_gaps(digits):
    membership = doubly_stochastic(make_affinity(digits[0]))
    cut = SpectralCut(membership, 15, np.random.RandomState(0))
    first = {k: cut.labels(k) for k in (15, 2, 7)}
    for k, labels in first.items():
        np.testing.assert_array_equal(cut.labels(k), labels)
        counts = np.bincount(labels)
        assert len(counts) == k and (np.diff(counts) <= 0).all()
    again = SpectralCut(membership, 15, np.random.RandomState(0))
    np.testing.assert_array_equal(again.labels(7), first[7])


def test_components_are_found_exactly():
    # 40 groups without links: an iterative solver alone misses some.
    X, y = make_blobs(2000, 40, centers=40 * np.eye(40), random_state=0)
    affinity = make_affinity(unit(X), 8)
    cut = SpectralCut(affinity, 50, np.random.RandomState(0))
    assert (cut.eigenvalues == 1).sum() == 40
    assert normalized_mutual_info_score(cut.labels(40), y) == pytest.approx(1)
    assert len(np.bincount(cut.labels(10))) == 10
    assert len(np.bincount(cut.labels(50))) == 50


@pytest.mark.parametrize("rows", [np.ones((30, 4)), np.repeat(np.eye(3), 10, axis=0)])
def test_duplicates(rows):
    membership = doubly_stochastic(make_affinity(unit(rows), 5))
    cut = SpectralCut(membership, 30, np.random.RandomState(0))
    for k in (1, 2, 3, 7):
        assert 1 <= len(set(cut.labels(k))) <= k


def test_residue_weakens_the_last_eigenvectors(digits):
    membership = doubly_stochastic(make_affinity(digits[0]))
    plain = SpectralCut(membership, 12, np.random.RandomState(0))
    weighted = SpectralCut(membership, 12, np.random.RandomState(0), residue=0.2)
    same = normalized_mutual_info_score(plain.labels(12), weighted.labels(12))
    assert 0.8 < same < 1


@pytest.mark.parametrize("k", [0, 6])
def test_k_out_of_reach(digits, k):
    cut = SpectralCut(make_affinity(digits[0][:50]), 5, np.random.RandomState(0))
    with pytest.raises(ValueError, match="between 1 and max_k=5"):
        cut.labels(k)


def test_one_row():
    cut = SpectralCut(make_affinity(np.ones((1, 3))), 1, np.random.RandomState(0))
    np.testing.assert_array_equal(cut.labels(1), [0])


def test_by_size():
    np.testing.assert_array_equal(
        by_size(np.array([7, 3, 3, 9, 9, 3])), [2, 0, 0, 1, 1, 0]
    )


def test_scaling_is_silent_where_it_converges(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doubly_stochastic(csr_array(make_affinity(digits[0])))


def odd_rows_beside_groups():
    """Affinity of four groups, two of them near each other, and of two odd rows."""
    y = np.repeat([0, 1, 2, 3, -1], [10, 10, 10, 10, 2])
    affinity = (y[:, None] == y).astype(float)
    near = np.isin(y, [2, 3])
    affinity[np.ix_(near, near)] = np.maximum(affinity[np.ix_(near, near)], 0.3)
    odd = y == -1
    affinity[odd] = np.where(y == 2, 0.026, 0.018)  # 0.8 in all
    affinity[:, odd] = affinity[odd].T
    affinity[np.ix_(odd, odd)] = 0.5
    np.fill_diagonal(affinity, 1)
    return csr_array(affinity), y


def test_clusters_that_belong_elsewhere_are_none():
    affinity, y = odd_rows_beside_groups()
    cut = SpectralCut(affinity, 4, np.random.RandomState(0), residue=0.3)
    labels = cut.labels(4, ward=True)
    assert np.bincount(labels).tolist() == [20, 10, 10, 2]
    # Of the affinity of an odd row to others 0.5 leads to the other one, 0.8 out.
    labels = cut.labels(4, ward=True, trimmed=True)
    assert normalized_mutual_info_score(y[y >= 0], labels[y >= 0]) == pytest.approx(1)
    assert np.bincount(labels).sum() == len(y)


def test_clusters_of_what_belongs_together_stay():
    affinity, y = odd_rows_beside_groups()
    affinity = affinity.toarray()
    odd = y == -1
    affinity[np.ix_(odd, odd)] = 1  # more than the 0.8 that lead out
    cut = SpectralCut(csr_array(affinity), 4, np.random.RandomState(0), residue=0.3)
    labels = cut.labels(4, ward=True, trimmed=True)
    np.testing.assert_array_equal(labels, cut.labels(4, ward=True))
    assert np.bincount(labels).min() == 2


def test_groups_apart_are_firm(digits):
    rows = digits[0]
    cut = SpectralCut(make_affinity(rows), 10, np.random.RandomState(0))
    np.testing.assert_array_equal(
        cut.labels(10, ward=True), cut.labels(10, ward=True, trimmed=True)
    )

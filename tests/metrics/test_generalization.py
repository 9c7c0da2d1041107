"""Generalization of clusters: against scikit-learn's ridge, at chance, and its time."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import KFold, cross_val_predict

from sklearn_vlclust.embedding._rows import UnitRows
from sklearn_vlclust.metrics import _generalization, generalization


def slow(X, labels, alpha, n_folds, seed):
    """A RidgeClassifier a fold, and Cohen's kappa; no noise."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    X = X - X.mean(axis=0)
    X /= np.sqrt((X**2).sum(axis=1).mean())
    folds = KFold(n_folds, shuffle=True, random_state=seed)
    predicted = cross_val_predict(RidgeClassifier(alpha=alpha), X, labels, cv=folds)
    return cohen_kappa_score(labels, predicted)


@pytest.mark.parametrize("k", [2, 5, 12])
@pytest.mark.parametrize("d", [8, 200])  # more features than rows, too
@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_equals_ridge_classifiers_of_scikit_learn(k, d, alpha):
    X, labels = make_blobs(120, d, centers=k, cluster_std=4, random_state=k)
    for seed, folds in ((0, 5), (3, 2)):
        expected = slow(X, labels, alpha, folds, seed)
        found = generalization(X, labels, alpha=alpha, n_folds=folds, rng=seed)
        assert found == pytest.approx(expected, abs=1e-6)


@given(
    n=st.integers(2, 40),
    d=st.integers(1, 50),
    k=st.integers(1, 40),
    noisy=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_names_of_clusters_do_not_matter(n, d, k, noisy, seed):
    rng = np.random.RandomState(seed)
    X, labels = rng.standard_normal((n, d)) + 0.1, rng.randint(k, size=n)
    renamed = 3 * rng.permutation(k)[labels] + 7
    if noisy:
        labels[::3], renamed[::3] = -1, -5
    score = generalization(X, labels)
    # Clusters of the same score are told apart by their names: that of one row at most.
    assert generalization(X, renamed) == pytest.approx(score, abs=2 / n)
    assert -1 <= score <= 1
    assert generalization(7 * X, labels) == pytest.approx(score, abs=2 / n)


@given(k=st.integers(2, 30), power=st.floats(0, 3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_chance_is_zero_for_even_and_uneven_clusters(k, power, seed):
    rng = np.random.RandomState(seed)
    shares = np.arange(1, k + 1) ** -power
    labels = rng.choice(k, 1000, p=shares / shares.sum())
    assert abs(generalization(rng.standard_normal((1000, 16)), labels)) < 0.12


def test_clusters_that_are_there_are_told_from_others():
    X, groups = make_blobs(300, 16, centers=6, random_state=0)
    rng = np.random.RandomState(0)
    assert generalization(X, groups) > 0.99
    split = 2 * groups + rng.randint(2, size=300)
    assert 0.3 < generalization(X, split) < 0.7
    wrong = np.where(rng.rand(300) < 0.3, rng.randint(6, size=300), groups)
    assert 0.5 < generalization(X, wrong) < 0.8


def test_few_rows_one_cluster_and_clusters_of_one_row():
    X, groups = make_blobs(40, 4, centers=2, random_state=0)
    for labels in (np.zeros(40), np.full(40, -1), np.where(groups, 5, -1)):
        assert generalization(X, labels) == 0
    assert -0.1 < generalization(X, np.arange(40)) <= 0
    assert generalization(X[:1], [0]) == 0
    assert generalization(X[:2], [0, 1]) <= 0
    assert generalization(X[:4], [0, 0, 1, 1]) <= 1


def test_noise_is_not_predicted():
    X, groups = make_blobs(200, 8, centers=4, random_state=0)
    half = np.where(np.arange(200) % 2, groups, -1)
    assert generalization(X, half) == pytest.approx(0.43, abs=0.03)
    # It is not learned: what is called so changes nothing in the prediction of others.
    foreign = np.concatenate([X, -10 * X[:50]])
    labels = np.concatenate([groups, np.full(50, -1)])
    assert 0.7 < generalization(foreign, labels) < 0.8


def test_rows_of_any_kind():
    X, groups = make_blobs(90, 8, centers=3, cluster_std=5, random_state=0)
    score = generalization(X, groups)
    assert 0.3 < score < 0.99
    assert generalization(X.tolist(), groups.tolist()) == score
    assert generalization(UnitRows(X), groups) == pytest.approx(score, abs=1e-3)
    assert generalization(UnitRows(X, dense_bytes=0), groups) == score
    named = np.array(["cat", "dog", "eel"])[groups]
    assert generalization(X, named) == score
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        generalization(X, groups[1:])
    with pytest.raises(ValueError, match="alpha must be positive, got 0"):
        generalization(X, groups, alpha=0)
    with pytest.raises(ValueError, match="n_folds must be 2 or more, got 1"):
        generalization(X, groups, n_folds=1)
    with pytest.raises(ValueError, match="Row 3 of X is all zeros"):
        generalization(X * (np.arange(90) != 3)[:, None], groups)


def test_many_rows_are_sampled(monkeypatch):
    X, groups = make_blobs(3000, 8, centers=5, cluster_std=5, random_state=0)
    whole = generalization(X, groups)
    monkeypatch.setattr(_generalization, "MAX_ROWS", 1000)
    assert generalization(X, groups) == pytest.approx(whole, abs=0.05)
    assert generalization(X, groups) == generalization(X, groups)


def test_time_for_many_clusters():
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((4000, 512)), rng.integers(200, size=4000)
    start = time.process_time()
    generalization(X, labels)
    assert time.process_time() - start < 2  # .3 s of one thread; others may run


def test_digits_are_learned_better_than_pairs_of_them():
    X, y = load_digits(return_X_y=True)
    assert generalization(X, y) > generalization(X, y // 2) > 0.5

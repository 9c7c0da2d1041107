"""Generalization of clusters: against scikit-learn's ridge, at chance, and its time."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import KFold

from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import generalization, learned_information


def information(true, predicted):
    """Mutual information in nats, a pair of clusters at a time."""
    total = 0.0
    for a in set(true):
        for b in set(predicted):
            both = np.mean((true == a) & (predicted == b))
            if both:
                apart = np.mean(true == a) * np.mean(predicted == b)
                total += both * np.log(both / apart)
    return total


def slow(X, labels, alpha, n_folds, seed):
    """A RidgeClassifier a fold, and chance by permutations; no noise."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    X = X - X.mean(axis=0)
    X /= np.sqrt((X**2).sum(axis=1).mean())
    true, predicted = [], []
    for others, fold in KFold(n_folds, shuffle=True, random_state=seed).split(X):
        classifier = RidgeClassifier(alpha=alpha).fit(X[fold], labels[fold])
        true.append(labels[others])
        predicted.append(classifier.predict(X[others]))
    true, predicted = np.concatenate(true), np.concatenate(predicted)
    rng = np.random.RandomState(0)
    chance = np.mean(
        [information(rng.permutation(true), predicted) for _ in range(200)]
    )
    found, entropy = information(true, predicted), information(true, true)
    return (found - chance) / (entropy - chance)


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("d", [8, 200])  # more features than rows, too
@pytest.mark.parametrize(("alpha", "folds"), [(0.1, 4), (10.0, 2)])
def test_equals_ridge_classifiers_of_scikit_learn(k, d, alpha, folds):
    X, labels = make_blobs(120, d, centers=k, cluster_std=4, random_state=k)
    for seed in (0, 3):
        expected = slow(X, labels, alpha, folds, seed)
        found = generalization(X, labels, alpha=alpha, n_folds=folds, rng=seed)
        assert found == pytest.approx(expected, abs=0.005)


@given(
    n=st.integers(2, 40),
    d=st.integers(2, 50),
    k=st.integers(1, 40),
    noisy=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_names_of_clusters_and_lengths_do_not_matter(n, d, k, noisy, seed):
    rng = np.random.RandomState(seed)
    X, labels = rng.standard_normal((n, d)), rng.randint(k, size=n)
    renamed = 3 * rng.permutation(k)[labels] + 7
    if noisy:
        labels[::3], renamed[::3] = -1, -5
    score = generalization(X, labels)
    assert 0 <= score <= 1
    assert 0 <= learned_information(X, labels) <= np.log(k)
    # Rows that are about as near to two clusters may go to either.
    near = pytest.approx(score, abs=0.2)
    assert generalization(X, renamed) == near and generalization(7 * X, labels) == near


@given(k=st.integers(2, 100), power=st.floats(0, 3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_chance_is_zero_for_even_and_uneven_clusters(k, power, seed):
    rng = np.random.RandomState(seed)
    shares = np.arange(1, k + 1) ** -power
    labels = rng.choice(k, 1000, p=shares / shares.sum())
    assert generalization(rng.standard_normal((1000, 16)), labels) < 0.03


def test_clusters_that_are_there_are_told_from_others():
    X, groups = make_blobs(600, 16, centers=6, random_state=0)
    rng = np.random.RandomState(0)
    assert generalization(X, groups) > 0.99
    assert learned_information(X, groups) == pytest.approx(np.log(6), rel=0.02)
    for labels in (
        2 * groups + rng.randint(2, size=600),  # split at random
        np.where(rng.rand(600) < 0.3, rng.randint(6, size=600), groups),
    ):
        assert 0.2 < generalization(X, labels) < 0.9
        assert learned_information(X, labels) < 0.8 * np.log(6)
    merged = groups // 2
    assert generalization(X, merged) > 0.99
    assert learned_information(X, merged) < learned_information(X, groups)


def test_the_number_of_groups_has_the_most_information():
    X, _ = make_blobs(300, 16, centers=8, random_state=0)
    scores = {}
    for k in (2, 4, 6, 8, 10, 16, 40):
        labels = KMeans(k, n_init=5, random_state=0).fit_predict(X)
        scores[k] = learned_information(X, labels)
    assert max(scores, key=scores.get) == 8


def test_few_rows_one_cluster_and_clusters_of_one_row():
    X, groups = make_blobs(40, 4, centers=2, random_state=0)
    trivial = [np.zeros(40), np.full(40, -1), np.where(groups, 5, -1), np.arange(40)]
    for score in (generalization, learned_information):
        for labels in trivial:
            assert score(X, labels) == 0
        assert score(X[:1], [0]) == score(X[:2], [0, 1]) == 0
        assert 0 <= score(X[:4], [0, 0, 1, 1]) <= 1
    own = generalization(X, groups)
    one_apart = np.where(np.arange(40) == 3, 2, groups)
    assert 0.5 < generalization(X, one_apart) < own


def test_noise_is_left_out_and_counts():
    X, groups = make_blobs(400, 8, centers=4, random_state=0)
    half = np.where(np.arange(400) % 2, groups, -1)
    assert generalization(X, half) == pytest.approx(0.5, abs=0.01)
    foreign = np.concatenate([X, -10 * X[:100]])
    labels = np.concatenate([groups, np.full(100, -1)])
    assert generalization(foreign, labels) == pytest.approx(0.8, abs=0.01)


def test_rows_of_any_kind():
    X, groups = make_blobs(90, 8, centers=3, cluster_std=5, random_state=0)
    score = generalization(X, groups)
    assert 0.1 < score < 0.99
    assert generalization(X.tolist(), groups.tolist()) == score
    for rows in (UnitRows(X), UnitRows(X, dense_bytes=0)):
        assert generalization(rows, groups) == pytest.approx(score, abs=1e-3)
    named = np.array(["cat", "dog", "eel"])[groups]
    assert generalization(X, named) == score
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        generalization(X, groups[1:])
    with pytest.raises(ValueError, match="alpha must be positive, got 0"):
        learned_information(X, groups, alpha=0)
    with pytest.raises(ValueError, match="n_folds must be 2 or more, got 1"):
        generalization(X, groups, n_folds=1)
    with pytest.raises(ValueError, match="Row 3 of X is all zeros"):
        generalization(X * (np.arange(90) != 3)[:, None], groups)


class Watched:
    """Rows that keep the numbers of those that were asked for."""

    def __init__(self, X):
        self.X, self.shape, self.asked = X, X.shape, []

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.X[index]


def test_many_rows_are_sampled():
    X, groups = make_blobs(60_000, 8, centers=5, cluster_std=5, random_state=0)
    rows = Watched(X)
    sampled = generalization(rows, groups)
    (asked,) = rows.asked
    assert len(np.unique(asked)) == len(asked) == 20_000
    assert asked.min() < 100 and asked.max() > 59_900
    # As few as are not sampled.
    whole = generalization(X[:20_000], groups[:20_000])
    assert sampled == pytest.approx(whole, abs=0.02) and sampled != whole
    assert generalization(X, groups) == pytest.approx(sampled, abs=1e-3)


def test_time_for_many_clusters():
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((4000, 512)), rng.integers(200, size=4000)
    start = time.process_time()
    generalization(X, labels)
    assert time.process_time() - start < 2  # .2 s of one thread; others may run

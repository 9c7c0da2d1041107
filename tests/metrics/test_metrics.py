from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_blobs

from sklearn_vlclust.metrics import (
    adjusted_rand_score,
    clustering_accuracy,
    match_clusters,
    normalized_mutual_info_score,
    simplified_silhouette_score,
)

labels = st.lists(st.integers(0, 3), min_size=1, max_size=25)


@given(st.data(), labels)
def test_accuracy_equals_the_best_of_all_matchings(data, true):
    n = len(true)
    pred = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    best = max(
        np.mean([names[p] == t for p, t in zip(pred, true)])
        for names in permutations(range(4))
    )
    assert clustering_accuracy(true, pred) == pytest.approx(best)


@given(labels, st.permutations(range(4)))
def test_accuracy_ignores_how_clusters_are_numbered(true, names):
    assert clustering_accuracy(true, [names[t] for t in true]) == 1


@pytest.mark.parametrize(
    ("true", "pred", "accuracy"),
    [
        ([0, 0, 1, 1], [0, 1, 2, 3], 0.5),  # more clusters than classes
        ([0, 1, 2, 3], [0, 0, 0, 0], 0.25),  # fewer
        (["cat", "dog"], [5, -1], 1.0),
    ],
)
def test_accuracy_with_unequal_numbers(true, pred, accuracy):
    assert clustering_accuracy(true, pred) == accuracy


def test_match_names_clusters_by_class():
    assert match_clusters(["a", "a", "b"], [3, 3, 1]) == {3: "a", 1: "b"}


def test_unequal_lengths_and_no_samples_are_refused():
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, 2\]"):
        clustering_accuracy([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="empty"):
        clustering_accuracy([], [])


def test_sklearn_scores_are_the_same_objects():
    from sklearn import metrics

    assert adjusted_rand_score is metrics.adjusted_rand_score
    assert normalized_mutual_info_score is metrics.normalized_mutual_info_score


def slow_silhouette(X, labels):
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    values = []
    for x, label in zip(X, labels):
        distances = {}
        for other in set(labels):
            center = X[labels == other].mean(axis=0)
            distances[other] = 1 - x @ center / np.linalg.norm(center)
        a = distances.pop(label)
        b = min(distances.values())
        values.append((b - a) / max(a, b))
    return np.mean(values)


@pytest.mark.parametrize("k", [2, 5])
def test_silhouette_equals_loops(k):
    X, y = make_blobs(60, 6, centers=k, random_state=k)
    assert simplified_silhouette_score(X, y) == pytest.approx(
        slow_silhouette(X, y), abs=1e-4
    )


def test_silhouette_of_many_clusters():
    """So many that rows are compared with the centers in blocks."""
    k, n = 1500, 6000
    X, y = np.random.default_rng(0).normal(size=(n, 6)), np.arange(n) % k
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    centers = np.zeros((k, 6))
    np.add.at(centers, y, X)
    cosines = X @ (centers / np.linalg.norm(centers, axis=1, keepdims=True)).T
    own = np.arange(n), y
    a = 1 - cosines[own]
    cosines[own] = -1
    b = 1 - cosines.max(axis=1)
    expected = np.mean((b - a) / np.maximum(a, b))
    assert simplified_silhouette_score(X, y) == pytest.approx(expected, abs=1e-4)


def test_silhouette_prefers_the_true_number_of_clusters():
    X, y = make_blobs(200, centers=10 * np.eye(8)[:4], random_state=0)
    merged, split = np.minimum(y, 2), np.where((y == 3) & (X[:, 0] > 0), 4, y)
    best = simplified_silhouette_score(X, y)
    assert best > simplified_silhouette_score(X, merged) + 0.1
    assert best > simplified_silhouette_score(X, split) + 0.1
    assert simplified_silhouette_score(X, np.zeros(200)) == 0

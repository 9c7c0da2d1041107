import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import normalized_mutual_info_score

from sklearn_vlclust.cluster import _spherical_kmeans
from sklearn_vlclust.cluster._kmeans_plusplus import kmeans_plusplus
from sklearn_vlclust.cluster._spherical_kmeans import lloyd, spherical_kmeans


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def blobs(n, centers, width=12, std=3.0, seed=0):
    X, y = make_blobs(n, width, centers=centers, cluster_std=std, random_state=seed)
    return unit(X), y


def plain_lloyd(rows, centers, rounds):
    """Compare every row with every center in every round."""
    rows = rows.astype(np.float64)
    labels = None
    for _ in range(rounds):
        cosines = rows @ centers.T
        before, labels = labels, cosines.argmax(axis=1)
        if before is not None and (before == labels).all():
            break
        sums = np.array([rows[labels == c].sum(axis=0) for c in range(len(centers))])
        empty = [c for c in range(len(centers)) if not (labels == c).any()]
        own = cosines[np.arange(len(rows)), labels]
        sums[empty] = rows[np.argsort(own)[: len(empty)]]
        centers = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return labels, centers, cosines.max(axis=1).mean()


@pytest.mark.parametrize("rounds", [1, 3, 20])
@pytest.mark.parametrize("k", [1, 2, 7, 40])
@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_leave_labels_as_they_would_be(rounds, k, seed):
    rows, _ = blobs(1500, 15, seed=seed)
    start = rows[np.random.default_rng(seed).choice(len(rows), k, replace=False)]
    labels, centers, cosine = lloyd(rows, start, rounds)
    expected, expected_centers, expected_cosine = plain_lloyd(rows, start, rounds)
    np.testing.assert_array_equal(labels, expected)
    assert cosine == pytest.approx(expected_cosine, abs=1e-6)
    np.testing.assert_allclose(centers, expected_centers, atol=1e-5)


def test_empty_clusters_get_the_farthest_rows():
    rows, _ = blobs(300, 6)
    start = np.concatenate([rows[:3], -rows[:1], -rows[:1]])
    start[3:] = start[4]  # the two coincide
    labels = lloyd(rows, start, 20)[0]
    np.testing.assert_array_equal(labels, plain_lloyd(rows, start, 20)[0])
    assert len(np.unique(labels)) == 5


def test_few_rows_are_compared_again(monkeypatch):
    """The longer it takes, the more work is saved by bounds."""
    rows, _ = blobs(2000, 15)
    compared = []
    nearest = _spherical_kmeans._nearest
    monkeypatch.setattr(
        _spherical_kmeans,
        "_nearest",
        lambda x, centers: compared.append(len(x)) or nearest(x, centers),
    )
    lloyd(rows, kmeans_plusplus(rows, 7, 1, np.random.RandomState(0))[0])
    assert compared[0] == 2000 and compared[-1] < 200
    assert sum(compared) < 0.7 * 2000 * len(compared)


def test_blocks_change_nothing(monkeypatch):
    rows, _ = blobs(1000, 10)
    whole = lloyd(rows, rows[:10])[0].copy()
    blocks = _spherical_kmeans.row_blocks
    monkeypatch.setattr(_spherical_kmeans, "row_blocks", lambda n: blocks(n, 64))
    np.testing.assert_array_equal(lloyd(rows, rows[:10])[0], whole)


def test_starts_lie_apart():
    rows, y = blobs(2000, 8, std=0.5)
    starts = kmeans_plusplus(rows, 8, 4, np.random.RandomState(0))
    assert all(start.shape == (8, 12) for start in starts)
    places = [[np.flatnonzero((rows == row).all(1))[0] for row in s] for s in starts]
    assert len({tuple(place) for place in places}) == len(starts)
    assert [len(set(y[place])) for place in places] == [8] * len(starts)
    one = kmeans_plusplus(rows, 1, 2, np.random.RandomState(0))
    assert [start.shape for start in one] == [(1, 12), (1, 12)]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_starts_of_rows_of_any_length_are_as_likely_as_their_distances(scale):
    """The second row drawn follows the squared distances, the best of two tries."""
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]], dtype=np.float32) * scale
    rng, seconds = np.random.RandomState(0), []
    for _ in range(300):
        start = kmeans_plusplus(rows, 2, 1, rng)[0]
        if (start[0] == 0).all():
            seconds.append(np.flatnonzero((rows == start[1]).all(axis=1))[0])
    # 1 against 9: of two tries, neither is the far row once in a hundred.
    assert set(seconds) <= {1, 2} and np.mean(np.array(seconds) == 2) > 0.95


@pytest.mark.parametrize("n", [500, 6000])  # all rows, and a sample of them
def test_groups_are_found(n):
    rows, y = blobs(n, 10, width=16, std=0.7)
    labels = spherical_kmeans(rows, 10, np.random.RandomState(0))
    assert normalized_mutual_info_score(y, labels) > 0.99

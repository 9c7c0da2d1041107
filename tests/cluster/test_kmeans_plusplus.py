import numpy as np
import pytest
from sklearn.datasets import make_blobs

from sklearn_vlclust.cluster.kmeans_plusplus import kmeans_plusplus


def blobs(n, centers, width=12, std=3.0, seed=0):
    X, y = make_blobs(n, width, centers=centers, cluster_std=std, random_state=seed)
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


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

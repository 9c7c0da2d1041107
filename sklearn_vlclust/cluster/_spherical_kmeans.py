"""K-means of unit rows by cosine."""

import numpy as np
from scipy.linalg import qr
from scipy.sparse import csc_array

from ..data._rows import row_blocks, unit
from ._kmeans_plusplus import kmeans_plusplus

# Size of the sample that starts are tried on, in rows and in rows per cluster.
SAMPLE_ROWS, SAMPLE_ROWS_PER_CLUSTER = 2000, 30
# Random starts beside the QR start, and rounds on the sample and on all rows.
N_STARTS, ROUNDS = 4, 20
# Bounds of cosines are loosened by what float32 may lose in a round.
ROUNDING = 1e-6


def spherical_kmeans(rows, k, rng):
    """Cluster unit rows by k-means; the start is the best of several on a sample.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32
        Rows of unit length; ``d >= k`` for the start by pivots [1]_.
    k : int
        Number of clusters.
    rng : RandomState
        Draws the sample and the other starts.

    Returns
    -------
    labels : ndarray of shape (n,)
        Cluster of each row; some may be empty if fewer rows differ.

    References
    ----------
    .. [1] Damle, Minden, Ying, "Simple, direct and efficient multi-way spectral
       clustering", Information and Inference 2019.
    """
    size = max(SAMPLE_ROWS, SAMPLE_ROWS_PER_CLUSTER * k)
    sample = rows
    if len(rows) > size:
        sample = rows[np.sort(rng.choice(len(rows), size, replace=False))]
    starts = [sample[qr(sample.T, mode="r", pivoting=True)[1][:k]]]
    starts += kmeans_plusplus(sample, k, N_STARTS, rng)
    runs = [lloyd(sample, centers) for centers in starts]
    centers = max(runs, key=lambda run: run[2])[1]
    return lloyd(rows, centers)[0]


def lloyd(rows, centers, rounds=ROUNDS):
    """Lloyd's algorithm: alternate between labels and centers until labels stay.

    A row is compared with all centers only if its label can change: in a round, a
    cosine changes by no more than its center moves. Labels are the same as without this
    bound [1]_.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32
        Rows of unit length.
    centers : ndarray of shape (k, d), float32
        Where to start.
    rounds : int, default=20
        Largest number of rounds.

    Returns
    -------
    labels : ndarray of shape (n,), int32
        The last that were found.
    centers : ndarray of shape (k, d), float32
        Their means, of unit length; the farthest rows in place of empty clusters.
    cosine : float
        Mean cosine to the centers that the labels were found by.

    References
    ----------
    .. [1] Hamerly, "Making k-means even faster", SDM 2010.
    """
    n, k = len(rows), len(centers)
    ends = np.arange(n + 1, dtype=np.int32)
    labels, ones = np.zeros(n, dtype=np.int32), np.ones(n, dtype=np.float32)
    members = csc_array((ones, labels, ends), shape=(k, n))
    labels = members.indices  # so that writing them changes members
    own, others = np.full((2, n), [[-np.inf], [np.inf]], dtype=np.float32)
    for i in range(rounds):
        found_by = centers
        unsure = np.flatnonzero(own <= others)
        before = labels[unsure]
        for block in row_blocks(len(unsure)):
            at = unsure[block]
            labels[at], own[at], others[at] = _nearest(rows[at], centers)
        if i and (labels[unsure] == before).all():
            break
        sums = members @ rows
        empty = np.flatnonzero(np.bincount(labels, minlength=k) == 0)
        if len(empty):
            farthest = np.argsort(_cosines(rows, centers, labels))
            sums[empty] = rows[farthest[: len(empty)]]
        centers = unit(sums)
        moved = np.linalg.norm(centers - found_by, axis=1) + ROUNDING
        own -= moved[labels]
        others += moved.max()
    return labels, centers, _cosines(rows, found_by, labels).mean()


def _nearest(rows, centers):
    """Return the nearest center of each row, its cosine, and the second largest."""
    cosines = rows @ centers.T  # (n, k)
    labels = cosines.argmax(axis=1)
    place = labels + len(centers) * np.arange(len(rows))
    flat = cosines.ravel()
    own = flat[place]
    flat[place] = -np.inf
    return labels, own, cosines.max(axis=1)


def _cosines(rows, centers, labels):
    return np.einsum("ij,ij->i", rows, centers[labels])

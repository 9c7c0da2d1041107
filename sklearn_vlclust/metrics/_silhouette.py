"""A silhouette that needs no distance matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ..data.read import read_unit_rows
from ..data.rows import UnitRows, unit

# Cosines, or entries of rows, that are held at a time.
CELLS = 2**20


def simplified_silhouette_score(X: ArrayLike | UnitRows, labels: ArrayLike) -> float:
    """Mean simplified silhouette of unit rows under cosine distance.

    As the silhouette, with the distance to a cluster's center in place of the mean
    distance to its samples [1]_: linear in the number of samples, and it needs no
    labels but the clustering's own, so it can compare numbers of clusters.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Embeddings; only their direction counts.
    labels : array-like of shape (n_samples,)
        Clusters.

    Returns
    -------
    score : float
        Between -1 and 1, higher is better; 0 for a single cluster.

    References
    ----------
    .. [1] Hruschka, Campello, de Castro, "Evolutionary algorithms for clustering gene
       expression data", ICDM 2004.
    """
    X = read_unit_rows(X)
    labels = column_or_1d(labels)
    check_consistent_length(X, labels)
    _, labels = np.unique(labels, return_inverse=True)
    return float(simplified_silhouettes(X, labels[None])[0])


def simplified_silhouettes(rows: UnitRows, clusterings: np.ndarray) -> np.ndarray:
    """Return the mean simplified silhouette of each of several clusterings at once.

    Clusterings are (n_clusterings, n). One matrix product compares a row with the
    centers of all. Each counts from 0 without gaps.
    """
    ends = np.cumsum(clusterings.max(axis=1) + 1)
    starts = np.concatenate([[0], ends[:-1]])
    places = clusterings + starts[:, None]  # the row's own center, in each of them
    centers = _centers(rows, places, ends[-1])
    totals = np.zeros(len(places))
    # Of a few clusters, many rows would do, which are wider than their cosines.
    for block, x in rows.blocks(max(1, CELLS // max(centers.shape))):
        cosines = centers @ x.T
        own = places[:, block], np.arange(len(x))
        a = (1 - cosines[own]).clip(0)
        cosines[own] = -1
        # Faster than maximum.reduceat.
        nearest = [cosines[i:j].max(axis=0) for i, j in zip(starts, ends)]
        b = (1 - np.array(nearest)).clip(0)
        # Less than the resolution of float32 is no distance.
        shares = (b - a) / np.maximum(np.maximum(a, b), 1e-6)
        totals += shares.sum(axis=1, dtype=np.float64)
    totals[ends - starts < 2] = 0
    return totals / rows.shape[0]


def _centers(rows: UnitRows, places: np.ndarray, n_centers: int) -> np.ndarray:
    """Return the unit mean of the rows of each place, (n_centers, d) float32."""
    sums = np.zeros((n_centers, rows.shape[1]))
    for block, x in rows.blocks():
        own = places[:, block].T
        ends = np.arange(0, own.size + 1, own.shape[1])
        members = np.ones(own.size, dtype=np.float32), own.ravel(), ends
        sums += csc_array(members, shape=(n_centers, len(x))) @ x
    return unit(sums).astype(np.float32)

"""Clusters that training left without samples get a part of a loose one."""

import numpy as np

from ..metrics._clusters import cluster_members
from ._partition import partition


def loosest_halves(features, labels, k, rng):
    """Cut the loosest cluster in two: that with the largest sum of squared distances.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        What clusters are told apart by.
    labels : ndarray of shape (n,), int
        Cluster of each row.
    k : int
        Clusters, of which some may be empty.
    rng : RandomState
        Draws nothing that matters: two clusters by Ward's method.

    Returns
    -------
    cluster : int
        The loosest one, or -1 if no cluster has rows that differ.
    rows : ndarray of shape (m,), int
        Its rows.
    second : ndarray of shape (m,), bool
        Which of them are in the second half.
    """
    members = cluster_members(labels, k)
    spreads = [
        features[rows].var(axis=0, dtype=np.float64).sum() * len(rows)
        if len(rows) > 1
        else 0.0
        for rows in members
    ]
    cluster = int(np.argmax(spreads))
    rows = members[cluster]
    scale = np.square(features[rows], dtype=np.float64).sum()
    if spreads[cluster] <= 1e-9 * scale:
        return -1, rows, np.zeros(len(rows), dtype=bool)
    second = partition(features[rows], 2, n_init=0, rng=rng) == 1
    return cluster, rows, second


def plane_between(features, second):
    """Return weight and bias of the plane halfway between the means of two halves.

    Distances from it are positive in the second half, and their median size is 1, so
    that the odds of the halves are as those of clusters that overlap.
    """
    one, other = features[~second].mean(axis=0), features[second].mean(axis=0)
    weight = other - one
    bias = -weight @ (one + other) / 2
    size = float(np.median(np.abs(features @ weight + bias)))
    return weight / max(size, 1e-12), bias / max(size, 1e-12)

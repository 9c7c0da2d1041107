"""Clusters that training left empty get a part of the most divided cluster."""

import numpy as np

from ..metrics._clusters import cluster_members
from .partition import partition
from .recipe import CommonRecipe


def most_divided(features, labels, k, rng):
    """Split the cluster that falls into two groups most clearly.

    Among clusters of at least the mean size, it is the one whose variance two halves
    explain best: two groups in one cluster, not one large group. Some of the `k`
    clusters may be empty. `rng` draws the rows for Ward's method, if there are more
    than 5,000.

    Returns
    -------
    cluster : int
        Its number, or -1 if no cluster has rows that differ.
    rows : ndarray of shape (m,), int
        Its rows.
    second : ndarray of shape (m,), bool
        Which of them are in the second half.
    """
    best, found = 0.0, (-1, np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    members, most = cluster_members(labels, k), CommonRecipe.in_use().split_rows
    n_clusters = sum(len(rows) > 0 for rows in members)
    for least in (len(labels) / n_clusters, 2):  # small ones, if no large one differs
        for cluster, rows in enumerate(members):
            if len(rows) < max(2, least):
                continue
            x = features[rows[:: -(-len(rows) // most)]]
            total = x.var(axis=0, dtype=np.float64).sum()
            if total <= 1e-9 * np.square(x, dtype=np.float64).sum(axis=1).mean():
                continue
            second = partition(x, 2, n_init=0, rng=rng) == 1
            between = np.square(x[second].mean(axis=0) - x[~second].mean(axis=0)).sum()
            share = second.mean() * (1 - second.mean()) * float(between) / total
            if share > best:
                weight, bias = plane_between(x, second)
                best = share
                found = cluster, rows, features[rows] @ weight + bias > 0
        if best > 0:
            break
    return found


def plane_between(features, second):
    """Return weight and bias of the plane halfway between the means of two halves.

    Distances from it are positive in the second half, and their median size is 1: the
    two halves get odds like overlapping clusters.
    """
    one, other = features[~second].mean(axis=0), features[second].mean(axis=0)
    weight = other - one
    bias = -weight @ (one + other) / 2
    size = float(np.median(np.abs(features @ weight + bias)))
    return weight / max(size, 1e-12), bias / max(size, 1e-12)

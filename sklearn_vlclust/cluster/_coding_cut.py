"""Cuts of a graph that the coding rate of the clusters (CPP, eq. 2) chooses between."""

import numpy as np
import torch

from ..metrics import coding_rate
from ..metrics._clusters import cluster_members
from ..neighbors import kneighbors
from ._spectral import SpectralCut, doubly_stochastic, neighbor_affinity

# Clusters beyond those wanted that are cut, and merged again.
SURPLUS = 0, 1, 2, 3, 5
# Rows on which clusters are rated.
RATED_ROWS = 20_000
# The graph: neighbors, temperature, and what is left of the last eigenvector.
N_NEIGHBORS, GAMMA, RESIDUE = 16, 0.06, 0.3


def least_rate_labels(cut, rows, k, eps=0.1):
    """Cut a graph into `k` clusters of least coding rate.

    Spectral clusters can go wrong by halving one group and joining two others, which
    costs little in the graph but much in coding rate: the joined ones do not lie in
    few directions. A few clusters too many are cut, merged two by two so that the
    coding rate grows least, and the result of least rate is taken.

    Parameters
    ----------
    cut : SpectralCut
        Of the graph of the rows, for at least 5 more clusters than `k`.
    rows : ndarray of shape (n, d), float32
        Features of unit length.
    k : int
        Clusters wanted.
    eps : float, default=0.1
        Squared precision.

    Returns
    -------
    labels : ndarray of shape (n,), int64
        From 0.
    """
    Z, tried = torch.from_numpy(rows), []
    for surplus in SURPLUS:
        if k + surplus <= cut.max_k:
            labels = cut.labels(k + surplus, ward=True)
            rate, merged = merge_clusters(Z, labels, k, eps)
            tried.append((rate, surplus, merged[labels]))
    return min(tried, key=lambda one: one[:2])[2]


def merge_clusters(Z, labels, k, eps=0.1):
    """Merge clusters, two at a time, where the coding rate (eq. 2) grows least.

    Parameters
    ----------
    Z : float tensor of shape (n, d)
        Features of unit length; at most `RATED_ROWS` of them are looked at.
    labels : int ndarray of shape (n,)
        Clusters, from 0.
    k : int
        Clusters to leave.
    eps : float, default=0.1
        Squared precision.

    Returns
    -------
    rate : float
        Coding rate of the clusters that are left.
    merged : ndarray of shape (labels.max() + 1,)
        New number of each cluster, from 0.
    """

    def rate(rows):
        return len(rows) / len(Z) * coding_rate(Z[rows], eps).item() if len(rows) else 0

    step = -(-len(Z) // RATED_ROWS)
    Z = Z[::step]
    # A cluster that none of these rows is of costs nothing, and keeps its number.
    members = cluster_members(labels[::step], labels.max() + 1)
    rates = np.array([rate(rows) for rows in members])
    merged, left = np.arange(len(members)), list(range(len(members)))
    growth = np.full((len(members), len(members)), np.inf)

    def compare(i, others):
        for j in others:
            both = rate(np.concatenate([members[i], members[j]]))
            growth[min(i, j), max(i, j)] = both - rates[i] - rates[j]

    if len(left) > k:
        for i in left:
            compare(i, range(i))
    while len(left) > k:
        i, j = divmod(int(growth.argmin()), len(growth))
        rates[i] += rates[j] + growth[i, j]
        members[i] = np.concatenate([members[i], members[j]])
        merged[merged == j] = i
        growth[j], growth[:, j] = np.inf, np.inf
        left.remove(j)
        compare(i, (other for other in left if other != i))
    return rates[left].sum(), np.unique(merged, return_inverse=True)[1]


def partition_by_rate(rows, k, rng):
    """Cut rows by the graph of their near ones, as the coding rate has it.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32
        Features; of their directions about the mean.
    k : int
        Clusters wanted.
    rng : RandomState
        Draws where eigenvectors start.

    Returns
    -------
    labels : ndarray of shape (n,), int64
        From 0.
    """
    if len(rows) < 2:
        return np.zeros(len(rows), dtype=np.int64)
    rows = rows - rows.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
    n_near = min(N_NEIGHBORS, len(rows) - 1)
    near, cosines = kneighbors(rows, n_near, random_state=rng)
    graph = doubly_stochastic(neighbor_affinity(near, cosines, GAMMA))
    cut = SpectralCut(graph, k + SURPLUS[-1], rng, RESIDUE)
    return least_rate_labels(cut, rows, k)

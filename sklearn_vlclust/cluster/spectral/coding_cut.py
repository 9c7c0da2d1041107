"""Over-segment a graph, then merge segments by coding rate (CPP, eq. 2)."""

from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import normalize

from ...data.rows import unit
from ...metrics import coding_rate
from ...metrics._clusters import cluster_members
from .cut import LEAST_CUT, SpectralCut, doubly_stochastic, knn_affinity
from .recipe import SpectralRecipe


def cut_and_merge(cut, rows, k, eps=0.1):
    """Over-segment a graph into more than `k` clusters, and merge by coding rate.

    Spectral clusters can go wrong by halving one group and joining two others, which
    costs little in the graph but much in coding rate: the joined ones do not lie in few
    directions. So the graph is cut into 0 to 5 extra clusters, which are then merged.
    The result is chosen by graph and rate together: the rate alone would put two small
    groups into one cluster if that lets a large group have two. In the normalized cut
    of the graph, small groups count as much as large ones.

    `cut` is of the graph of the unit rows, for at least 5 more clusters than `k`.
    """
    recipe, Z, tried = SpectralRecipe.in_use(), torch.from_numpy(rows), []
    for finer in range(min(k, cut.max_k), min(k + recipe.n_surplus, cut.max_k) + 1):
        labels = cut.labels(finer, ward=True)
        rates = ClusterRates(Z, labels, eps)
        for power in recipe.powers if labels.max() >= k else recipe.powers[:1]:
            rate, merged = rates.merge(k, power)
            ncut = max(cut.normalized_cut(merged[labels]), LEAST_CUT)
            cost = recipe.rate_weight * np.log(max(rate, 1e-12)) + np.log(ncut)
            tried.append((cost, finer, power, merged[labels]))
    return min(tried, key=lambda one: one[:3])[-1]


class ClusterRates:
    """Coding rates (eq. 2) of clusters and of unions of them, each computed once.

    `Z` are features of unit length, (n, d), of which at most 20,000 are used, and
    `labels` their clusters, from 0.
    """

    def __init__(self, Z, labels, eps=0.1):
        step = -(-len(Z) // SpectralRecipe.in_use().rated_rows)
        self._Z, self._eps, self._known = Z[::step], eps, {}
        # A cluster that none of these rows is of costs nothing, and keeps its number.
        self._members = cluster_members(labels[::step], labels.max() + 1)

    @cached_property
    def _near(self):
        return _near_pairs([self._Z[rows] for rows in self._members])

    def merge(self, k, power=0.0):
        """Merge two at a time, where the coding rate grows least, until `k` are left.

        The growth is divided by the rows of the smaller cluster to the `power`. Of many
        clusters only those are tried together that are near each other: of 500, a
        hundredth of the pairs. Returns the rate and the new number of each cluster,
        from 0.
        """
        unions = [frozenset([i]) for i in range(len(self._members))]
        pairs = []
        if len(unions) > k:
            pairs = [(unions[i], unions[j]) for i, j in self._near]
        while len(unions) > k:
            one, other = min(pairs, key=lambda two: self._cost(two[0], two[1], power))
            unions = [one | other if union == one else union for union in unions]
            unions.remove(other)
            merged_into = {one: one | other, other: one | other}
            pairs = [tuple(merged_into.get(u, u) for u in pair) for pair in pairs]
            pairs = [pair for pair in pairs if pair[0] != pair[1]]
        merged = np.empty(len(self._members), dtype=np.int64)
        for number, union in enumerate(unions):
            merged[list(union)] = number
        return sum(map(self._rate, unions)), merged

    def _cost(self, one, other, power):
        growth = self._rate(one | other) - self._rate(one) - self._rate(other)
        return growth / max(1, min(self._size(one), self._size(other))) ** power

    def _size(self, union):
        return sum(len(self._members[i]) for i in union)

    def _rate(self, union):
        if union not in self._known:
            rows = np.concatenate([self._members[i] for i in sorted(union)])
            share = len(rows) / len(self._Z)
            rate = coding_rate(self._Z[rows], self._eps).item() if len(rows) else 0.0
            self._known[union] = share * rate
        return self._known[union]


def _near_pairs(clusters):
    """Return pairs of similar clusters, lower number first.

    Similar in second moments: the means of subspaces say nothing.
    """
    moments = torch.stack([(Z.T @ Z).flatten() for Z in clusters])
    moments = normalize(moments, dim=1)
    alike = moments @ moments.T
    alike.fill_diagonal_(torch.inf)  # itself comes first, and is left out
    near = alike.argsort(dim=1, descending=True, stable=True)
    n_candidates = SpectralRecipe.in_use().n_candidates
    return sorted(
        {
            (min(i, j), max(i, j))
            for i, row in enumerate(near[:, 1 : 1 + n_candidates].tolist())
            for j in row
        }
    )


def partition_by_rate(rows, k, rng):
    """Partition rows by their k-nearest-neighbor graph and the coding rate.

    Only the directions of rows from their mean count. `rng` draws where eigenvectors
    start.
    """
    if len(rows) < 2:
        return np.zeros(len(rows), dtype=np.int64)
    rows = unit(rows - rows.mean(axis=0))
    recipe = SpectralRecipe.in_use()
    affinity = knn_affinity(rows, recipe.merged_neighbors, recipe.merged_gamma, rng)
    graph = doubly_stochastic(affinity)
    cut = SpectralCut(graph, k + recipe.n_surplus, rng, recipe.last_weight)
    return cut_and_merge(cut, rows, k)

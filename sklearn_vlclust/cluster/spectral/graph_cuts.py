"""Cuts of k-nearest-neighbor graphs of three kinds, and the choice among them.

Not in the papers: CPP cuts the membership of a batch as it is.
"""

import numpy as np
import torch
from scipy.special import entr

from ...metrics._coding_rate import partition_coding_rate
from .cut import LEAST_CUT, SpectralCut, doubly_stochastic, neighbor_affinity
from .recipe import SpectralRecipe

# The candidates; their temperatures are in the recipe.
GRAPHS = "natural", "sharp", "even"


def cut_graphs(neighbors, kind, k, rng):
    """Prepare cuts, up to `k` clusters, of the mean of graphs of several features.

    `neighbors` has the nearest rows of every row and their cosines, one pair of arrays,
    (n, q), per feature space. Graphs are made doubly stochastic. The `kind` "trimmed"
    cuts the sharp graph, leaves out the rows of loose clusters, and cuts again.
    """
    recipe = SpectralRecipe.in_use()
    gamma, loops = getattr(recipe, "sharp" if kind == "trimmed" else kind)
    graph = None
    for near, cosines in neighbors:
        affinity = neighbor_affinity(near, cosines, gamma, loops)
        part = doubly_stochastic(affinity) / len(neighbors)
        graph = part if graph is None else graph + part
    return SpectralCut(graph, k, rng, recipe.last_weight)


def cut_labels(cut, k, kind):
    """Return the labels, (n,), of a cut of one kind into `k` clusters."""
    return cut.labels(k, ward=True, trimmed=kind == "trimmed")


def choose_cut(cuts, k, rows, eps=0.1, averaged=False):
    """Cut into `k` clusters by the kind of graph that suits the rows; return both.

    `cuts` has a cut per key of `GRAPHS`, of means of several graphs if `averaged`.
    `rows`, (n, d), are features of unit length, of which clusters should have a small
    coding rate.
    """

    def rate(labels):
        """Coding rate of the clusters (eq. 2 of CPP), of which less is better."""
        some = slice(None, None, -(-len(labels) // recipe.rated_rows))
        Z = torch.from_numpy(rows[some])
        return partition_coding_rate(Z, labels[some], eps).item()

    recipe, natural = SpectralRecipe.in_use(), cuts["natural"]
    labels, sharper = (cut_labels(cuts[kind], k, kind) for kind in ("natural", "sharp"))
    least = max(natural.cut_fraction(labels), LEAST_CUT)
    between = natural.cut_fraction(sharper) / least
    ncut, is_uneven = 1.0, True
    if averaged:
        ncut = natural.normalized_cut(sharper)
        ncut /= max(natural.normalized_cut(labels), LEAST_CUT)
        sizes = _effective(sharper) / _effective(labels)
        is_uneven = sizes < recipe.trim_clusters_below
    if between * ncut < recipe.trim_below and is_uneven:
        return cut_labels(cuts["sharp"], k, "trimmed"), "trimmed"
    if between < 1 and ncut <= 1 and rate(sharper) < rate(labels):
        return sharper, "sharp"  # better in all respects
    evener = cut_labels(cuts["even"], k, "even")
    cuts_few = natural.cut_fraction(evener) / least < recipe.even_cut_below
    if cuts_few and rate(evener) < recipe.even_rate_below * rate(labels):
        return evener, "even"
    return labels, "natural"


def _effective(labels):
    """Return how many clusters of one size have the entropy of these."""
    return np.exp(entr(np.bincount(labels) / len(labels)).sum())

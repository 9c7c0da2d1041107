"""Cuts of k-nearest-neighbor graphs of three kinds, and the choice among them.

Not in the papers: CPP cuts the membership of a batch as it is.
"""

import numpy as np
import torch
from scipy.special import entr

from ...metrics._coding_rate import partition_coding_rate
from ._coding_cut import LEAST_LEAK, RATED_ROWS
from ._cut import SpectralCut, doubly_stochastic, neighbor_affinity

# Entropy of the membership (eq. 3 of CPP) and affinity of a row to itself, by kind of
# graph: the natural one, one that knows the nearest rows only, one of even clusters.
GRAPHS = {"natural": (0.15, 1.0), "sharp": (0.06, 1.0), "even": (0.15, 1e-3)}
# "firm" is the sharp graph, cut again without the rows that belong nowhere.
KINDS = {"natural": "natural", "sharp": "sharp", "firm": "sharp", "even": "even"}
# Share of the first that a diffusion leaves of the last eigenvector of a cut.
RESIDUE = 0.3
# Share of what the natural cut leaks below which the firm one is taken. Where large
# groups lie apart beside small ones, the sharp cut leaks about half as much, elsewhere
# nearly as much. Of averaged graphs, it is the leak times the normalized cut, in which
# small clusters count like large ones: it grows where only outliers are set apart.
SHARP_LEAKS = 0.7
# And share of the effective number of clusters below which sizes differ as much as they
# do beside large groups.
SHARP_CLUSTERS = 0.85
# Share of the coding rate of the natural cut that even clusters have to save, and of
# its leak that they may have. Groups that differ in size they cut through.
EVEN_SAVES, EVEN_LEAKS = 0.95, 1.25


def cut_graphs(neighbors, kind, k, rng):
    """Prepare cuts of the mean of the doubly stochastic graphs of several features.

    Parameters
    ----------
    neighbors : list of (indices, cosines)
        The nearest rows of every row, one pair of arrays of shape (n, q) per feature
        space, as :func:`~sklearn_vlclust.neighbors.kneighbors` returns them.
    kind : {"natural", "sharp", "firm", "even"}
        See `KINDS`.
    k : int
        Largest number of clusters.
    rng : RandomState
        Draws where eigenvectors start.

    Returns
    -------
    cut : SpectralCut
    """
    gamma, loops = GRAPHS[KINDS[kind]]
    graph = None
    for near, cosines in neighbors:
        affinity = neighbor_affinity(near, cosines, gamma, loops)
        part = doubly_stochastic(affinity) / len(neighbors)
        graph = part if graph is None else graph + part
    return SpectralCut(graph, k, rng, RESIDUE)


def cut_labels(cut, k, kind):
    """Return the labels, (n,), of a cut of one kind into `k` clusters."""
    return cut.labels(k, ward=True, firm=kind == "firm")


def choose_cut(cuts, k, rows, eps=0.1, averaged=False):
    """Cut into `k` clusters by the kind of graph that suits the rows.

    Parameters
    ----------
    cuts : dict of str to SpectralCut
        One per key of `GRAPHS`.
    k : int
        Number of clusters.
    rows : ndarray of shape (n, d), float32
        Features of unit length, of which clusters should have a small coding rate.
    eps : float, default=0.1
        Squared precision of the coding rate.
    averaged : bool, default=False
        Whether the graphs are means of several.

    Returns
    -------
    labels : ndarray of shape (n,)
        Clusters, from 0.
    kind : str
        One of `KINDS`.
    """

    def rate(labels):
        """Coding rate of the clusters (eq. 2 of CPP), of which less is better."""
        some = slice(None, None, -(-len(labels) // RATED_ROWS))
        Z = torch.from_numpy(rows[some])
        return partition_coding_rate(Z, labels[some], eps).item()

    natural = cuts["natural"]
    labels, sharper = (cut_labels(cuts[kind], k, kind) for kind in ("natural", "sharp"))
    leak = natural.leak(sharper) / max(natural.leak(labels), LEAST_LEAK)
    ncut, is_uneven = 1.0, True
    if averaged:
        least = max(natural.normalized_cut(labels), LEAST_LEAK)
        ncut = natural.normalized_cut(sharper) / least
        is_uneven = _effective(sharper) < SHARP_CLUSTERS * _effective(labels)
    if leak * ncut < SHARP_LEAKS and is_uneven:
        return cut_labels(cuts["sharp"], k, "firm"), "firm"
    if leak < 1 and ncut <= 1 and rate(sharper) < rate(labels):
        return sharper, "sharp"  # better in all respects
    evener = cut_labels(cuts["even"], k, "even")
    leak = natural.leak(evener) / max(natural.leak(labels), LEAST_LEAK)
    if leak < EVEN_LEAKS and rate(evener) < EVEN_SAVES * rate(labels):
        return evener, "even"
    return labels, "natural"


def _effective(labels):
    """Return how many clusters of one size have the entropy of these."""
    return np.exp(entr(np.bincount(labels) / len(labels)).sum())

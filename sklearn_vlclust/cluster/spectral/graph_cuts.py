"""Cuts of k-nearest-neighbor graphs of three kinds, and the choice among them.

Not in the papers: CPP cuts the membership of a batch as it is.
"""

import numpy as np
import torch
from scipy.special import entr

from ...metrics._coding_rate import partition_coding_rate
from .coding_cut import LEAST_LEAK, RATED_ROWS
from .cut import SpectralCut, doubly_stochastic, neighbor_affinity

# Candidate graphs as (gamma, self-affinity); gamma is the temperature of eq. 3 of CPP.
# "natural" is the default, in "sharp" the nearest neighbors dominate, and "even" favors
# clusters of one size.
GRAPHS = {"natural": (0.15, 1.0), "sharp": (0.06, 1.0), "even": (0.15, 1e-3)}
# "firm" cuts the sharp graph, leaves out the rows of loose clusters, and cuts again.
KINDS = {"natural": "natural", "sharp": "sharp", "firm": "sharp", "even": "even"}
# Diffusion-map weighting: the last eigenvector's weight relative to the first.
RESIDUE = 0.3
# Switch to the firm cut if the sharp one leaks less than this share of what the natural
# one leaks: about half where large groups lie apart beside small ones, elsewhere nearly
# all. For averaged graphs, the leak is multiplied by the normalized cut, which grows
# where the sharp cut only isolates outliers.
SHARP_LEAKS = 0.7
# The firm cut is for uneven sizes: the sharp cut's effective number of clusters must be
# below this share of the natural cut's.
SHARP_CLUSTERS = 0.85
# Switch to the even cut if it costs less than this share of the natural cut's coding
# rate and leaks at most this multiple: it cuts through groups that differ in size.
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
        Squared precision of the code (epsilon^2 in CPP).
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

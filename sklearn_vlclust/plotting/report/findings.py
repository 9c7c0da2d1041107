"""Findings about clustered images, from their embeddings."""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from ...data.rows import unit
from ...metrics._clusters import cluster_means
from ...neighbors import nearest
from .._features import absolute_cosines

# Modified z-score from which a value is called an outlier (Iglewicz and Hoaglin, 1993).
OUTLIER = 3.5
# Half the normal distribution lies within this many standard deviations.
_QUARTILE = 0.6745


@dataclass
class ClusterGeometry:
    """Where images lie among the mean directions of clusters.

    Attributes
    ----------
    clusters : ndarray of shape (k,)
        Labels, ascending, without noise.
    typicality : ndarray of shape (n,)
        Cosine of each image to the mean of its cluster; of noise, to the nearest one.
    margin : ndarray of shape (n,)
        The same less the cosine to the nearest other mean; NaN without another.
    rival : ndarray of shape (n,), int
        Label of the nearest other cluster; -1 without another.
    similarities : ndarray of shape (k, k)
        Absolute cosines of the means.
    """

    clusters: np.ndarray
    typicality: np.ndarray
    margin: np.ndarray
    rival: np.ndarray
    similarities: np.ndarray


def measure_clusters(rows, labels):
    """Return the :class:`ClusterGeometry` of unit rows and their labels."""
    clusters = np.unique(labels[labels >= 0])
    k = len(clusters)
    if k == 0:
        nan = np.full(len(labels), np.nan)
        none = np.full(len(labels), -1)
        return ClusterGeometry(clusters, nan, nan.copy(), none, np.empty((0, 0)))
    number = np.where(labels < 0, k, np.searchsorted(clusters, labels))
    means = unit(cluster_means(rows, number, k + 1)[:k])
    near, cosines = nearest(rows, means, min(2, k))
    typicality = cosines[:, 0].copy()
    for block, x in rows.blocks():
        own = np.flatnonzero(number[block] < k)
        typicality[block][own] = np.einsum(
            "ij,ij->i", x[own], means[number[block][own]]
        )
    margin, rival = np.full(len(labels), np.nan), np.full(len(labels), -1)
    if k > 1:
        column = ((near[:, 0] == number) | (number == k)).astype(int)[:, None]
        margin = typicality - np.take_along_axis(cosines, column, axis=1)[:, 0]
        rival = clusters[np.take_along_axis(near, column, axis=1)[:, 0]]
    return ClusterGeometry(clusters, typicality, margin, rival, absolute_cosines(means))


def find_outliers(typicality, labels, most):
    """Return at most `most` images far less typical than others of their cluster.

    They have a modified z-score of 3.5 or more below the median of their cluster, and
    come with it, highest first: ``(image, score)``. Noise is left out.
    """
    scores = far_below(typicality, labels)
    order = np.argsort(-scores, kind="stable")[:most]
    return [(int(i), float(scores[i])) for i in order if scores[i] >= OUTLIER]


def far_below(values, labels):
    """Return how far each value is below the median of its cluster; 0 for noise.

    The unit is that of the modified z-score: median absolute deviations times 0.67.
    """
    gap = np.zeros(len(labels))
    spread = np.zeros(len(labels))
    for cluster in np.unique(labels[labels >= 0]):
        own = labels == cluster
        gap[own] = np.median(values[own]) - values[own]
        spread[own] = np.median(np.abs(gap[own]))
    if not (spread > 0).any():
        return np.zeros(len(labels))
    # A cluster of near copies has hardly any spread: use half the typical spread.
    return _QUARTILE * gap / np.maximum(spread, np.median(spread[spread > 0]) / 2)


def choose_shown(labels, typicality, margin, first, most):
    """Return which images to show if there are more than `most`: ascending indices.

    Besides `first` these are the eight most typical and the eight with the least margin
    of each cluster; then images spread evenly over all clusters, from the most to the
    least typical.
    """
    n = len(labels)
    if n <= most:
        return np.arange(n)
    ranked = []
    for cluster in np.unique(labels):
        own = np.flatnonzero(labels == cluster)
        for values in (-typicality, margin):
            ranked.append(own[np.argsort(values[own], kind="stable")[:8]].tolist())
    # Clusters take turns, so each has its share if there is no room for all.
    turns = [i for turn in zip_longest(*ranked) for i in turn if i is not None]
    chosen = list(dict.fromkeys([*first, *turns]))[:most]
    rest = np.setdiff1d(np.arange(n), chosen)
    rest = rest[np.lexsort((-typicality[rest], labels[rest]))]
    even = np.linspace(0, len(rest) - 1, most - len(chosen)).round().astype(int)
    return np.sort(np.concatenate([np.array(chosen, dtype=int), rest[even]]))

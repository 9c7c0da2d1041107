"""A silhouette that needs no distance matrix."""

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from ..embedding._rows import UnitRows
from ._clusters import cluster_means


def simplified_silhouette_score(X, labels):
    """Mean simplified silhouette of unit rows under cosine distance.

    As the silhouette, with the distance to a cluster's centre in place of the mean
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
    if not isinstance(X, UnitRows):
        X = UnitRows(check_array(X, dtype=(np.float32, np.float64)))
    labels = column_or_1d(labels)
    check_consistent_length(X, labels)
    _, labels = np.unique(labels, return_inverse=True)
    k = labels.max() + 1
    if k < 2:
        return 0.0
    centers = cluster_means(X, labels, k)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True).clip(1e-12)
    total = 0.0
    for block, x in X.blocks():
        distances = (1 - x @ centers.T).clip(0)
        own = np.arange(len(x)), labels[block]
        a = distances[own].copy()
        distances[own] = np.inf
        b = distances.min(axis=1)
        # Less than the resolution of float32 is no distance.
        total += float(((b - a) / np.maximum(np.maximum(a, b), 1e-6)).sum())
    return total / len(labels)

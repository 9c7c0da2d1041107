"""Clustering accuracy: the best one-to-one match of clusters and classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils.validation import check_consistent_length, column_or_1d


def match_clusters(labels_true: ArrayLike, labels_pred: ArrayLike) -> dict:
    """Match each cluster with at most one class so that most samples agree.

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n_samples,)
        Classes and clusters. Their numbers may differ.

    Returns
    -------
    matching : dict
        From cluster to class. Clusters that are left over are absent.

    Raises
    ------
    ValueError
        If the lengths differ or there are no samples.
    """
    classes, clusters, counts = _count(labels_true, labels_pred)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return dict(zip(clusters[columns].tolist(), classes[rows].tolist()))


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Share of samples in the class that their cluster is matched with.

    Clusters and classes are matched one to one by the Hungarian algorithm [1]_; samples
    of a cluster that is left over count as wrong. Written ACC in papers.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Classes.
    labels_pred : array-like of shape (n_samples,)
        Clusters. Their number may differ from the number of classes.

    Returns
    -------
    accuracy : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the lengths differ or there are no samples.

    References
    ----------
    .. [1] Kuhn, "The Hungarian method for the assignment problem", 1955.

    Examples
    --------
    >>> from sklearn_vlclust.metrics import clustering_accuracy
    >>> clustering_accuracy(["cat", "cat", "dog"], [1, 1, 0])
    1.0
    """
    _, _, counts = _count(labels_true, labels_pred)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / counts.sum())


def _count(
    labels_true: ArrayLike, labels_pred: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels_true, labels_pred = column_or_1d(labels_true), column_or_1d(labels_pred)
    check_consistent_length(labels_true, labels_pred)
    if not len(labels_true):
        raise ValueError("labels_true and labels_pred are empty: one label per sample.")
    counts = contingency_matrix(labels_true, labels_pred)
    return np.unique(labels_true), np.unique(labels_pred), counts

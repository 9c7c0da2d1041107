"""How well a clustering agrees with others of the same samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from .._docs import documented
from .._typing import Data
from ._fitted import labels_of


@documented()
def consensus_score(
    estimator: Any, X: Data, y: object = None, *, partitions: Iterable[Any]
) -> float:
    """Mean adjusted Rand index [1]_ with other partitions of the same samples.

    Methods that err differently agree where they are right. Of some partitions,
    the one with the highest score is their medoid.

    Parameters: <estimator, given, y>
    partitions : sequence of array-like of shape (n_samples,), or of fitted clusterers
        What to agree with: labels of the samples of `X`, or clusterers, which are asked
        for the labels of `X` as `estimator` is. Held-out samples, which a search scores
        with several folds, only clusterers can label. Noise (negative labels) is in no
        cluster.

    Returns
    -------
    score : float
        Higher is better: 1 at most, about 0 for random labels.

    Raises
    ------
    ValueError
        If `partitions` is empty, or labels are not as many as the samples of `X`.

    See Also
    --------
    generalization_score : Needs no other partitions.

    References
    ----------
    .. [1] Hubert, Arabie, "Comparing partitions", Journal of Classification, 1985.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.cluster import AgglomerativeClustering, KMeans
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_vlclust.model_selection import consensus_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> methods = [KMeans(k, random_state=0).fit(X) for k in (5, 10, 11, 20)]
    >>> scores = [
    ...     consensus_score(one, X, partitions=[m for m in methods if m is not one])
    ...     for one in methods
    ... ]
    >>> methods[scores.index(max(scores))]
    KMeans(n_clusters=10, random_state=0)
    """
    partitions = list(partitions)
    if not partitions:
        raise ValueError("partitions is empty: give labels, or fitted clusterers.")
    labels = _without_noise(labels_of(estimator, X))
    agreement = [
        adjusted_rand_score(labels, _without_noise(_labels(other, X, len(labels), i)))
        for i, other in enumerate(partitions)
    ]
    return float(np.mean(agreement))


def _labels(partition: Any, X: Data, n: int, position: int) -> np.ndarray:
    if hasattr(partition, "fit_predict") or hasattr(partition, "predict"):
        return labels_of(partition, X)
    labels = np.asarray(partition)
    if labels.shape != (n,):
        raise ValueError(
            f"partitions[{position}] has shape {labels.shape}, but X has {n} samples: "
            "give a label for each, or a fitted clusterer, which labels the held-out "
            "samples of a search."
        )
    return labels


def _without_noise(labels: np.ndarray) -> np.ndarray:
    """Return labels from 0 on, with a cluster of its own for each sample of noise."""
    names, clusters = np.unique(labels, return_inverse=True)
    if names.dtype.kind in "if":
        noise = np.flatnonzero(np.asarray(labels) < 0)
        clusters[noise] = len(names) + np.arange(len(noise))
    return clusters

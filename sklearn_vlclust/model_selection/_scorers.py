"""Scores of fitted clusterers that need no labels, for `scoring=` of a search."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from scipy.special import entr
from sklearn.utils import check_random_state

from .._docs import documented
from .._typing import Data, Int, RandomState
from ..data.read import read_unit_rows
from ..metrics._coding_rate import partition_coding_rate
from ..neighbors import kneighbors
from ._fitted import embeddings_of, labels_of

# Random partitions that a partition is compared with.
N_PERMUTATIONS = 3


@documented()
def coding_rate_reduction_score(
    estimator: Any,
    X: Data,
    y: object = None,
    *,
    features: Literal["input", "transform"] = "input",
    eps: float = 0.1,
    random_state: RandomState = 0,
) -> float:
    r"""Share of the coding rate that the clusters save, beyond chance.

    The rate reduction :math:`R(Z) - R_c(Z, \Pi)` of [1]_ grows with every cluster that
    is split, whether it has parts or not, as few samples are always cheap to code. So
    the rate of the clusters is compared with the rate of random groups of the same
    sizes (the labels, permuted) instead of the rate of the whole: :math:`1 - R_c(Z,
    \Pi) / R_c(Z, \Pi_{random})` (not in [1]_). It is 0 for one cluster and for as many
    as samples, 1 at most, and does not grow with the width of `Z`.

    Parameters: <estimator, given, y>
    features : {"input", "transform"}, default="input"
        Which rows are coded: the embeddings (of images, by the estimator's encoder), or
        the estimator's `transform` of them. Only embeddings allow comparing estimators
        that learn features, as learned features may be cheap to code.
    <eps>
    random_state : int, RandomState instance or None, default=0
        Draws the permutations.

    Returns
    -------
    score : float
        Higher is better.

    Raises
    ------
    ValueError
        If `features` is not one of the two, or a row is zero or not finite.

    See Also
    --------
    neighbor_consistency_score : Sharper for many small clusters.
    sklearn_vlclust.metrics.coding_rate : The rate itself.

    References
    ----------
    .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
       principle of rate reduction in the age of pretrained models", ICLR 2024, eq. 1.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_vlclust.model_selection import coding_rate_reduction_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> search = GridSearchCV(
    ...     KMeans(random_state=0, n_init=3),
    ...     {"n_clusters": [2, 10]},
    ...     scoring=coding_rate_reduction_score,
    ... )
    >>> search.fit(X - X.mean(axis=0)).best_params_
    {'n_clusters': 10}
    """
    if features not in ("input", "transform"):
        raise ValueError(f"features must be 'input' or 'transform', got {features!r}.")
    labels = labels_of(estimator, X)
    Z = embeddings_of(estimator, X) if features == "input" else estimator.transform(X)
    Z = torch.from_numpy(read_unit_rows(Z)[:])
    rng = check_random_state(random_state)
    rate = partition_coding_rate(Z, labels, eps).item()
    random = [
        partition_coding_rate(Z, rng.permutation(labels), eps).item()
        for _ in range(N_PERMUTATIONS)
    ]
    return float(1 - rate / np.mean(random))


@documented()
def neighbor_consistency_score(
    estimator: Any,
    X: Data,
    y: object = None,
    *,
    n_neighbors: Int = 10,
    random_state: RandomState = 0,
) -> float:
    r"""Nats that the cluster of an image tells about the clusters of its neighbors.

    The share :math:`a` of neighbors with an image's label is 1 for a single cluster,
    and falls with each further one. So it is turned into information: by Fano's
    inequality [1]_ the labels of neighbors have at least

    .. math:: H(p) - h(a) - (1 - a) \ln(k - 1)

    nats in common, with :math:`p` the sizes of the :math:`k` clusters, :math:`H` the
    entropy and :math:`h` the entropy of a yes or no. This is 0 for one cluster and for
    labels at random, :math:`\ln k` for `k` even clusters that keep all neighbors
    together, and grows with `k` as long as they stay together. Neighbors are images
    whose embeddings have a large cosine; noise (negative labels) agrees with nothing.

    Parameters: <estimator, given, y>
    n_neighbors : int, default=10
        Number of neighbors per image, in `X`. Fewer neighbors favor more clusters.
    random_state : int, RandomState instance or None, default=0
        Draws the cells of the neighbor search above 200,000 samples.

    Returns
    -------
    score : float
        Higher is better; may be negative.

    Raises
    ------
    ValueError
        If `X` has no more than `n_neighbors` rows, or a row is zero or not finite.

    See Also
    --------
    coding_rate_reduction_score : By the rate that the clusters take to code.

    Notes
    -----
    The share itself, corrected for chance as Cohen's kappa, was tried: it chooses two
    or three clusters on any data. This score is high for the finest clusters that still
    keep neighbors together, which may be subclasses; figures for k-means are in
    ``benchmarks/results/label_free_scores.json``.

    References
    ----------
    .. [1] Cover and Thomas, "Elements of Information Theory", Wiley 2006, section 2.10.

    Examples
    --------
    >>> from functools import partial
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_vlclust.model_selection import neighbor_consistency_score
    >>> X, _ = make_blobs(300, 16, centers=6, random_state=0)
    >>> search = GridSearchCV(
    ...     KMeans(random_state=0, n_init=3),
    ...     {"n_clusters": [2, 4, 6, 8, 12]},
    ...     scoring=partial(neighbor_consistency_score, n_neighbors=3),
    ... )
    >>> search.fit(X).best_params_
    {'n_clusters': 6}
    """
    labels = labels_of(estimator, X)
    rows = read_unit_rows(embeddings_of(estimator, X))
    near, _ = kneighbors(rows, n_neighbors, random_state=random_state)
    agree = (labels[near] == labels[:, None]) & (labels >= 0)[:, None]
    return _common_information(labels, float(agree.mean()))


def _common_information(labels: np.ndarray, agreement: float) -> float:
    """Fano's bound on the mutual information of the labels of neighbors, in nats."""
    _, sizes = np.unique(labels, return_counts=True)
    if len(sizes) == 1:
        return 0.0
    p, yes_or_no = sizes / sizes.sum(), np.array([agreement, 1 - agreement])
    wrong = (1 - agreement) * np.log(len(sizes) - 1)
    return float(entr(p).sum() - entr(yes_or_no).sum() - wrong)

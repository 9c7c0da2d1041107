"""How much of the clusters a linear classifier learns from a few of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve
from scipy.special import entr
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._docs import documented
from .._typing import Float, Indexed, Int, RandomState
from ..data.read import read_unit_rows
from ..data.rows import unit

# Rows that are drawn from more than that.
MAX_ROWS = 20_000


def generalization(
    rows: ArrayLike | Indexed,
    labels: ArrayLike,
    *,
    alpha: Float = 0.3,
    n_folds: Int = 3,
    rng: RandomState = 0,
) -> float:
    r"""Share of the clusters' information that a ridge classifier learns.

    A linear classifier is trained on the clusters of one fold of the rows and predicts
    the clusters of the others, as [1]_ judges labelings by how well they are learned. A
    cluster that the rows themselves set apart is found again from few of them; where it
    ends in the middle of a group takes many. The information that the predictions
    :math:`\hat C` have of the clusters :math:`C`, beyond chance [2]_, is

    .. math:: U = (I(C, \hat C) - E[I]) / (H(C) - E[I])

    with :math:`I` the mutual information and :math:`E[I]` its expectation for random
    labels of the same sizes. The share of predictions that are right
    would be high for one large cluster, which is always predicted.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        Embeddings; only their direction counts. Or what has a `shape` and returns an
        array of the rows that it is indexed with.
    labels : array-like of shape (n_samples,)
        Clusters. Noise (negative labels) is left out, and the score multiplied by the
        share of the other rows.
    alpha : float, default=0.3
        Weight of the ridge penalty, where rows have a mean squared distance of 1 from
        their mean.
    n_folds : int, default=3
        Number of folds; as many as rows if these are fewer.
    rng : int or RandomState instance, default=0
        Draws the folds, and 20,000 of more rows. They do not depend on the labels: the
        partitions of some rows are compared on the same folds.

    Returns
    -------
    score : float
        Between 0 and 1. About 0 for random labels, and 0 for a single cluster or for
        clusters of one row each.

    Raises
    ------
    ValueError
        If there are not as many labels as rows, `alpha` is not positive, `n_folds` is
        below 2, or a row is zero or not finite.

    See Also
    --------
    learned_information : To compare numbers of clusters.

    References
    ----------
    .. [1] Gadetsky, Jiang, Brbic, "Let go of your labels with unsupervised transfer",
       ICML 2024.
    .. [2] Vinh, Epps, Bailey, "Information theoretic measures for clusterings
       comparison", JMLR 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_vlclust.metrics import generalization
    >>> X, y = load_digits(return_X_y=True)
    >>> round(generalization(X, y), 2), round(generalization(X, y % 2), 2)
    (0.86, 0.55)
    """
    labels = column_or_1d(labels)
    check_consistent_length(rows, labels)
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, got {alpha!r}.")
    if n_folds < 2:
        raise ValueError(f"n_folds must be 2 or more, got {n_folds!r}.")
    x: Any = rows
    if isinstance(rows, list) or hasattr(rows, "__array__"):
        x = read_unit_rows(rows)
    rng = check_random_state(rng)
    kept = np.arange(len(labels))
    if len(kept) > MAX_ROWS:
        kept = np.sort(rng.choice(len(labels), MAX_ROWS, replace=False))
    clusters = _from_zero(labels[kept])
    if clusters.max(initial=0) == 0:
        return 0.0
    true, predicted = _predict(_standardized(x[kept]), clusters, alpha, n_folds, rng)
    return _adjusted_share(true, predicted) * float(np.mean(clusters >= 0))


@documented(generalization)
def learned_information(
    rows: ArrayLike | Indexed,
    labels: ArrayLike,
    *,
    alpha: Float = 0.3,
    n_folds: Int = 3,
    rng: RandomState = 0,
) -> float:
    r"""Information of the clusters that is learned, in nats, for any number of them.

    The share :math:`U` of :func:`generalization` is 1 for two groups that lie far
    apart, each of which may have many parts. So numbers :math:`k` of clusters are
    compared by :math:`U^2 \ln k`: :math:`\ln k` for clusters that are all learned, less
    where they are split further than can be learned. Partitions into the same number
    are ordered as by :math:`U`.

    Parameters: <rows, labels, alpha, n_folds, rng>

    Returns
    -------
    score : float
        Between 0, also for a single cluster, and the logarithm of their number.

    Raises
    ------
    ValueError
        As by :func:`generalization`.

    See Also
    --------
    generalization : The share itself.
    sklearn_vlclust.model_selection.generalization_score : Of estimators.

    Notes
    -----
    That :math:`U` is squared was found by measurement: without, clusters are split too
    far. Figures are in ``benchmarks/results/choosing.json``.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_vlclust.metrics import learned_information
    >>> X, _ = load_digits(return_X_y=True)
    >>> for k in (2, 10, 100):
    ...     labels = KMeans(k, random_state=0).fit_predict(X)
    ...     print(k, round(learned_information(X, labels), 1))
    2 0.4
    10 1.6
    100 1.5
    """
    share = generalization(rows, labels, alpha=alpha, n_folds=n_folds, rng=rng)
    n_clusters = _from_zero(column_or_1d(labels)).max(initial=0) + 1
    return float(share**2 * np.log(n_clusters))


def _from_zero(labels: np.ndarray) -> np.ndarray:
    """Return labels from 0 without gaps; labels of noise are negative."""
    names, clusters = np.unique(labels, return_inverse=True)
    if names.dtype.kind in "if":
        clusters -= np.searchsorted(names, 0)
    return clusters


def _standardized(x: np.ndarray) -> np.ndarray:
    """Return unit rows at a mean squared distance of 1 from their mean, float32."""
    x = unit(np.asarray(x, dtype=np.float32))
    x -= x.mean(axis=0)
    return x / max(np.linalg.norm(x) / np.sqrt(len(x)), 1e-6)


def _predict(
    X: np.ndarray,
    clusters: np.ndarray,
    alpha: Float,
    n_folds: Int,
    rng: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the clusters of rows, and those predicted from each other fold."""
    targets = np.eye(clusters.max() + 1, dtype=np.float32)
    true, predicted = [], []
    folds = KFold(min(n_folds, len(X)), shuffle=True, random_state=rng)
    for others, fold in folds.split(X):
        fold, others = fold[clusters[fold] >= 0], others[clusters[others] >= 0]
        if not len(fold):
            continue
        x, y = X[fold], targets[clusters[fold]]
        mean, sizes = x.mean(axis=0), y.mean(axis=0)
        coef = _ridge(x - mean, y - sizes, alpha)
        scores = X[others] @ coef + (sizes - mean @ coef)
        true.append(clusters[others])
        predicted.append(scores.argmax(axis=1))
    return np.concatenate(true), np.concatenate(predicted)


def _ridge(x: np.ndarray, y: np.ndarray, alpha: Float) -> np.ndarray:
    """Return the coefficients, (d, k), by the smaller of both Gram matrices."""
    wide = x.shape[1] > len(x)
    gram = (x @ x.T if wide else x.T @ x).astype(np.float64)
    gram[np.diag_indices_from(gram)] += alpha
    factor = cho_factor(gram, overwrite_a=True, check_finite=False)
    coef = x.T @ cho_solve(factor, y) if wide else cho_solve(factor, x.T @ y)
    return coef.astype(np.float32)


def _adjusted_share(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mutual information of the entropy of `true`, both beyond chance."""
    n = len(true)
    counts = contingency_matrix(true, predicted, sparse=True, dtype=np.int64)
    chance = expected_mutual_information(counts, n)
    entropy = entr(np.bincount(true) / n).sum()
    if entropy - chance < 1e-6:
        return 0.0
    information = mutual_info_score(None, None, contingency=counts)
    return float(np.clip((information - chance) / (entropy - chance), 0, 1))

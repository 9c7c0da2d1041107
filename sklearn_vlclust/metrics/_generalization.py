"""How well a linear classifier learns the clusters and finds them in unseen rows."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, qr
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ..embedding._read import read_unit_rows

# Rows that are drawn from more than that.
MAX_ROWS = 20_000


def generalization(rows, labels, *, alpha=1.0, n_folds=5, rng=0):
    r"""Held-out agreement of clusters with a ridge classifier of them, beyond chance.

    A linear classifier is trained on the clusters of all folds of the rows but one and
    predicts those of the rest, as [1]_ does to compare labelings. Clusters that follow
    the structure of the rows are learned from few rows, others are not. The share
    :math:`a` of rows whose cluster is predicted is corrected for chance as Cohen's
    kappa [2]_:

    .. math:: (a - \sum_j p_j q_j) / (1 - \sum_j p_j q_j)

    with :math:`p` the sizes of the clusters and :math:`q` those of the predicted ones,
    so that nothing is gained by one large cluster that is always predicted.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        Embeddings; only their direction counts. Or what has a `shape` and returns an
        array of the rows that it is indexed with.
    labels : array-like of shape (n_samples,)
        Clusters. Noise (negative labels) is not learned, and counts as not predicted.
    alpha : float, default=1.0
        Weight of the ridge penalty, where rows have a mean squared distance of 1 from
        their mean.
    n_folds : int, default=5
        Number of folds; as many as rows if these are fewer.
    rng : int or RandomState instance, default=0
        Draws the folds, and 20,000 of more rows. They do not depend on the labels: the
        partitions of some rows are compared on the same folds.

    Returns
    -------
    score : float
        1 at most, about 0 for random labels, and 0 for a single cluster or for
        clusters of one row each.

    Raises
    ------
    ValueError
        If there are not as many labels as rows, `alpha` is not positive, `n_folds` is
        below 2, or a value is not finite.

    See Also
    --------
    sklearn_vlclust.model_selection.generalization_score : As a scorer of estimators.

    References
    ----------
    .. [1] Gadetsky, Jiang, Brbic, "Let go of your labels with unsupervised transfer",
       ICML 2024.
    .. [2] Cohen, "A coefficient of agreement for nominal scales", Educational and
       Psychological Measurement, 1960.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_vlclust.metrics import generalization
    >>> X, y = load_digits(return_X_y=True)
    >>> round(generalization(X, y), 2)
    0.93
    >>> round(generalization(X, y // 2), 2)
    0.89
    """
    labels = column_or_1d(labels)
    check_consistent_length(rows, labels)
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, got {alpha!r}.")
    if n_folds < 2:
        raise ValueError(f"n_folds must be 2 or more, got {n_folds!r}.")
    rng = check_random_state(rng)
    kept = np.arange(len(labels))
    if len(labels) > MAX_ROWS:
        kept = np.sort(rng.choice(len(labels), MAX_ROWS, replace=False))
    names, clusters = np.unique(labels[kept], return_inverse=True)
    if names.dtype.kind in "if":  # from 0 without gaps; noise is negative
        clusters -= np.searchsorted(names, 0)
    noise = clusters < 0
    n_clusters, n = int(clusters.max(initial=-1)) + 1, len(clusters)
    if n_clusters < 2:
        return 0.0
    X = _standardized(rows, kept)
    predicted = _predict_held_out(X, clusters, n_clusters, alpha, min(n_folds, n), rng)
    sizes = np.bincount(clusters[~noise], minlength=n_clusters) / n
    chance = sizes @ np.bincount(predicted, minlength=n_clusters) / n
    return float((np.mean(predicted == clusters) - chance) / (1 - chance))


def _standardized(rows, kept):
    """Return unit rows at a mean squared distance of 1 from their mean, float32."""
    if not hasattr(rows, "shape") or hasattr(rows, "__array__"):
        rows = read_unit_rows(rows)
    X = np.array(rows[kept], dtype=np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True).clip(1e-12)
    X -= X.mean(axis=0)
    X /= max(np.linalg.norm(X) / np.sqrt(len(X)), 1e-6)
    if X.shape[1] > len(X):  # turned into as many features as rows: the same products
        X = qr(X.T, mode="r", check_finite=False)[0][: len(X)].T
    return X


def _predict_held_out(X, clusters, n_clusters, alpha, n_folds, rng):
    """Return the cluster of each row that a fit to the other folds predicts.

    Sums of the training rows are those of all rows without the held-out ones, and one
    Cholesky factor a fold solves for all clusters.
    """
    targets = np.zeros((len(X), n_clusters), dtype=np.float32)
    learned = np.flatnonzero(clusters >= 0)
    targets[learned, clusters[learned]] = 1
    weights = (clusters >= 0).astype(np.float32)
    gram, sums, cross = _sums(X, targets, weights)
    predicted = np.empty(len(X), dtype=np.int64)
    for _, test in KFold(n_folds, shuffle=True, random_state=rng).split(X):
        held_out = _sums(X[test], targets[test], weights[test])
        count = weights.sum() - weights[test].sum()
        if count == 0:
            predicted[test] = 0
            continue
        mean = (sums - held_out[1]) / count
        sizes = targets.sum(axis=0) - targets[test].sum(axis=0)
        centered = (gram - held_out[0]).astype(np.float64)
        centered -= count * np.outer(mean, mean)
        centered[np.diag_indices_from(centered)] += alpha
        right = cross - held_out[2] - np.outer(mean, sizes)
        coef = cho_solve(cho_factor(centered, overwrite_a=True), right)
        scores = (X[test] - mean) @ coef.astype(np.float32) + sizes / count
        predicted[test] = scores.argmax(axis=1)
    return predicted


def _sums(X, targets, weights):
    """Return the sums of ``x x^T``, of ``x`` and of ``x y^T`` over rows."""
    weighted = X * weights[:, None]
    return X.T @ weighted, weighted.sum(axis=0), X.T @ targets

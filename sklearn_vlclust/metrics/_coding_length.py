"""Bits a clustering needs to describe rows up to a precision: Algorithm 1 of CPP."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from .._docs import documented
from .._typing import Float
from ..data.rows import UnitRows, row_blocks
from ._clusters import cluster_members


@documented()
def coding_length(
    Z: ArrayLike | UnitRows, labels: ArrayLike, eps: Float = 0.1
) -> float:
    r"""Length, in nats, of a code for rows and their clusters: eq. 7 of CPP [1]_.

    .. math:: L = \sum_i \frac{m_i + d}{2}
        \log\det\left(I + \frac{d}{m_i \varepsilon} Z_i^\top Z_i\right)
        - m_i \ln\frac{m_i}{n}

    with the `m_i` rows `Z_i` of cluster i. The factor 1/2 is from the authors' code.
    Less is better: among clusterings into 1, 2, ... clusters, Algorithm 1 takes the one
    with the shortest code. Each cluster costs about as many nats as `d` further rows,
    so the answer is too small where clusters have about as many rows as `d`.

    Parameters
    ----------
    Z : array-like of shape (n_samples, d)
        Unit rows, as :class:`~sklearn_vlclust.RateReductionClustering` learns them.
        Used unchanged.
    labels : array-like of shape (n_samples,)
        Clusters.
    <eps>

    Returns
    -------
    length : float
        In nats.

    Raises
    ------
    ValueError
        If `eps` is not positive or the lengths of `Z` and `labels` differ.

    References
    ----------
    .. [1] Chu, Tong, Ding et al., "Image clustering via the principle of rate reduction
       in the age of pretrained models", ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust.metrics import coding_length
    >>> Z = np.repeat(np.eye(3), 100, axis=0)
    >>> classes = np.repeat([0, 1, 2], 100)
    >>> coding_length(Z, classes) < coding_length(Z, np.minimum(classes, 1))
    True
    """
    if not eps > 0:
        raise ValueError(f"eps={eps!r} should be positive: a squared precision.")
    if not isinstance(Z, UnitRows):
        Z = check_array(Z, dtype=(np.float64, np.float32))
    labels = column_or_1d(labels)
    check_consistent_length(Z, labels)
    _, labels = np.unique(labels, return_inverse=True)
    sizes = np.bincount(labels)
    n, d = Z.shape
    logdets = np.array(
        [_logdet(Z, rows, d / (len(rows) * eps)) for rows in cluster_members(labels)]
    )
    return float(((sizes + d) / 2 * logdets - sizes * np.log(sizes / n)).sum())


def _logdet(Z: Any, rows: np.ndarray, scale: Float) -> float:
    """Return logdet(I + scale Z_i^T Z_i) of the rows of a cluster."""
    d = Z.shape[1]
    if len(rows) < d:  # the same of the smaller matrix Z_i Z_i^T
        x = Z[rows]
        gram = x @ x.T
    else:
        gram = np.zeros((d, d))
        for block in row_blocks(len(rows)):
            x = Z[rows[block]]
            gram += x.T @ x
    matrix = np.float64(scale) * gram
    matrix[np.diag_indices_from(matrix)] += 1
    return 2 * np.log(np.diagonal(np.linalg.cholesky(matrix))).sum()

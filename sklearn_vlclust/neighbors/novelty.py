"""How unusual new rows are, beside the rows that a clustering was made of."""

from __future__ import annotations

import numpy as np

from .._typing import Int
from ..data.rows import UnitRows
from .knn import kneighbors, nearest

# Cosine distance by which rounding moves a row from itself.
_SAME = 1e-5


def novelty_p_values(
    rows: UnitRows | np.ndarray,
    reference: UnitRows | np.ndarray,
    n_neighbors: Int = 5,
) -> np.ndarray:
    """Share of the reference that is as far from its neighbors as each row, or farther.

    The distance is the mean cosine distance to the nearest reference rows [1]_, of a
    reference row to the nearest others; its share is a conformal p-value [2]_. Of rows
    drawn as the reference was, a share of at most `p` has a value up to `p`.

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n_rows, n_features)
        New rows of unit length.
    reference : UnitRows or ndarray of shape (n_reference, n_features)
        At least 2 rows of unit length.
    n_neighbors : int, default=5
        Nearest rows of the reference; fewer if there are not as many.

    Returns
    -------
    p_values : ndarray of shape (n_rows,)
        Between ``1 / (n_reference + 1)`` and 1, which a row of the reference has.

    References
    ----------
    .. [1] Sun, Ming, Zhu, Li, Out-of-distribution detection with deep nearest
       neighbors, ICML 2022.
    .. [2] Vovk, Gammerman, Shafer, Algorithmic learning in a random world, Springer
       2005.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust.neighbors.novelty import novelty_p_values
    >>> reference = np.eye(8, dtype=np.float32)[[0, 0, 0, 1, 1, 1]]
    >>> float(novelty_p_values(np.eye(8, dtype=np.float32)[[7]], reference, 2)[0])
    0.14285714285714285
    """
    n = reference.shape[0]
    k = min(n_neighbors, n - 1)
    _, among = kneighbors(reference, k)
    _, found = nearest(rows, reference, k)
    usual = np.sort(among.mean(axis=1, dtype=np.float64))
    closeness = found.mean(axis=1, dtype=np.float64)
    n_as_far = np.searchsorted(usual, closeness, side="right")
    is_there = found[:, 0] > 1 - _SAME
    return np.where(is_there, 1.0, (1 + n_as_far) / (n + 1))

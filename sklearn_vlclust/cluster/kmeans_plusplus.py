"""Initialization of k-means."""

import numpy as np
import torch

from .._backend._products import linear
from ..data.protocol import as_tensor


def kmeans_plusplus(x, n_clusters, n_starts, rng):
    """Draw starts of k-means by greedy k-means++ [1]_: a list of (n_clusters, d).

    As in scikit-learn, but faster on few rows: halves of the squared distances are
    used, and all starts share one matrix product.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    n_clusters, n_starts : int
        Centers per start (rows of `x`), and number of starts.
    rng : RandomState
        Draws the starts.

    References
    ----------
    .. [1] Arthur, Vassilvitskii, "k-means++: the advantages of careful seeding",
       SODA 2007.
    """
    n, n_tried = len(x), 2 + int(np.log(n_clusters))
    drawn = [
        (rng.randint(n), rng.uniform(size=(n_clusters - 1, n_tried)))
        for _ in range(n_starts)
    ]
    halves = np.einsum("ij,ij->i", x, x) / 2
    resolution = np.float32(1e-7) * max(1.0, 2 * halves.max())
    rows = as_tensor(x)  # torch: a third of the time of NumPy's product of few rows

    def distances_to(some):
        products = linear(rows[torch.as_tensor(some)], rows).numpy()
        return (halves[some, None] + halves - products).clip(resolution)

    chosen = [[first for first, _ in drawn]]
    distances, starts = distances_to(chosen[0]), np.arange(n_starts)
    for i in range(n_clusters - 1):
        sums = distances.cumsum(axis=1, dtype=np.float64)
        tried = [s.searchsorted(u[i] * s[-1]) for s, (_, u) in zip(sums, drawn)]
        tried = np.clip(tried, 0, n - 1)  # (n_starts, n_tried)
        left = distances_to(tried.ravel()).reshape(*tried.shape, n)
        left = np.minimum(distances[:, None], left)
        best = left.sum(axis=2).argmin(axis=1)
        chosen.append(tried[starts, best])
        distances = left[starts, best]
    return [x[start] for start in np.transpose(chosen)]

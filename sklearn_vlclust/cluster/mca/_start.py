"""Warm start of the training (not in the paper).

Heads started at random collapse: the pseudo-labels of eq. 5 come from a text head that
nothing keeps balanced. Started from a partition of the images, they do not.
"""

import torch
from torch.nn import functional as F

from ...data.protocol import as_tensor
from .recipe import MCARecipe


def smooth(x, near):
    """Move rows towards their neighbors, so that groups stand apart.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    near : int array of shape (n, k)
        Neighbors of each row.

    Returns
    -------
    x_smooth : ndarray of shape (n, d)
    """
    x, near = as_tensor(x), as_tensor(near)
    for _ in range(MCARecipe.in_use().smoothing_rounds):
        # A mean of gathered rows that are never held.
        x = torch.lerp(x, F.embedding_bag(near, x, mode="mean"), 0.5)
    return x.numpy()

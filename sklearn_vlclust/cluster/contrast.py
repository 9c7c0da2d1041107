"""The contrast of two views, which PICI (eqs. 5 and 6) and GCC (eq. 1) share."""

import torch
from torch.nn import functional as F

from .._backend._products import linear


def instance_contrast(z_a, z_b, tau):
    """Contrast of the two views of an image with all other images: eqs. 5 and 6.

    Instance features of the views are unit rows, (n, d); `tau` is `tau_I`. As printed,
    the sum of eq. 5 also holds the similarity of a view with itself, a constant. It is
    left out: by the text an image has 2 (n - 1) negative pairs.
    """
    return contrast(torch.cat([z_a, z_b]), tau)


def contrast(rows, tau):
    """Cross-entropy of each unit row's other view among all other rows; (2 n, d)."""
    n = len(rows) // 2
    similarity = (linear(rows, rows) / tau).fill_diagonal_(-torch.inf)
    other = torch.arange(2 * n, device=rows.device).roll(n)
    return F.cross_entropy(similarity, other)

"""Joint rows of images and their noun mixtures (not in the paper)."""

from copy import copy

import numpy as np

from ..data.protocol import Rows
from ..data.rows import DENSE_BYTES, row_blocks


class StandardRows(Rows):
    """Rows standardized to mean zero and mean squared length one."""

    def __init__(self, rows):
        self.shape = rows.shape
        self._rows = rows
        total, squares = np.zeros(rows.shape[1]), 0.0
        for block in row_blocks(rows.shape[0]):
            x = rows[block]
            total += x.sum(axis=0, dtype=np.float64)
            squares += float(np.einsum("ij,ij->", x, x, dtype=np.float64))
        mean = total / rows.shape[0]
        spread = np.sqrt(max(squares / rows.shape[0] - mean @ mean, 0.0))
        self.mean = mean.astype(np.float32)
        # Identical rows have no spread; they are left at zero.
        self.spread = np.float32(spread if spread > 1e-6 else 1.0)

    def __getitem__(self, index):
        rows = self._rows[index] - self.mean
        rows /= self.spread
        return rows


class JointRows(Rows):
    """Several descriptions of the same images, each (n, d_i), side by side.

    `weights` are the factors of the descriptions, by default ones.
    """

    def __init__(self, parts, weights=None):
        self._parts = parts
        self._weights = weights or [1.0] * len(parts)
        self._unit = False
        n = parts[0].shape[0]
        self.shape = (n, sum(part.shape[1] for part in parts))
        self._dense = None
        if n * self.shape[1] * 4 <= DENSE_BYTES:
            self._dense = np.concatenate([self._make(b) for b in row_blocks(n)])

    def __getitem__(self, index):
        return self._make(index) if self._dense is None else self._dense[index]

    def unit(self):
        """Return the same rows at unit length, as cosine neighbors need them."""
        rows = copy(self)
        rows._unit = True
        if self._dense is not None:
            rows._dense = _to_unit(self._dense.copy())
        return rows

    def _make(self, index):
        # One part at a time into its place: tiles are large, and many are made.
        x, stop = None, 0
        for part, weight in zip(self._parts, self._weights):
            rows = part[index]
            if x is None:
                x = np.empty((len(rows), self.shape[1]), dtype=np.float32)
            start, stop = stop, stop + rows.shape[1]
            np.multiply(rows, np.float32(weight), out=x[:, start:stop])
        return _to_unit(x) if self._unit else x


def _to_unit(x):
    """Scale rows to unit length in place; rows of zeros stay."""
    x /= np.sqrt(np.einsum("ij,ij->i", x, x))[:, None].clip(1e-12)
    return x

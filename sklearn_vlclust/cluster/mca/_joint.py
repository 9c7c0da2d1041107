"""Images described by themselves and by their nouns (not in the paper)."""

from copy import copy

import numpy as np

from ...embedding._rows import BLOCK_ROWS, DENSE_BYTES, row_blocks
from ...neighbors import nearest

# Nouns kept a mixture: exp(cos / 0.01) leaves nothing to speak of beyond these.
MIXTURE_NOUNS = 16


class NounMixture:
    """Each image as a weighted mean of nouns: ``softmax(cos / temperature) @ nouns``.

    Only the `MIXTURE_NOUNS` nearest nouns of an image are kept, so that a million
    images take a hundred megabytes; rows are made on demand.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Images.
    nouns : ndarray of shape (m, d)
        Unit rows.
    temperature : float
        Of the softmax over nouns.
    min_nouns : int, default=1
        Smallest number of `near_nouns` a row that the caller needs.
    """

    def __init__(self, rows, nouns, temperature, min_nouns=1):
        self.shape = rows.shape
        self._nouns = nouns
        top = min(max(MIXTURE_NOUNS, min_nouns), len(nouns))
        self.near_nouns, cosines = nearest(rows, nouns, top)
        weights = np.exp((cosines - cosines[:, :1]) / temperature)
        self._weights = weights / weights.sum(axis=1, keepdims=True)

    def __getitem__(self, index):
        """Return the mixtures of the images `index`, (b, d)."""
        near, weights = self.near_nouns[index], self._weights[index]
        mixture = np.zeros((len(near), self.shape[1]), dtype=np.float32)
        for noun, weight in zip(near.T, weights.T):  # keeps the gather at (b, d)
            mixture += weight[:, None] * self._nouns[noun]
        return mixture


class StandardRows:
    """Rows brought to mean zero and mean squared length one.

    Parameters
    ----------
    rows : object with `shape` and `[index]`
        Images or their mixtures.
    """

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
        return (self._rows[index] - self.mean) / self.spread


class JointRows:
    """Several descriptions of the same images, side by side.

    Parameters
    ----------
    parts : sequence of objects with `shape` and `[index]`
        Descriptions, each (n, d_i).
    weights : sequence of float, default=None
        Factor of each description; ones if None.
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

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        return self._make(index) if self._dense is None else self._dense[index]

    def unit(self):
        """Return the same rows at unit length, as cosine neighbours need them."""
        rows = copy(self)
        rows._unit = True
        if self._dense is not None:
            rows._dense = self._to_unit(self._dense)
        return rows

    def blocks(self, size=BLOCK_ROWS):
        """Yield ``(slice, rows)`` over all rows, `size` rows at a time."""
        for block in row_blocks(len(self), size):
            yield block, self[block]

    def _make(self, index):
        x = [part[index] * np.float32(w) for part, w in zip(self._parts, self._weights)]
        x = np.concatenate(x, axis=1)
        return self._to_unit(x) if self._unit else x

    @staticmethod
    def _to_unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12)

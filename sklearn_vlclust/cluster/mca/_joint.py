"""Images described by themselves and by their nouns (not in the paper)."""

from copy import copy

import numpy as np
from scipy.sparse import csr_array
from scipy.special import entr, softmax

from ...embedding._rows import DENSE_BYTES, row_blocks
from ...neighbors import nearest

# Nouns kept a mixture: with a handful in effect, the rest adds nothing to speak of.
MIXTURE_NOUNS = 16


class NounMixture:
    """Each image as a weighted mean of nouns: ``softmax(cos / temperature) @ nouns``.

    Encoders differ in how far apart their cosines lie, so that the temperature follows
    from the number of nouns that are to count. Only the `MIXTURE_NOUNS` nearest nouns
    of an image are kept: a million images take a hundred megabytes, and rows are made
    on demand.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Images.
    nouns : ndarray of shape (m, d)
        Unit rows.
    perplexity : float
        Effective number of nouns in a mixture, averaged over images.
    min_nouns : int, default=1
        Smallest number of `near_nouns` a row that the caller needs.
    device : torch.device or str, default="cpu"
        Where images and nouns are compared.

    Attributes
    ----------
    temperature : float
        Of the softmax over nouns.
    near_nouns : int array of shape (n, k)
        Nearest nouns of each image.
    """

    def __init__(self, rows, nouns, perplexity, min_nouns=1, device="cpu"):
        self.shape = rows.shape
        self._nouns = nouns
        top = min(max(MIXTURE_NOUNS, min_nouns), len(nouns))
        self.near_nouns, cosines = nearest(rows, nouns, top, device)
        some = cosines[:: 1 + len(cosines) // 10_000]
        self.temperature = find_temperature(some[:, :1] - some, perplexity)
        for block in row_blocks(len(cosines)):  # in place: there may be many rows
            gaps = cosines[block] - cosines[block, :1]
            cosines[block] = softmax(gaps / np.float32(self.temperature), axis=1)
        self._weights = cosines

    def __getitem__(self, index):
        """Return the mixtures of the images `index`, (b, d)."""
        near, weights = self.near_nouns[index], self._weights[index]
        starts = np.arange(0, near.size + 1, near.shape[1])
        shape = len(near), len(self._nouns)
        return csr_array((weights.ravel(), near.ravel(), starts), shape) @ self._nouns


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
        rows = self._rows[index] - self.mean
        rows /= self.spread
        return rows


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
    """Scale rows to unit length in place; rows of zeros are left."""
    x /= np.sqrt(np.einsum("ij,ij->i", x, x))[:, None].clip(1e-12)
    return x


def find_temperature(gaps, perplexity):
    """Find the temperature at which softmax weights have a given mean perplexity.

    Parameters
    ----------
    gaps : ndarray of shape (n, k)
        How far each of the k best cosines of a row lies below the best.
    perplexity : float
        Exponential of the entropy of a row's weights, averaged over rows. Limited to
        nine tenths of k.

    Returns
    -------
    temperature : float
        Between 1e-5 and 1e5.
    """
    wanted = min(perplexity, max(1.0, 0.9 * gaps.shape[1]))
    low, high = -5.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        weights = softmax(-gaps / 10**middle, axis=1)
        found = np.exp(entr(weights).sum(axis=1)).mean()
        low, high = (middle, high) if found < wanted else (low, middle)
    return float(10**high)

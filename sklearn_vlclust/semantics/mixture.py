"""Images as mixtures of nouns (not in the papers)."""

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.special import entr, softmax

from ..data.protocol import Rows
from ..data.rows import row_blocks
from ..neighbors import nearest

# Nouns kept per mixture: with a perplexity of a few nouns, the rest adds next to
# nothing.
MIXTURE_NOUNS = 16


class NounMixture(Rows):
    """Each image as a weighted mean of nouns: ``softmax(cos / temperature) @ nouns``.

    Encoders differ in the range of their cosines, so the temperature is found by
    perplexity search: it follows from the number of nouns that should count. Only the
    `MIXTURE_NOUNS` nearest nouns of an image are kept: a million images take a hundred
    megabytes, and rows are made on demand.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Images.
    nouns : ndarray of shape (m, d)
        Unit rows.
    perplexity : float
        Effective number of nouns in a mixture, averaged over images.
    min_nouns : int, default=1
        Smallest number of `near_nouns` per row that the caller needs.
    device : torch.device or str, default="cpu"
        Where images and nouns are compared.

    Attributes
    ----------
    temperature : float
        Of the softmax over nouns.
    near_nouns : int array of shape (n, k)
        Nearest nouns of each image.
    nouns : ndarray of shape (m, d)
        As given.
    """

    def __init__(self, rows, nouns, perplexity, min_nouns=1, device="cpu"):
        self.shape = rows.shape
        self.nouns = nouns
        top = min(max(MIXTURE_NOUNS, min_nouns), len(nouns))
        self.near_nouns, cosines = nearest(rows, nouns, top, device)
        some = cosines[:: 1 + len(cosines) // 10_000]
        self.temperature = search_perplexity(some[:, :1] - some, perplexity)
        for block in row_blocks(len(cosines)):  # in place: there may be many rows
            gaps = cosines[block] - cosines[block, :1]
            cosines[block] = softmax(gaps / np.float32(self.temperature), axis=1)
        self._weights = cosines

    def __getitem__(self, index):
        """Return the mixtures of the images `index`, (b, d)."""
        near, weights = self.near_nouns[index], self._weights[index]
        starts = np.arange(0, near.size + 1, near.shape[1])
        shape = len(near), len(self.nouns)
        return csr_array((weights.ravel(), near.ravel(), starts), shape) @ self.nouns


def top_mixture(cosines, temperature):
    """Return the `MIXTURE_NOUNS` nearest nouns of images and their weights, (b, k).

    `cosines`, (b, m), are of images and all nouns. Rows of weights sum to 1.
    """
    top, near = cosines.topk(min(MIXTURE_NOUNS, cosines.shape[1]), dim=1)
    return near, torch.softmax((top - top[:, :1]) / temperature, dim=1)


def search_perplexity(gaps, perplexity):
    """Perplexity search: the temperature that gives softmax weights a mean perplexity.

    `gaps`, (n, k), are how far each of the k best cosines of a row lies below the best.
    The perplexity, the exponential of the entropy of a row's weights averaged over
    rows, is limited to nine tenths of k; the temperature lies between 1e-5 and 1e5.
    """
    wanted = min(perplexity, max(1.0, 0.9 * gaps.shape[1]))
    low, high = -5.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        weights = softmax(-gaps / 10**middle, axis=1)
        found = np.exp(entr(weights).sum(axis=1)).mean()
        low, high = (middle, high) if found < wanted else (low, middle)
    return float(10**high)

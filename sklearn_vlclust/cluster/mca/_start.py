"""Where training starts, and how far the words are trusted (not in the paper).

Heads started at random collapse: the pseudo-labels of eq. 5 come from a text head that
nothing keeps balanced. Started from a partition of the images, they do not.
"""

import numpy as np
import torch
from torch.nn import functional as F

from ...embedding._rows import as_tensor

# Where the semantic weight leaves 0, and where it reaches 1: agreement of text over
# that of images, and disagreement of images over that of text.
AGREEMENT_RANGE = 0.5, 0.85
DISAGREEMENT_RANGE = 0.4, 0.65
# Rounds in which every row moves half-way to the mean of its neighbours.
SMOOTHING_ROUNDS = 2


def neighbor_agreement(near_images, labels):
    """Share of an image's near images that carry its label, averaged over images.

    Parameters
    ----------
    near_images : int array of shape (n, k)
        Near images of each image.
    labels : int array of shape (n,)
        A clustering.

    Returns
    -------
    agreement : float
        Between 0 and 1.
    """
    return float((labels[near_images] == labels[:, None]).mean())


def semantic_weight(text, image):
    """How far the nouns are trusted, from 0 (not at all) to 1.

    Nouns that cover the images cut them much as the images cut themselves: near images
    get the same cluster from their noun mixtures. Nouns that do not, cut at random;
    then their agreement is low against that of the images. And where images agree
    almost everywhere, nouns that agree a little less would add more errors than they
    mend; then their disagreement is high against that of the images. The weight is the
    product of both comparisons, each linear between the two ends of its range.

    Parameters
    ----------
    text, image : float
        `neighbor_agreement` of k-means labels of noun mixtures, and of images.

    Returns
    -------
    weight : float
    """
    agreement = text / max(image, 1e-12)
    disagreement = (1 - image) / max(1 - text, 1e-12)
    return _ramp(agreement, *AGREEMENT_RANGE) * _ramp(disagreement, *DISAGREEMENT_RANGE)


def _ramp(value, low, high):
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def smooth(x, near):
    """Move rows towards their neighbours, so that groups stand apart.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    near : int array of shape (n, k)
        Neighbours of each row.

    Returns
    -------
    x_smooth : ndarray of shape (n, d)
    """
    x, near = as_tensor(x), as_tensor(near)
    for _ in range(SMOOTHING_ROUNDS):
        # A mean of gathered rows that are never held.
        x = torch.lerp(x, F.embedding_bag(near, x, mode="mean"), 0.5)
    return x.numpy()

"""How far nouns help to tell images apart, measured without labels (not in the papers).

Both questions are put to random halves of the images. One half is clustered, each image
of the other half gets the cluster of its nearest ones of the first, and that is
compared with the clusters of the other half itself.
"""

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh
from sklearn.metrics import adjusted_mutual_info_score

from .._backend._products import linear
from ..data.rows import unit
from .axes import TINY_VARIANCE
from .partition import pairwise_distances
from .recipe import WordRecipe


def weigh_words(images, texts, k, rng):
    """How far the nouns are trusted, from 0 (not at all) to 1.

    Nouns *cover* the images if the nearest mixtures predict the clusters of images
    about as well as the nearest images do. They *add* something if the nearest images
    predict clusters of joint rows better than clusters of images: the images must
    confirm what the words propose. Mixtures that repeat what the images show, or that
    separate images by something they do not show, fail this test. The weight is the
    product of both measures, each linear between the ends of its range.

    `images` and `texts`, (n, d), are standardized rows of images and of their mixtures.
    """
    recipe = WordRecipe.in_use()
    some = np.sort(rng.permutation(len(images))[: recipe.halved_rows])
    numbers = np.unique([min(round(k * m), len(some) // 4) for m in recipe.multiples])
    numbers = numbers[numbers > 1]
    if not len(numbers) or len(some) < 4 * recipe.n_nearest:
        return 0.0
    images, texts = images[some], texts[some]
    joint = np.hstack([images, recipe.mixture_weight * texts])
    images, texts, joint = map(_half_whitened, (images, texts, joint))
    factor = min(recipe.most_factor, recipe.halved_rows / len(some))
    told = [
        _halve(images, texts, joint, numbers, rng)
        for _ in range(int(recipe.n_halvings * factor))
    ]
    of_images, of_texts, of_joint = np.transpose(told)
    added, lacking = of_joint - of_images, max(1 - of_images.mean(), 1e-9)
    # Of few images, halves differ: what is added has to exceed that.
    gain = (added.mean() - added.std()) / lacking
    coverage = of_texts.mean() / max(of_images.mean(), 1e-9)
    return _ramp(gain, *recipe.gain_range) * _ramp(coverage, *recipe.coverage_range)


def _halve(images, texts, joint, numbers, rng):
    """Return what near images tell of clusters of images, texts of them, and of joint.

    Means over both directions and all numbers of clusters.
    """
    order, told = rng.permutation(len(images)), np.zeros(3)
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    trees = [[_tree(rows[half]) for half in halves] for rows in (images, joint)]
    for one, other in ((0, 1), (1, 0)):
        by_images, by_texts = (
            _nearest(rows[halves[other]], rows[halves[one]]) for rows in (images, texts)
        )
        for k in numbers:
            own, joined = ((_cut(tree[one], k), _cut(tree[other], k)) for tree in trees)
            told += [
                _agreement(by_images, *own),
                _agreement(by_texts, *own),
                _agreement(by_images, *joined),
            ]
    return told / (2 * len(numbers))


def _agreement(near, labels, wanted):
    """Adjusted mutual information of the clusters of near rows, and of the rows."""
    indices, weights = near
    votes = np.zeros((len(indices), labels.max() + 1))
    for place, weight in zip(indices.T, weights.T):
        votes[np.arange(len(votes)), labels[place]] += weight
    return adjusted_mutual_info_score(votes.argmax(axis=1), wanted)


def _nearest(rows, others):
    """Return the nearest of other rows, and weights by which ties are broken."""
    cosines = linear(torch.from_numpy(rows), torch.from_numpy(others))
    top, near = cosines.topk(WordRecipe.in_use().n_nearest, dim=1)
    return near.numpy(), 1 + 0.1 * top.numpy()


def _tree(rows):
    return linkage(pairwise_distances(rows), "ward")


def _cut(tree, k):
    return fcluster(tree, k, "maxclust") - 1


def _half_whitened(x):
    """Return unit rows on the first half-whitened principal axes."""
    n_axes = WordRecipe.in_use().n_axes
    x = x - x.mean(axis=0)
    covariance = (x.T @ x).astype(np.float64) / len(x)
    if x.shape[1] > 4 * n_axes:  # then Lanczos is the faster one
        start = np.ones(x.shape[1])
        variances, vectors = eigsh(covariance, n_axes, which="LA", v0=start)
    else:
        variances, vectors = eigh(covariance)
    least = TINY_VARIANCE * max(variances.max(), 1e-12)
    kept = np.flatnonzero(variances > least)[-n_axes:]
    return unit(x @ (vectors[:, kept] / variances[kept] ** 0.25).astype(np.float32))


def _ramp(value, low, high):
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))

"""Well-separated groups, whose sizes must not be balanced."""

import numpy as np

from ..data.rows import unit
from ..metrics._clusters import cluster_means
from .recipe import CommonRecipe


def separate_groups(rows, k):
    """Find `k` well-separated groups of unit rows, of any sizes: labels, or None.

    Centers are found by farthest-first traversal: separated groups get one each,
    however small they are. The mean simplified silhouette of each group, by cosine
    distance, must be at least 0.5.
    """
    if not 1 < k <= len(rows):
        return None
    recipe = CommonRecipe.in_use()
    furthest = int((rows @ rows.mean(axis=0)).argmin())
    centers, nearest = [], np.full(len(rows), -np.inf, dtype=rows.dtype)
    for _ in range(k):
        centers.append(rows[furthest])
        np.maximum(nearest, rows @ rows[furthest], out=nearest)
        furthest = int(nearest.argmin())
    means = np.array(centers)
    for _ in range(recipe.separate_rounds):
        labels = (rows @ means.T).argmax(axis=1)
        if np.bincount(labels, minlength=k).min() == 0:
            return None
        means = unit(cluster_means(rows, labels, k))
    distances = 1 - rows @ means.T
    every = np.arange(len(rows))
    own = distances[every, labels].clip(0)
    distances[every, labels] = np.inf
    other = distances.min(axis=1).clip(0)
    silhouettes = (other - own) / np.maximum(np.maximum(own, other), 1e-6)
    sums = np.bincount(labels, silhouettes, minlength=k)
    lies_apart = (sums >= recipe.least_silhouette * np.bincount(labels)).all()
    return labels if lies_apart else None

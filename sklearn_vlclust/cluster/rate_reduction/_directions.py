"""Classification by the main directions of each cluster (not in the paper)."""

import numpy as np
from sklearn.cluster import KMeans

from ...data.rows import unit
from .recipe import RateReductionRecipe


def main_directions(features):
    """Return unit means of the parts of a cluster, (n_directions, d), by k-means.

    A small cluster has fewer, and some are repeated.
    """
    recipe = RateReductionRecipe.in_use()
    k = min(recipe.n_directions, max(1, len(features) // recipe.rows_per_direction))
    k = min(k, len(np.unique(features, axis=0))) if k > 1 else k
    if k == 1:
        means = features.mean(axis=0, keepdims=True)
    else:
        means = KMeans(k, n_init=1, random_state=0).fit(features).cluster_centers_
    return unit(means)[np.arange(recipe.n_directions) % k]

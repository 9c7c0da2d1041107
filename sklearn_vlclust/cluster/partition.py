"""Partition rows into a given number of clusters: Ward's method and k-means."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans, MiniBatchKMeans

from .._backend._products import linear
from ..data.protocol import as_tensor
from ..data.rows import row_blocks
from ..metrics._clusters import cluster_means
from .kmeans_plusplus import kmeans_plusplus
from .recipe import CommonRecipe

# Rows of a tile of products.
WARD_BLOCK = 256


def kmeans(x, n_clusters, rng, n_init=1, init=None):
    """Return the best :class:`sklearn.cluster.KMeans` of `n_init` starts or of `init`.

    Of at most 50 rounds each. Its warning of fewer distinct rows than clusters is left
    to be seen: to silence it would change filters that all threads share.
    """
    starts = kmeans_plusplus(x, n_clusters, n_init, rng) if init is None else [init]
    runs = [KMeans(n_clusters, init=start, n_init=1, max_iter=50) for start in starts]
    for run in runs:
        run.set_params(random_state=rng).fit(x)
    return min(runs, key=lambda run: run.inertia_)


def kmeans_from(x, labels, n_clusters, rng):
    """Return the labels of k-means that starts at the means of clusters."""
    centers = partition_centers(x, labels, n_clusters, rng)
    return kmeans(x, n_clusters, rng, init=centers).labels_


def partition(x, n_clusters, n_init, rng):
    """Cluster rows: the best by inertia of k-means from Ward and `n_init` k-means."""
    runs = [kmeans(x, n_clusters, rng, init=_ward_centers(x, n_clusters, rng))]
    if n_init:
        runs.append(kmeans(x, n_clusters, rng, n_init))
    return min(runs, key=lambda run: run.inertia_).labels_


def draw_sample(n, n_clusters, rng):
    """Return the rows that training starts from: all, or a sorted sample."""
    recipe = CommonRecipe.in_use()
    size = max(recipe.start_rows, recipe.start_rows_per_cluster * n_clusters)
    return slice(None) if n <= size else np.sort(rng.choice(n, size, replace=False))


def partition_centers(x, labels, n_clusters, rng):
    """Return the mean of each cluster, (n_clusters, d).

    Rows that coincide can leave clusters without rows: any row will do instead.
    """
    centers = cluster_means(x, labels, n_clusters)
    empty = np.flatnonzero(np.bincount(labels, minlength=n_clusters) == 0)
    centers[empty] = x[rng.choice(len(x), len(empty))]
    return centers


def _ward_centers(x, n_clusters, rng):
    """Return the means of the clusters that Ward's method finds, (n_clusters, d)."""
    parts, members = np.arange(len(x)), x
    ward_rows = CommonRecipe.in_use().ward_rows
    if len(x) > ward_rows:
        n_parts = min(ward_rows, max(5 * n_clusters, 1000))
        # scikit-learn's own start takes most of its time.
        some = rng.choice(len(x), min(len(x), 3 * n_parts), replace=False)
        start = kmeans_plusplus(x[np.sort(some)], n_parts, 1, rng)[0]
        micro = MiniBatchKMeans(
            n_parts,
            init=start,
            batch_size=4096,
            n_init=1,
            max_iter=5,
            random_state=rng,
        ).fit(x)
        parts, members = micro.labels_, micro.cluster_centers_
    tree = linkage(pairwise_distances(members), "ward")
    labels = fcluster(tree, n_clusters, "maxclust")[parts] - 1
    return partition_centers(x, labels, n_clusters, rng)


def pairwise_distances(x):
    """Condensed Euclidean distances, by matrix products of blocks of rows."""
    n, x = len(x), as_tensor(x)
    squares = x.square().sum(dim=1)
    distances, stop = np.empty(n * (n - 1) // 2), 0
    for block in row_blocks(n, WARD_BLOCK):
        tile = linear(x[block], x[block.start :]).mul_(-2)
        tile += squares[block.start :]
        tile += squares[block, None]
        for i, row in enumerate(tile.clamp_(min=0).sqrt_().numpy()):
            start, stop = stop, stop + len(row) - 1 - i
            distances[start:stop] = row[i + 1 :]
    return distances

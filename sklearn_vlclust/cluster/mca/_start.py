"""Where training starts, and how far the words are trusted (not in the paper).

Heads started at random collapse: the pseudo-labels of eq. 5 come from a text head that
nothing keeps balanced. Started from a partition of the images, they do not.
"""

import warnings

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from ...embedding._rows import row_blocks
from ...metrics._silhouette import cluster_means

# Rows that the start is found on; the rest follows in training.
START_ROWS, START_ROWS_A_CLUSTER = 20_000, 50
# Ward compares all pairs: above this many rows it joins micro-clusters instead.
WARD_ROWS = 5_000
# Where the semantic weight leaves 0, and where it reaches 1: agreement of text over
# that of images, and disagreement of images over that of text.
AGREEMENT_RANGE = 0.5, 0.85
DISAGREEMENT_RANGE = 0.4, 0.65
# Rows whose neighbours are gathered at a time.
GATHERED_ROWS = 512
# Rounds in which every row moves half-way to the mean of its neighbours.
SMOOTHING_ROUNDS = 2


def draw_sample(n, n_clusters, rng):
    """Return the rows that the start is found on: all, or a sorted sample of many."""
    size = max(START_ROWS, START_ROWS_A_CLUSTER * n_clusters)
    return slice(None) if n <= size else np.sort(rng.choice(n, size, replace=False))


def kmeans(x, n_clusters, rng, n_init=1, init="k-means++"):
    """Return a fitted :class:`sklearn.cluster.KMeans` of at most 50 rounds."""
    run = KMeans(n_clusters, init=init, n_init=n_init, max_iter=50, random_state=rng)
    with warnings.catch_warnings():
        # Fewer distinct rows than clusters: said once, of the final clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return run.fit(x)


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
    for _ in range(SMOOTHING_ROUNDS):
        moved = np.empty_like(x)
        for block in row_blocks(len(x), GATHERED_ROWS):
            moved[block] = 0.5 * x[block] + 0.5 * x[near[block]].mean(axis=1)
        x = moved
    return x


def partition(x, n_clusters, n_init, rng):
    """Cut rows into clusters: the best, by inertia, of Ward and `n_init` k-means.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    n_clusters, n_init : int
        Number of clusters, and of random starts beside Ward's.
    rng : RandomState
        Draws the starts.

    Returns
    -------
    labels : ndarray of shape (n,)
    """
    runs = [kmeans(x, n_clusters, rng, init=_ward_centers(x, n_clusters, rng))]
    if n_init:
        runs.append(kmeans(x, n_clusters, rng, n_init))
    return min(runs, key=lambda run: run.inertia_).labels_


def _ward_centers(x, n_clusters, rng):
    """Return the means of the clusters that Ward's method finds, (n_clusters, d)."""
    parts, members = np.arange(len(x)), x
    if len(x) > WARD_ROWS:
        n_parts = min(WARD_ROWS, max(5 * n_clusters, 1000))
        micro = MiniBatchKMeans(
            n_parts, batch_size=4096, n_init=1, max_iter=5, random_state=rng
        ).fit(x)
        parts, members = micro.labels_, micro.cluster_centers_
    tree = linkage(_pairwise_distances(members), "ward")
    labels = fcluster(tree, n_clusters, "maxclust")[parts] - 1
    centers = cluster_means(x, labels, n_clusters)
    # Rows that coincide can leave Ward with fewer clusters: any row will do instead.
    empty = np.flatnonzero(np.bincount(labels, minlength=n_clusters) == 0)
    centers[empty] = x[rng.choice(len(x), len(empty))]
    return centers


def _pairwise_distances(x):
    """Condensed Euclidean distances; one matrix product, unlike scipy's loop."""
    x = np.asarray(x, dtype=np.float64)
    squares = np.einsum("ij,ij->i", x, x)
    products = x @ x.T
    rows = (
        squares[i] + squares[i + 1 :] - 2 * products[i, i + 1 :] for i in range(len(x))
    )
    return np.sqrt(np.concatenate(list(rows)).clip(0))

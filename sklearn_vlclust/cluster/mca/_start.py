"""Where training starts, and how far the words are trusted (not in the paper).

Heads started at random collapse: the pseudo-labels of eq. 5 come from a text head that
nothing keeps balanced. Started from a partition of the images, they do not.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state

# Rows that k-means sees; its centres do not get better with more.
MAX_START_ROWS = 50_000


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


def semantic_weight(agreement_text, agreement_image, low, high):
    """How far the nouns are trusted, from 0 (not at all) to 1.

    Nouns that cover the images cut them much as the images cut themselves: near images
    get the same cluster from their noun mixtures. Nouns that do not, cut at random.

    Parameters
    ----------
    agreement_text, agreement_image : float
        `neighbor_agreement` of k-means labels of noun mixtures, and of images.
    low, high : float
        Ratio of the two at which the weight leaves 0, and at which it reaches 1.

    Returns
    -------
    weight : float
    """
    ratio = agreement_text / max(agreement_image, 1e-12)
    return float(np.clip((ratio - low) / (high - low), 0.0, 1.0))


def kmeans_labels(rows, n_clusters, n_init, random_state):
    """Partition rows by k-means; fitted on a sample of them where they are many.

    Parameters
    ----------
    rows : object of shape (n, d) with `[index]` and `blocks()`
        What to partition.
    n_clusters, n_init : int
        As in :class:`sklearn.cluster.KMeans`.
    random_state : RandomState
        Draws sample and seeds.

    Returns
    -------
    labels : ndarray of shape (n,), int64
    """
    n = rows.shape[0]
    rng = check_random_state(random_state)
    sample = slice(None)
    if n > MAX_START_ROWS:
        sample = np.sort(rng.choice(n, MAX_START_ROWS, replace=False))
    kmeans = KMeans(n_clusters, n_init=n_init, max_iter=50, random_state=rng)
    kmeans.fit(rows[sample])
    return np.concatenate([kmeans.predict(x) for _, x in rows.blocks()])

"""Spectral clustering of a sparse affinity: one eigendecomposition for every k."""

import warnings

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning

from ...data.memory import check_memory
from ...data.rows import unit
from ...neighbors import kneighbors
from ..partition import kmeans, partition, partition_centers
from .eigenpairs import dense_eigenpairs, lanczos_eigenpairs
from .recipe import SpectralRecipe

# A dense decomposition up to this many rows, or rows per eigenvector: as fast or
# faster.
DENSE_ROWS, DENSE_ROWS_PER_VECTOR = 500, 8
# Memory limit of it, unless Lanczos needs as much: its basis has two vectors for each
# eigenvector wanted.
DENSE_BYTES = 4 * 2**30
# Graphs that fall apart have cuts of no affinity; ratios of cuts need some.
LEAST_CUT = 1e-4


def knn_affinity(rows, n_neighbors, gamma, rng, loops=1.0):
    """Return the affinity of every row to its nearest rows and to itself.

    Entries are ``exp((|cos| - 1) / gamma)``, the membership of CPP before it is made
    doubly stochastic, for pairs where one is among the `n_neighbors` nearest neighbors
    of the other, and zero for all others (the paper has batches of about a thousand
    rows and keeps all pairs). As ``|cos| <= 1``, nothing can overflow.

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n, d)
        Rows of unit length.
    n_neighbors : int
        Nearest rows of each row, itself excluded; at most ``n - 1`` are used.
    gamma : float
        Temperature: the smaller, the more the nearest rows dominate.
    rng : RandomState
        Draws the cells of the neighbor search above 200,000 rows.
    loops : float, default=1.0
        Affinity of a row to itself.

    Returns
    -------
    affinity : csr_array of shape (n, n)
        Symmetric, with `loops` on the diagonal.
    """
    k = min(n_neighbors, rows.shape[0] - 1)
    if k == 0:
        return loops * eye_array(rows.shape[0], format="csr")
    near, cosines = kneighbors(rows, k, random_state=rng)
    return neighbor_affinity(near, cosines, gamma, loops)


def neighbor_affinity(near, cosines, gamma, loops=1.0):
    """Return the affinity of rows whose nearest rows and cosines, (n, k), are known.

    As of :func:`knn_affinity`.
    """
    n, k = near.shape
    weights = cosine_weights(cosines, gamma)
    # 32-bit indices, where they reach: scikit-learn takes no others.
    ends = np.arange(0, n * k + 1, k, dtype=np.int32 if n * k < 2**31 else np.int64)
    affinity = csr_array((weights.ravel(), near.ravel(), ends), shape=(n, n))
    affinity = affinity.maximum(affinity.T) + loops * eye_array(n, format="csr")
    return affinity.tocsr()


def cosine_weights(cosines, gamma):
    """Return ``exp((|cos| - 1) / gamma)``, float64; as ``|cos| <= 1``, at most 1."""
    return np.exp((np.abs(cosines).clip(max=1) - 1) / np.float64(gamma))


def doubly_stochastic(affinity, max_iter=1000, tol=1e-6):
    """Scale an affinity so that all its rows and columns sum to one (eq. 3).

    The update ``s <- sqrt(s / (K s))`` keeps the result ``diag(s) K diag(s)`` exactly
    symmetric and costs one product per round.

    Parameters
    ----------
    affinity : sparse array or ndarray of shape (n, n)
        Symmetric and not negative. A row of zeros becomes a group of its own.
    max_iter : int, default=1000
        Largest number of rounds.
    tol : float, default=1e-6
        Largest difference of a sum from one at which to stop.

    Returns
    -------
    membership : csr_array of shape (n, n)
        Symmetric.

    Warns
    -----
    ConvergenceWarning
        With the largest difference of a sum from one, if that stays above `tol`.
    """
    affinity = _with_isolated(csr_array(affinity, dtype=np.float64))
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    for _ in range(max_iter):
        sums = affinity @ scale
        residual = np.abs(scale * sums - 1).max()
        if residual <= tol:
            break
        # Clipped: without loops there may be no solution, and it would diverge.
        scale = np.sqrt(scale / sums).clip(1e-50, 1e50)
    else:
        warnings.warn(
            f"The membership is not doubly stochastic after {max_iter} rounds: a row "
            f"sum differs from 1 by {residual:.1g}. A larger gamma makes it easier.",
            ConvergenceWarning,
            stacklevel=2,
        )
    scaled = diags_array(scale) @ affinity @ diags_array(scale)
    # The two products may round differently on either side of the diagonal.
    return ((scaled + scaled.T) / 2).tocsr()


class SpectralCut:
    """Cuts of a graph into any number of clusters, from one eigendecomposition.

    The leading eigenvectors of ``D^-1/2 A D^-1/2`` (of a doubly stochastic affinity:
    of itself) are computed once. For k clusters the first k of them are scaled to unit
    rows [1]_ and cut by k-means, the best of three starts.

    Every connected component adds the eigenvalue 1, which iterative solvers find a
    wrong number of times. Their eigenvectors are known, though, and are left out of
    the search. Up to as many clusters as components, clusters are components: the
    largest ones, and the rest together.

    Parameters
    ----------
    affinity : sparse array or ndarray of shape (n, n)
        Symmetric and not negative.
    max_k : int
        Largest number of clusters that will be asked for.
    rng : RandomState
        Draws the starts.
    residue : float or None, default=None
        Diffusion-map weighting: eigenvectors are scaled by ``eigenvalue**t``, with t
        chosen so that the k-th weight is `residue`. If None, they are not weighted.

    Attributes
    ----------
    affinity : csr_array of shape (n, n)
        As given.
    eigenvalues : ndarray of shape (max_k,)
        Largest first; between -1 and 1.
    eigenvectors : ndarray of shape (n, max_k), float32
        The columns have unit length.
    max_k : int
        As given, or `n` if that is less.

    Raises
    ------
    MemoryError
        If the decomposition does not fit in memory.

    References
    ----------
    .. [1] Ng, Jordan, Weiss, "On spectral clustering: analysis and an algorithm",
       NeurIPS 2001.
    """

    def __init__(self, affinity, max_k, rng, residue=None):
        self.affinity = csr_array(affinity)
        self.residue = residue
        n = self.affinity.shape[0]
        self.max_k = min(max_k, n)
        self._seed = rng.randint(2**31 - 1)
        graph = _with_isolated(self.affinity.astype(np.float64))
        root = np.sqrt(graph.sum(axis=1))
        graph = (diags_array(1 / root) @ graph @ diags_array(1 / root)).tocsr()
        # Component of each row; 0 is the largest.
        self._component = by_size(connected_components(graph, directed=False)[1])
        known = self._known_vectors(root)
        values, vectors = np.ones(known.shape[1]), known.toarray().astype(np.float32)
        if self.max_k > len(values):
            more = self._decompose(graph, known, self.max_k - len(values))
            values = np.concatenate([values, more[0]])
            vectors = np.hstack([vectors, more[1].astype(np.float32)])
        self.eigenvalues, self.eigenvectors = values, vectors

    def labels(self, k, ward=False, trimmed=False):
        """Cut into `k` clusters.

        Parameters
        ----------
        k : int
            Between 1 and `max_k`.
        ward : bool, default=False
            Start k-means from the clusters of Ward's method: slower, but better for
            small clusters, which random starts may miss.
        trimmed : bool, default=False
            With `ward`, a cluster whose affinity leads mostly out of it holds outliers:
            the other rows are clustered again, in at most 10 rounds, and outliers join
            the nearest cluster.

        Returns
        -------
        labels : ndarray of shape (n,), int64
            From 0, largest cluster first, without gaps; fewer than `k` clusters if
            fewer rows differ. The same at each call.
        """
        if not 1 <= k <= self.max_k:
            raise ValueError(f"k={k} is not between 1 and max_k={self.max_k}.")
        if k <= self._component.max() + 1:
            return by_size(np.minimum(self._component, k - 1))
        rng = np.random.RandomState([self._seed, k])
        rows = self.eigenvectors[:, :k]
        if self.residue is not None:
            # Where even the k-th eigenvalue is 1, no power of it is less.
            values = self.eigenvalues[:k].clip(1e-3, 1 - 1e-6)
            power = np.log(self.residue) / np.log(values[-1])
            rows = rows * (values**power).astype(np.float32)
        rows = unit(rows)
        if not ward:
            n_starts = SpectralRecipe.in_use().n_starts
            return by_size(kmeans(rows, k, rng, n_starts).labels_)
        if trimmed:
            return by_size(self._trimmed_partition(rows, k, rng))
        return by_size(partition(rows, k, n_init=0, rng=rng))

    def cut_fraction(self, labels):
        """Return the share of the affinity that lies between clusters, from 0 to 1."""
        out, volume = self._volumes(labels)
        return float(out.sum() / volume.sum())

    def normalized_cut(self, labels):
        """Return the share of a cluster's affinity that leads out, mean over clusters.

        The criterion of Shi and Malik over the number of clusters, from 0 to 1: unlike
        in :meth:`cut_fraction`, a small cluster counts as much as a large one.
        """
        out, volume = self._volumes(labels)
        there = volume > 0
        return float(np.mean(out[there] / volume[there]))

    def _volumes(self, labels, loops=True):
        """Return the affinity of each cluster that leads out of it, and all of it.

        Without `loops`, the affinity of a row to itself does not count.
        """
        graph = self.affinity.tocoo()
        cluster = labels[graph.row]
        apart = cluster != labels[graph.col]
        counted = graph.data if loops else graph.data * (graph.row != graph.col)
        return np.bincount(cluster, graph.data * apart), np.bincount(cluster, counted)

    def _trimmed_partition(self, rows, k, rng):
        """Cluster unit rows without outliers, and add these to the nearest clusters.

        A few rows that are like no others form a cluster of their own in the
        eigenvectors, although they do not belong together.
        """
        recipe, n = SpectralRecipe.in_use(), len(rows)
        kept, labels = np.arange(n), partition(rows, k, n_init=0, rng=rng)
        for _ in range(recipe.trim_rounds):
            numbers = np.full(n, k)  # of outliers
            numbers[kept] = labels
            out, volume = self._volumes(numbers, loops=False)
            tight = (out <= recipe.loose * volume)[labels]
            if tight.all() or tight.sum() < max(k, (1 - recipe.most_trimmed) * n):
                break
            kept = kept[tight]
            labels = partition(rows[kept], k, n_init=0, rng=rng)
        centers = partition_centers(rows[kept], labels, labels.max() + 1, rng)
        nearest = (rows @ centers.T).argmax(axis=1)
        nearest[kept] = labels
        return nearest

    def _known_vectors(self, root):
        """Return the eigenvectors of the components, at most max_k: (n, c), sparse."""
        n_known = min(self._component.max() + 1, self.max_k)
        rows = np.flatnonzero(self._component < n_known)
        place = rows, self._component[rows]
        vectors = csr_array((root[rows], place), shape=(len(root), n_known))
        norms = np.sqrt(vectors.power(2).sum(axis=0))
        return vectors @ diags_array(1 / norms)

    def _decompose(self, graph, known, k):
        """Return the k leading eigenpairs beside those that are known."""
        n = graph.shape[0]
        dense_bytes, basis_bytes = 4 * 8 * n**2, 3 * 8 * n * k
        is_dense = n <= max(DENSE_ROWS, DENSE_ROWS_PER_VECTOR * k) and (
            dense_bytes <= DENSE_BYTES or n <= 2 * k + 1
        )
        check_memory(
            dense_bytes if is_dense else basis_bytes,
            f"A cut of {n:,} rows into up to {self.max_k:,} clusters",
            "Ask for fewer (n_clusters, k_range).",
        )
        if is_dense:
            values, vectors = dense_eigenpairs(graph, known, k)
        else:
            rng = np.random.RandomState(self._seed)
            values, vectors = lanczos_eigenpairs(graph, known, k, rng)
        return values.clip(-1, 1), vectors


def by_size(labels):
    """Number clusters 0, 1, ... without gaps, largest first."""
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    order = np.lexsort((first, -np.bincount(labels)))
    return np.argsort(order)[labels]


def _with_isolated(graph):
    """Return the graph with a loop at each row that has no other entry."""
    isolated = graph.sum(axis=1) <= 0
    if not isolated.any():
        return graph
    return (graph + diags_array(isolated.astype(np.float64))).tocsr()

"""Spectral cuts of averaged kNN graphs, and of kNN graphs on discriminant axes.

The input is one matrix: the principal components of the joint rows [image; noun
mixture] of a sample. The recipe is our own and not in any paper.
"""

import numpy as np
from scipy.linalg import eigh

from ...data.rows import unit
from ...metrics._clusters import cluster_means
from ...neighbors import kneighbors
from ..axes import TINY_VARIANCE
from .graph_cuts import GRAPHS, choose_cut, cut_graphs, cut_labels
from .recipe import SpectralRecipe

# Log posterior of a cluster without rows.
NEVER = -1e6


def principal_components(rows):
    """Return principal components, (n, r), mean and axes, (r, d), of joint rows.

    ``components = (rows - mean) @ axes.T`` with orthonormal axes, largest variance
    first, as far as cuts may use them.
    """
    d = rows.shape[1]
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    centered = rows - mean
    r = min(SpectralRecipe.in_use().widths[-1], d)
    covariance = (centered.T @ centered).astype(np.float64) / len(rows)
    variances, vectors = eigh(covariance, subset_by_index=[d - r, d - 1])
    kept = variances > TINY_VARIANCE * max(variances[-1], 1e-12)
    kept[-1] = True  # rows that are all alike
    axes = np.ascontiguousarray(vectors[:, kept][:, ::-1].T, dtype=np.float32)
    return centered @ axes.T, mean, axes


class AveragedCuts:
    """Clusters of the principal components of joint rows.

    Parameters
    ----------
    components : ndarray of shape (n, r), float32
        Of :func:`principal_components`.
    n_columns : int
        Columns that the joint rows had.
    n_neighbors : int, default=None
        Largest number of nearest rows of a row in the graphs. If None, the recipe's.
    device : torch.device or str, default="cpu"
        Where rows are compared.
    """

    def __init__(self, components, n_columns, n_neighbors=None, device="cpu"):
        self.components = components
        self.n_columns = n_columns
        self.recipe = SpectralRecipe.in_use()
        self.n_neighbors = n_neighbors or self.recipe.n_neighbors
        self.device = device
        self._last = None

    def start(self, k, rng):
        """Cut the mean of the graphs of several numbers of half-whitened axes.

        Returns labels from 0, without gaps, and the kind of the cut. Later rounds keep
        it: choosing again was less reliable. `rng` draws where eigenvectors start.
        """
        rows = [self._half_whitened(width) for width in self._widths(k)]
        neighbors = self._kneighbors(rows, k, rng)
        cuts = {kind: cut_graphs(neighbors, kind, k, rng) for kind in GRAPHS}
        labels, kind = choose_cut(cuts, k, rows[len(rows) // 2], averaged=True)
        self._graph = cuts["natural"]
        self._first_cost = self._cost(labels)
        return labels, kind

    def sharpen(self, labels, k, kind, rng):
        """Find the axes that separate the clusters, and cut the kNN graph on them.

        `labels` are from :meth:`start`, as `kind` is, or from the round before; the new
        ones are from 0, without gaps. A trimmed cut was chosen because it cuts less of
        the graph; it stays unchanged if it would cut much more.
        """
        neighbors = self._kneighbors([self._discriminant_rows(labels)], k, rng)
        sharper = cut_labels(cut_graphs(neighbors, kind, k, rng), k, kind)
        most = self.recipe.trimmed_growth * self._first_cost
        return labels if kind == "trimmed" and self._cost(sharper) > most else sharper

    def classifier(self, labels, k):
        """Return weight, (k, r), and bias, (k,), of a linear classifier for new rows.

        Log posteriors are ``components @ weight.T + bias``, up to a constant. It
        compares directions from the center of all cluster means, which need few rows to
        estimate. If a cluster lies between the others, directions do not separate it;
        then :meth:`discriminant` is the classifier. Clusters without rows are never
        predicted.
        """
        whitening, means, sizes = self._within(labels)
        means = means @ whitening
        origin = means[sizes > 0].mean(axis=0)
        means = means - origin
        lengths = np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)
        means *= np.sqrt(np.square(lengths[sizes > 0]).mean()) / lengths
        found = self._padded(means @ whitening, -means @ origin, sizes, k)
        others = self.discriminant(labels, k)
        kept = [
            ((self.components @ weight.T + bias).argmax(axis=1) == labels).mean()
            for weight, bias in (found, others)
        ]
        return found if kept[0] >= kept[1] - self.recipe.directions_lose else others

    def discriminant(self, labels, k):
        """Linear discriminant analysis with shrunk covariance and sizes as priors.

        Takes and returns the same as :meth:`classifier`.
        """
        whitening, means, sizes = self._within(labels)
        means = means @ whitening
        bias = np.log(sizes.clip(1) / sizes.sum()) - np.square(means).sum(axis=1) / 2
        return self._padded(means @ whitening, bias, sizes, k)

    def _padded(self, weight, bias, sizes, k):
        """Return weight and bias for all axes and `k` clusters."""
        (found, d), r = weight.shape, self._n_axes
        padded = np.zeros((k, r), dtype=np.float32), np.full(k, NEVER, dtype=np.float32)
        padded[0][:found, :d] = weight
        padded[1][:found] = np.where(sizes > 0, bias, NEVER)
        return padded

    def _cost(self, labels):
        """Affinity that is cut in the graph of the start, times the normalized cut."""
        return self._graph.cut_fraction(labels) * self._graph.normalized_cut(labels)

    def _widths(self, k):
        recipe, (low, high) = self.recipe, self.recipe.widths_per_cluster
        limit = max(2, self.n_columns // recipe.columns_per_axis)
        usable = np.unique(np.minimum(recipe.widths, min(limit, self._n_axes)))
        near = usable[(low * k <= usable) & (usable <= high * k)]
        if len(near) < recipe.least_graphs:
            near = np.union1d(near, usable[-recipe.least_graphs :])
        return near

    @property
    def _n_axes(self):
        return self.components.shape[1]

    def _half_whitened(self, width):
        x = self.components[:, :width]
        return unit(x / np.sqrt(x.std(axis=0)).clip(1e-12))

    def _kneighbors(self, rows, k, rng):
        """Return the neighbors of every kind of rows, many of them and few."""
        n = len(self.components)
        many = min(self.n_neighbors, n - 1)
        few = int(np.clip(n // (2 * k), min(self.recipe.few_neighbors, many), many))
        found = [
            kneighbors(x, many, random_state=rng, device=self.device) for x in rows
        ]
        return [
            (near[:, :q], cosines[:, :q])
            for q in sorted({few, many})
            for near, cosines in found
        ]

    def _within(self, labels):
        """Whitening of the covariance within clusters, their means and their sizes.

        Kept for the last labels: the classifier of a round and the next cut share it.
        """
        if self._last is None or not np.array_equal(self._last[0], labels):
            self._last = labels.copy(), self._estimate_within(labels)
        return self._last[1]

    def _estimate_within(self, labels):
        recipe = self.recipe
        d = min(recipe.discriminant_axes, self._n_axes)
        x = self.components[:, :d].astype(np.float64)
        sizes = np.bincount(labels)
        means = cluster_means(x, labels, len(sizes)).astype(np.float64)
        x -= means[labels]
        covariance = x.T @ x / len(x)
        flat = max(np.trace(covariance) / d, 1e-12) * np.eye(d)
        variances, vectors = eigh(
            (1 - recipe.shrinkage) * covariance + recipe.shrinkage * flat
        )
        return (vectors / np.sqrt(variances)) @ vectors.T, means, sizes

    def _discriminant_rows(self, labels):
        """Return unit rows on the axes between clusters, whitened within them."""
        whitening, means, sizes = self._within(labels)
        centers = means @ whitening
        between = (centers.T * sizes) @ centers / sizes.sum()
        limit = self.n_columns // self.recipe.columns_per_axis
        limit = min(self.recipe.discriminant_axes, limit)
        n_axes = max(2, min(len(sizes) - 1, limit))
        axes = eigh(between)[1][:, ::-1][:, :n_axes]
        x = self.components[:, : len(whitening)]
        return unit(x @ (whitening @ axes).astype(np.float32))

"""The number of clusters, and the clusters, of any embeddings: Algorithm 1 of CPP."""

import copy
import warnings
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, HTMLReprMixin, Interval, StrOptions, _fit_context
from ..cluster._axes import half_whitening
from ..cluster._n_clusters import choose, estimate_n_clusters, measure, n_modes
from ..cluster._spectral import (
    SpectralCut,
    by_size,
    cosine_weights,
    doubly_stochastic,
    knn_affinity,
)
from ..cluster.rate_reduction import RateReductionClustering
from ..embedding._distributed import by_blocks, without_fit
from ..embedding._read import read_embeddings
from ..embedding._rows import UnitRows
from ..metrics import simplified_silhouette_score
from ..neighbors import distinct_rows, nearest

# The numbers of this default that exceed the number of samples are left out.
DEFAULT_RANGE = (2, 50)
# Share of the first that a diffusion leaves of the k-th eigenvector of a cut.
RESIDUE = 0.2
# Rows whose cosine is closer to 1 than this are the same.
SAME = 1e-5


class CodingLengthKSelector(HTMLReprMixin, ClusterMixin, BaseEstimator):
    r"""Choose the number of clusters without labels, and cluster.

    Embeddings become a graph of nearest rows, and its doubly stochastic membership [1]_
    is cut into every number of clusters by spectral clustering; one
    eigendecomposition serves all of them. A criterion that needs no labels
    chooses among the cuts. The whole curve is kept: look at it, as several numbers
    may be about as good.

    Parameters
    ----------
    estimator : estimator, default=None
        Where the clusterings come from.

        - None: spectral cuts, as above;
        - :class:`~sklearn_vlclust.RateReductionClustering`: cuts of what it has
          learned, without training again. One that is fitted is used as it is, of
          another a clone is fitted, once;
        - any clusterer with a parameter `n_clusters`: a clone is fitted for every
          number.
    k_range : tuple (least, greatest) or iterable of int, default=(2, 50)
        Numbers of clusters to choose from: a tuple of two stands for all between
        them, both included; anything else for its elements. The default ends at the
        number of samples.
    criterion : {"persistence", "coding_length"}, default="persistence"
        What is best.

        - "persistence" (not in the paper): clusters that stay apart, by their
          silhouette, over many time scales of a diffusion on the graph. It was
          measured to be closest to the number of classes. The number with the least
          coding length is taken if it is within 3 % of the best;
        - "coding_length": the least number of nats that code rows and clusters [1]_,
          see :func:`~sklearn_vlclust.metrics.coding_length`. Made for hundreds of
          rows a cluster: with fewer the answer is too small.
    eps : float, default=0.1
        Squared precision of the coding length.
    n_components : int or None, default=64
        Half-whitened principal axes that rows are projected on before they are
        compared (not in the paper), fewer if `X` has fewer. None takes rows as they
        are; so is what :class:`~sklearn_vlclust.RateReductionClustering` learns.
    n_neighbors : int, default=10
        Nearest rows that a row of the graph is linked with.
    gamma : float, default=0.1
        Temperature of the membership: the smaller, the more the nearest count.
    random_state : int, RandomState instance or None, default=None
        Draws the starts of k-means.

    Attributes
    ----------
    n_clusters_ : int
        Chosen number of clusters; less if fewer rows differ.
    labels_ : ndarray of shape (n_samples,), int64
        Cluster of each sample, 0 the largest.
    k_values_ : ndarray of shape (n_values,)
        Numbers that were compared.
    coding_lengths_ : ndarray of shape (n_values,)
        Coding length at each of them, in nats: less is better.
    scores_ : dict of str to ndarray of shape (n_values,)
        Curves of both criteria, by name.
    features_ : ndarray of shape (n_samples, n_features)
        Unit rows that were compared.
    cut_ : SpectralCut
        Graph and eigenvectors: ``cut_.labels(k)`` cuts it into any number of clusters.
        Of samples that are copies of one another, where there are so many that they
        matter, it has one, in the order in which they occur first.
    estimator_ : estimator
        Fitted with the chosen number; only if `estimator` is given.
    n_features_in_ : int
        Width of `X`.

    Warns
    -----
    UserWarning
        If the best is the greatest number of `k_range`: there may be better ones.
    ConvergenceWarning
        If fewer rows differ than clusters were chosen.

    See Also
    --------
    RateReductionClustering : Chooses by the same criteria if `n_clusters` is None.

    Notes
    -----
    `predict` asks `estimator_`, if there is one that predicts. Otherwise a row gets the
    cluster with most weight among its nearest rows of the fit, weighted as in the
    graph.

    References
    ----------
    .. [1] Chu, Tong, Ding et al., "Image clustering via the principle of rate reduction
       in the age of pretrained models", ICLR 2024, Section 3.3.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_vlclust import CodingLengthKSelector
    >>> X, y = make_blobs(300, 20, centers=6, random_state=0)
    >>> selector = CodingLengthKSelector(k_range=(2, 12), random_state=0).fit(X)
    >>> selector.n_clusters_
    6
    >>> selector.scores_["persistence"].shape
    (11,)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "get_params"]), None],
        "k_range": ["array-like", Iterable],
        "criterion": [StrOptions({"persistence", "coding_length"})],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        k_range=DEFAULT_RANGE,
        criterion="persistence",
        eps=0.1,
        n_components=64,
        n_neighbors=10,
        gamma=0.1,
        random_state=None,
    ):
        self.estimator = estimator
        self.k_range = k_range
        self.criterion = criterion
        self.eps = eps
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.gamma = gamma
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Choose the number of clusters and cluster `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings or other features; only the direction of a row counts.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If `k_range` is empty, holds other than integers, or a number below 1 or
            above the number of samples; or if a row of `X` has no direction.
        TypeError
            If `estimator` has no parameter `n_clusters`.
        """
        X, rows = self._read(X, reset=True)
        self.k_values_ = self._numbers(len(X))
        rng = check_random_state(self.random_state)
        # With fewer distinct rows than neighbors there is no graph to cut.
        distinct, copies = distinct_rows(rows, self.n_neighbors + 1)
        kept = slice(None) if copies is None else copies.representatives
        self.k_values_ = self.k_values_[self.k_values_ <= max(len(distinct), 1)]
        if isinstance(self.estimator, RateReductionClustering):
            self._learn(X)
            self.features_ = self._transform(X)[kept]
        else:
            self._find_axes(distinct)
            self.features_ = self._project(distinct)
        self.cut_ = self._cut(rng)
        if self._is_wrapper():
            k = self._fit_each(X, kept)
        else:
            k, self.scores_ = estimate_n_clusters(
                self.cut_, self.features_, self.k_values_, self.criterion, self.eps
            )
            self.labels_ = self.cut_.labels(k)
            if copies is not None:
                self.labels_ = by_size(self.labels_[copies.group])
            if self.estimator is not None:
                self.labels_ = self.estimator_.set_n_clusters(k).predict(X)
        if copies is not None:
            learned = self.estimator is not None and not self._is_wrapper()
            self.features_ = self._transform(X) if learned else self._project(rows)
        self.coding_lengths_ = self.scores_["coding_length"]
        self.n_clusters_ = int(self.labels_.max()) + 1
        self._warn(k, len(X))
        return self

    @by_blocks
    def predict(self, X):
        """Cluster of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in :meth:`fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Cluster of each sample.
        """
        check_is_fitted(self)
        X, rows = self._read(X, reset=False)
        return self._predict(X, rows)

    def score(self, X, y=None):
        """Label-free quality of the clustering of `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in :meth:`fit`.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
            :func:`~sklearn_vlclust.metrics.simplified_silhouette_score` of
            :meth:`predict`: between -1 and 1, higher is better.
        """
        check_is_fitted(self)
        X, rows = self._read(X, reset=False)
        return simplified_silhouette_score(rows, self._predict(X, rows))

    def _read(self, X, reset):
        minimum = 2 if reset else 1
        X, zero_rows = read_embeddings(
            self, X, reset=reset, embed=_refuse, ensure_min_samples=minimum
        )
        return X, UnitRows(X, zero_rows=zero_rows)

    def _to_workers(self):
        """Return a copy that predicts and knows no more."""
        kept = {"labels_", "n_clusters_", "n_features_in_", "feature_names_in_"}
        if not hasattr(getattr(self, "estimator_", None), "predict"):
            return without_fit(self, kept | {"features_"})
        estimator = self.estimator_
        if not self._is_wrapper():
            estimator = estimator._to_workers()
        return without_fit(
            self, kept, estimator=clone(self.estimator), estimator_=estimator
        )

    def _numbers(self, n):
        """Return the numbers of clusters to compare, ascending."""
        given = self.k_range
        if isinstance(given, tuple) and len(given) == 2 and _all_integers(given):
            least, greatest = given
            numbers = np.arange(least, greatest + 1)
            if given == DEFAULT_RANGE:
                numbers = numbers[numbers <= n]
        else:
            listed = list(given)
            if not _all_integers(listed):
                raise ValueError(f"k_range={given!r} should hold integers only.")
            numbers = np.unique(np.array(listed, dtype=np.int64))
        if not len(numbers):
            raise ValueError(
                f"k_range={given!r} is empty: give (least, greatest) or some integers."
            )
        if numbers[0] < 1 or numbers[-1] > n:
            raise ValueError(
                f"k_range={given!r} should lie between 1 and n_samples={n}."
            )
        return numbers

    def _is_wrapper(self):
        learned = isinstance(self.estimator, RateReductionClustering)
        return self.estimator is not None and not learned

    def _find_axes(self, rows):
        self._mean, self._axes = None, None
        if self.n_components is not None:
            mean, axes = half_whitening(rows, self.n_components)
            self._mean, self._axes = mean, axes[: self.n_components]

    def _project(self, rows):
        """Return the unit rows that are compared, in memory: (n, d) float32."""
        if self._axes is None:
            return np.concatenate([x for _, x in rows.blocks()])
        parts = [(x - self._mean) @ self._axes.T for _, x in rows.blocks()]
        features = np.concatenate(parts)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        # A row that equals the mean has no direction, and is like no other.
        return features / np.where(norms > 1e-6, norms, 1)

    def _cut(self, rng):
        affinity = knn_affinity(self.features_, self.n_neighbors, self.gamma, rng)
        affinity = doubly_stochastic(affinity)
        needed = n_modes(self.k_values_, len(self.features_))
        return SpectralCut(affinity, needed, rng, RESIDUE)

    def _learn(self, X):
        """Let a RateReductionClustering learn the features that are cut."""
        if hasattr(self.estimator, "features_"):
            self.estimator_ = copy.deepcopy(self.estimator)
        else:
            self.estimator_ = clone(self.estimator).fit(X)

    def _transform(self, X):
        return self.estimator_.transform(X).astype(np.float32, copy=False)

    def _fit_each(self, X, kept):
        """Fit a clone of the estimator for every number; return the best number."""
        if "n_clusters" not in self.estimator.get_params():
            raise TypeError(
                f"estimator={self.estimator!r} has no parameter n_clusters: give a "
                "clusterer that has, or None."
            )
        fitted = []
        for k in self.k_values_:
            estimator = clone(self.estimator).set_params(n_clusters=int(k))
            fitted.append(estimator.fit(X))
        labels = [by_size(estimator.labels_) for estimator in fitted]
        seen = [by_size(some[kept]) for some in labels]
        self.scores_ = measure(self.cut_, self.features_, seen, self.eps)
        k = choose(self.k_values_, self.scores_, self.criterion)
        best = int(np.searchsorted(self.k_values_, k))
        self.estimator_, self.labels_ = fitted[best], labels[best]
        return k

    def _predict(self, X, rows):
        if hasattr(self, "estimator_") and hasattr(self.estimator_, "predict"):
            labels = self.estimator_.predict(X)
            if not self._is_wrapper():
                return labels
            own, first = np.unique(self.estimator_.labels_, return_index=True)
            return self.labels_[first][np.searchsorted(own, labels)]
        k = min(self.n_neighbors, len(self.features_))
        near, cosines = nearest(self._project(rows), self.features_, k)
        weights = cosine_weights(cosines, self.gamma)
        # A row of the fit, or one that is like it, gets its cluster.
        weights[cosines[:, 0] > 1 - SAME, 1:] = 0
        votes = csr_array(
            (
                weights.ravel(),
                self.labels_[near].ravel(),
                np.arange(0, near.size + 1, k),
            ),
            shape=(len(near), self.n_clusters_),
        )
        return votes.argmax(axis=1)

    def _warn(self, k, n):
        if self.n_clusters_ < k:
            warnings.warn(
                f"{self.n_clusters_} of {k} clusters have samples: there may be "
                "duplicated rows.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if len(self.k_values_) > 1 and k == self.k_values_[-1] < n:
            warnings.warn(
                f"The best number of clusters, {k}, is the greatest of k_range: a "
                "greater one may be better. scores_ has the curve.",
                stacklevel=4,
            )


def _all_integers(numbers):
    return all(isinstance(k, Integral) and not isinstance(k, bool) for k in numbers)


def _refuse(images):
    raise ValueError(
        "X holds images, but CodingLengthKSelector takes embeddings: put an embedder "
        "before it in a Pipeline, such as OfflineEmbedder()."
    )

"""The number of clusters, and the clusters, of any embeddings."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Set
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._backend._settings import own_settings
from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._docs import documented
from .._typing import Array, Data, Float, Int, RandomState
from ..cluster.axes import half_whitening
from ..cluster.rate_reduction import RateReductionClustering
from ..cluster.spectral.cut import (
    SpectralCut,
    by_size,
    cosine_weights,
    doubly_stochastic,
    knn_affinity,
)
from ..cluster.spectral.n_clusters import estimate_n_clusters
from ..cluster.spectral.recipe import NClustersRecipe
from ..data.distributed import by_blocks, without_fit
from ..data.read import read_embeddings
from ..data.rows import UnitRows
from ..metrics import coding_length, learned_information
from ..neighbors import distinct_rows, nearest
from ._wrapped import check_search, final_estimator, labels_of_fit, number_parameter

# Greatest number that is compared by coding length if no range is given.
DEFAULT_GREATEST = 50
# Diffusion-map weight of the k-th eigenvector, relative to the first.
RESIDUE = 0.2
# Rows whose cosine is closer to 1 than this are the same.
SAME = 1e-5


@documented()
class CodingLengthKSelector(ClusterMixin, BaseEstimator):
    r"""Choose the number of clusters that is best reproduced by halves of the rows.

    By default, halves of the rows are clustered into all numbers of clusters, and the
    number is chosen at which each half tells most about the other, relative to its cost
    (not in the paper). Algorithm 1 of CPP [1]_ is another `criterion`. Spectral
    clustering then partitions the rows by the doubly stochastic membership of their
    k-nearest-neighbor graph. Data may have several granularities: `k_candidates_` has
    the runner-ups.

    Parameters
    ----------
    estimator : estimator, default=None
        Where the clusterings come from.

        - None: spectral cuts, as above;
        - :class:`~sklearn_vlclust.RateReductionClustering`: partitions of its learned
          features, without training again. A fitted one is used unchanged, also by a
          clone of the selector; otherwise a clone is fitted once;
        - any clusterer with a parameter `n_clusters`: a clone is fitted with the
          number; by coding length, one with every number. Whether it was fitted
          before does not matter.

        Either may be the last step of a :class:`~sklearn.pipeline.Pipeline`, in a
        search such as :class:`~sklearn.model_selection.GridSearchCV`, and, the former,
        in a :class:`~sklearn.frozen.FrozenEstimator`.
    k_range : None, (least, greatest) or iterable of int, default=None
        Numbers that may be the answer, 1 included. Two in a tuple, list or array stand
        for all between them, both included; more, a `range` and a set for their
        elements. If None, there is no restriction, or 1 to 50 by coding length.
    criterion : {"reproducibility", "coding_length"}, default="reproducibility"
        Criterion of the best number.

        - "reproducibility" (not in the paper): what random halves of the rows tell
          about each other's clusters, in nats, less a price per nat of the partition.
          The answer does not depend on `k_range`, unless it lies outside it;
        - "coding_length": the least number of nats that code rows and clusters [1]_,
          see :func:`~sklearn_vlclust.metrics.coding_length`. Made for hundreds of
          rows per cluster: with fewer the answer is too small.
    <eps>
    n_components : int or None, default=64
        Half-whitened principal axes that rows are projected on before they are
        compared (not in the paper), fewer if `X` has fewer. If None, rows are used
        unchanged, and so are the features that
        :class:`~sklearn_vlclust.RateReductionClustering` learns.
    n_neighbors : int, default=10
        Number of nearest neighbors in the graph.
    gamma : float, default=0.1
        Temperature of the membership: the smaller, the more the nearest rows dominate.
    random_state : int, RandomState instance or None, default=None
        Draws the starts of k-means.

    Attributes: <n_clusters_, labels_, k_candidates_, k_values_>
    scores_ : dict of str to ndarray of shape (n_values,)
        Curves over `k_values_`: ``"reproducibility"`` (at most 1, more is better) and
        ``"agreement"``, the adjusted mutual information of halves; or
        ``"coding_length"`` (nats, less is better).
    coding_lengths_ : ndarray of shape (n_values,)
        Only by coding length: that curve.
    features_ : ndarray of shape (n_samples, n_features)
        Unit rows that were compared.
    cut_ : SpectralCut
        Graph and eigenvectors: ``cut_.labels(k)`` cuts it into any number of clusters.
        If there are enough copies to matter, it has one row per group of copies, in the
        order of first occurrence.
    estimator_ : estimator
        Fitted with the chosen number; only if `estimator` is given.
    <n_features_in_>

    Warns
    -----
    UserWarning
        If there is no structure, or a number outside `k_range` would be better.
    ConvergenceWarning
        If fewer rows differ than clusters were chosen.

    See Also
    --------
    RateReductionClustering : One of the clusterers with ``n_clusters="auto"``, which is
        the number of the default criterion.

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
    >>> selector = CodingLengthKSelector(random_state=0).fit(X)
    >>> selector.n_clusters_
    6
    >>> selector.k_candidates_[0][0]
    6
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "get_params"]), None],
        "k_range": ["array-like", Iterable, None],
        "criterion": [StrOptions({"reproducibility", "coding_length"})],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        k_range: Iterable[Int] | None = None,
        criterion: Literal["reproducibility", "coding_length"] = "reproducibility",
        eps: Float = 0.1,
        n_components: Int | None = 64,
        n_neighbors: Int = 10,
        gamma: Float = 0.1,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.k_range = k_range
        self.criterion = criterion
        self.eps = eps
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.gamma = gamma
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    @own_settings
    def fit(self, X: Data, y: object = None) -> Self:
        """Choose the number of clusters and cluster `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Embeddings or other features; only the direction of a row counts.
        <y>

        Returns: <fitted>

        Raises
        ------
        ValueError
            If `k_range` is empty, holds other than integers, or a number below 1 or
            above the number of samples; if `estimator` searches the number itself; or
            if a row of `X` has no direction.
        TypeError
            If `estimator` has no parameter `n_clusters`, or cannot be fitted with it.
        """
        X, rows = self._read(X, reset=True)
        numbers = self._numbers(len(X))
        if self._is_wrapper():
            check_search(self.estimator, number_parameter(self.estimator))
        rng = check_random_state(self.random_state)
        # With fewer distinct rows than neighbors there is no graph to cut.
        distinct, copies = distinct_rows(rows, self.n_neighbors + 1)
        kept = slice(None) if copies is None else copies.representatives
        if self._learns():
            self._learn(X)
            self.features_ = self._transform(X)[kept]
        else:
            self._find_axes(distinct)
            self.features_ = self._project(distinct)
        if self.criterion == "reproducibility":
            seed = rng.randint(2**31 - 1)
            k = self._choose_reproducible(
                distinct, numbers, np.random.RandomState(seed)
            )
            self.cut_ = self._cut(k, rng)
            if self._is_wrapper():
                self.estimator_ = self._fit_with(k, X)
        else:
            numbers = numbers[numbers <= max(len(distinct), numbers[0])]
            self.cut_ = self._cut(numbers[-1], rng)
            k = self._choose_shortest(X, numbers, kept)
        if self._is_wrapper():
            own = labels_of_fit(self.estimator_, X)
            self.labels_ = by_size(own)
            self._own, first = np.unique(own, return_index=True)
            self._of_own = self.labels_[first]
        else:
            self.labels_ = self.cut_.labels(k)
            if copies is not None:
                self.labels_ = by_size(self.labels_[copies.group])
            if self.estimator is not None:
                final_estimator(self.estimator_).set_n_clusters(k)
                self.labels_ = self.estimator_.predict(X)
        if copies is not None:
            learns = self._learns()
            self.features_ = self._transform(X) if learns else self._project(rows)
        self.n_clusters_ = int(self.labels_.max()) + 1
        if self.n_clusters_ < k:
            warnings.warn(
                f"{self.n_clusters_} of {k} clusters "
                f"{'has' if self.n_clusters_ == 1 else 'have'} samples: there may be "
                "duplicated rows.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    @by_blocks
    def predict(self, X: Data) -> Array:
        """Cluster of each sample.

        Parameters: <fit.X>

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Cluster of each sample.
        """
        check_is_fitted(self)
        X, rows = self._read(X, reset=False)
        return self._predict(X, rows)

    def score(self, X: Data, y: object = None) -> float:
        """Label-free quality of the clustering of `X`.

        Parameters: <fit.X, y>

        Returns: <learned>
        """
        check_is_fitted(self)
        X, rows = self._read(X, reset=False)
        return learned_information(rows, self._predict(X, rows))

    def _read(self, X, reset):
        minimum = 2 if reset else 1
        X, zero_rows = read_embeddings(
            self, X, reset=reset, embed=_refuse, ensure_min_samples=minimum
        )
        return X, UnitRows(X, zero_rows=zero_rows)

    def _to_workers(self):
        """Return a copy with what prediction needs, and nothing else."""
        kept = {"labels_", "n_clusters_", "n_features_in_", "feature_names_in_"}
        if not hasattr(getattr(self, "estimator_", None), "predict"):
            return without_fit(self, kept | {"features_"})
        estimator = self.estimator_
        if not self._is_wrapper() and hasattr(estimator, "_to_workers"):
            estimator = estimator._to_workers()
        return without_fit(
            self,
            kept | {"_own", "_of_own"},
            estimator=clone(self.estimator),
            estimator_=estimator,
        )

    def __sklearn_clone__(self):
        copied = super().__sklearn_clone__()
        if self._holds_fit():  # cloned, it would have to be trained again
            copied.estimator = copy.deepcopy(self.estimator)
        return copied

    def _numbers(self, n):
        """Return the numbers that may be the answer, ascending, or None for all."""
        given = self.k_range
        if given is None:
            if self.criterion == "reproducibility":
                return None
            return np.arange(1, min(DEFAULT_GREATEST, n) + 1)
        listed = list(given)
        if not _all_integers(listed):
            raise ValueError(f"k_range={given!r} should hold integers only.")
        if len(listed) == 2 and not isinstance(given, range | Set):
            numbers = np.arange(listed[0], listed[1] + 1)
        else:
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

    def _learns(self):
        """Whether features are learned, of which one fit has all partitions."""
        return isinstance(final_estimator(self.estimator), RateReductionClustering)

    def _holds_fit(self):
        return self._learns() and hasattr(final_estimator(self.estimator), "features_")

    def _is_wrapper(self):
        return self.estimator is not None and not self._learns()

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

    def _cut(self, k, rng):
        affinity = knn_affinity(self.features_, self.n_neighbors, self.gamma, rng)
        return SpectralCut(doubly_stochastic(affinity), int(k), rng, RESIDUE)

    def _learn(self, X):
        """Let a RateReductionClustering learn the features to cluster."""
        if self._holds_fit():
            self.estimator_ = copy.deepcopy(self.estimator)
        else:
            self.estimator_ = clone(self.estimator).fit(X)

    def _transform(self, X):
        return np.asarray(self.estimator_.transform(X), dtype=np.float32)

    def _choose_reproducible(self, rows, numbers, rng):
        """Return the number that halves of the rows reproduce best."""
        self.__dict__.pop("coding_lengths_", None)  # of an earlier fit
        estimate = estimate_n_clusters(rows, rng, numbers)
        self.k_values_, self.scores_ = estimate.k_values, estimate.scores
        self.k_candidates_ = estimate.candidates
        return estimate.n_clusters

    def _choose_shortest(self, X, numbers, kept):
        """Return the number with the least coding length: Algorithm 1."""
        if self._is_wrapper():
            fitted = [self._fit_with(k, X) for k in numbers]
            labels = [by_size(labels_of_fit(each, X)) for each in fitted]
        else:
            labels = [self.cut_.labels(k) for k in numbers]
        seen = [by_size(row[kept]) if self._is_wrapper() else row for row in labels]
        lengths = [coding_length(self.features_, row, self.eps) for row in seen]
        self.k_values_, self.coding_lengths_ = numbers, np.array(lengths)
        self.scores_ = {"coding_length": self.coding_lengths_}
        order = np.argsort(lengths, kind="stable")
        best = order[: 1 + NClustersRecipe.in_use().n_runners_up]
        self.k_candidates_ = [(int(numbers[i]), float(lengths[i])) for i in best]
        if self._is_wrapper():
            self.estimator_ = fitted[order[0]]
        k = int(numbers[order[0]])
        if len(numbers) > 1 and k == numbers[-1] < len(X):
            warnings.warn(
                f"The best number of clusters, {k}, is the greatest of k_range: a "
                "greater one may be better. scores_ has the curve.",
                stacklevel=6,
            )
        return k

    def _fit_with(self, k, X):
        number = {number_parameter(self.estimator): int(k)}
        return clone(self.estimator).set_params(**number).fit(X)

    def _predict(self, X, rows):
        if hasattr(self, "estimator_") and hasattr(self.estimator_, "predict"):
            labels = self.estimator_.predict(X)
            if not self._is_wrapper():
                return labels
            return self._of_own[np.searchsorted(self._own, labels)]
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
        return np.ravel(votes.argmax(axis=1))  # (n, 1) in SciPy 1.13


def _all_integers(numbers):
    return all(isinstance(k, Integral) and not isinstance(k, bool) for k in numbers)


def _refuse(images):
    raise ValueError(
        "X holds images, but CodingLengthKSelector takes embeddings: put an embedder "
        "before it in a Pipeline, such as OfflineEmbedder()."
    )

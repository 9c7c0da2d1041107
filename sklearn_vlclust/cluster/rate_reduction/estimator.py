"""CPP as a scikit-learn clusterer."""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ..._compat import Interval, StrOptions
from ..._docs import documented
from ..._typing import (
    Array,
    Auto,
    Callbacks,
    Data,
    Device,
    Encoder,
    Float,
    Int,
    RandomState,
    Words,
)
from ...data.distributed import by_blocks
from ...data.memory import check_memory
from ...metrics._clusters import cluster_members
from ...neighbors import kneighbors
from ...training import RandomBatches, resolve_device
from .._split import most_divided
from ..axes import half_whitening
from ..base import BaseDeepClusterer, _features, check_n_clusters
from ..batches import NeighborBatches, knn_indices
from ..separate import separate_groups
from ..spectral.cut import SpectralCut
from ..spectral.graph_cuts import GRAPHS, choose_cut, cut_graphs
from ..spectral.recipe import SpectralRecipe
from ..words import SEMANTIC_SPACE
from ._directions import main_directions
from .membership import (
    membership_residual,
    sinkhorn_membership,
    warn_not_converged,
)
from .network import RateReductionNetwork
from .objective import RateReductionObjective
from .recipe import RateReductionRecipe


@documented()
class RateReductionClustering(BaseDeepClusterer):
    """Clustering by the principle of rate reduction (CPP).

    Features are learned that fill their space as a whole but only a few directions
    within a cluster, so that clusters come to lie in subspaces at right angles. The
    membership of images in clusters is learned beside them: a doubly stochastic matrix
    of how strongly each pair of images belongs together, for which the number of
    clusters is not needed [1]_. Spectral clustering of it then gives any number of
    clusters, and the best number can be chosen without training again. No words are
    needed, so embeddings can come from any encoder.

    Several things are ours and not in the paper, whose recipe is for tens of thousands
    of images and loses the structure of smaller sets. Features start as half-whitened
    principal axes instead of random layers. Each image is trained together with one of
    its nearest neighbors, as two views of one sample. The clusters come from the
    k-nearest-neighbor graph of all images, as a matrix of all pairs would be too large.
    And each image, of the fit or new, gets the cluster with the nearest of a few mean
    directions. The paper's own parameters are in
    :data:`sklearn_vlclust.cluster.rate_reduction.presets.CPP`.

    Parameters: <auto_n_clusters, semantic_space>
    n_components : int or "auto", default="auto"
        Width `d` of the features. "auto" is 64, or 128 above 64 clusters: orthogonal
        subspaces need one direction each. It is at most a quarter of the width of the
        embeddings, whose last principal axes are noise, and at most `batch_size`.
    hidden_dim : int or None, default=None
        Width of the pre-feature layer of Table 7a, which starts at random. If None,
        there is none, and features are linear in the embeddings.
    <auto_embedder, eps>
    gamma : float, default=0.2
        Entropy of the membership in training (eq. 3); the larger, the more images
        belong together.
    n_columns : int or None, default=16
        Columns of the membership, drawn anew for each batch, that stand for all in eq.
        2. If None, all, as in the paper.
    membership_penalty : float, default=0.0
        Weight of half the squared norm of the membership, which makes it more even (in
        the authors' code, 0.05, not in the paper).
    warm_up : int, default=0
        Epochs of eq. 4, which spreads the features alone. Random layers need one or
        two, principal axes are spread already.
    view_neighbors : int, default=10
        Number of nearest neighbors. The second view of an image is drawn from them.
        With 0, each image is trained on alone, as in the paper.
    n_neighbors : int, default=16
        Number of nearest neighbors in the graph that is cut. Two more graphs are tried.
        A sharp one, where the nearest neighbors dominate, is taken if its clusters leak
        30 % less of the first graph's membership (images that belong mostly to other
        clusters are outliers in it). A balanced one, where images hardly belong to
        themselves, so that clusters are more even, is taken if it saves 5 % of the
        coding rate (eq. 2).
    max_iter : int or "auto", default="auto"
        Number of epochs, warm-up included. "auto" is 20, or with more than 25 batches
        per epoch as many as make 500 steps.
    batch_size : int, default=1024
        Images per batch, not counting their second views.
    optimizer : "adam" or "sgd", default="adam"
        "sgd" has the momentum and weight decay of Table 8b.
    lr : float, default=1e-3
        Learning rate.
    <device, checkpoint, callbacks, verbose, random_state>

    Attributes: <labels_, n_clusters_>
    features_ : ndarray of shape (n_samples, n_components), float32
        Learned features `Z`, unit rows.
    cluster_centers_ : ndarray of shape (`n_clusters_`, n_components)
        Mean direction of the features of each cluster, unit rows.
    <k_candidates_, k_values_, k_scores_>
    cuts_ : list of objects
        The graphs of the samples (of copies, one) and their eigenvectors, for
        :meth:`set_n_clusters`.
    <cluster_names_, name_scores_, name_confidences_, semantic_space_, semantic_weight_>
    network_ : torch.nn.Module
        Layers and clusters, on the CPU.
    <image_paths_, embedder_, history_, n_iter_, n_features_in_, feature_names_in_>

    See Also
    --------
    MCAClustering : Clustering with the help of words.
    sklearn_vlclust.CodingLengthKSelector : Has Algorithm 1, for `n_clusters`.
    sklearn_vlclust.metrics.coding_rate : Eq. 1.
    sklearn_vlclust.metrics.cluster_coding_rate : Eq. 2.

    Notes
    -----
    In `history_`, ``"membership_residual"`` is the largest difference of a row sum of
    the membership from 1.

    The membership, eq. 3, is in ``cluster/rate_reduction/membership.py``; the whole
    objective is ``RateReductionObjective`` beside it.

    References: <chu2024>

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import RateReductionClustering
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(np.eye(3, 8), 20, axis=0) + 0.1 * rng.normal(size=(60, 8))
    >>> model = RateReductionClustering(3, random_state=0).fit(X)
    >>> np.bincount(model.labels_)
    array([20, 20, 20])
    >>> model.set_n_clusters(2).n_clusters_  # no training
    2
    """

    cuts_: list  # of SpectralCut
    _lies_apart = False  # whether the rows are groups that must not be cut evenly
    _joins_words = True
    _learns_features = True
    _auto_epochs = 1, 20, 500

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "semantic_space": SEMANTIC_SPACE,
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "hidden_dim": [Interval(Integral, 1, None, closed="left"), None],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "n_columns": [Interval(Integral, 1, None, closed="left"), None],
        "membership_penalty": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Integral, 0, None, closed="left")],
        "view_neighbors": [Interval(Integral, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions({"adam", "sgd"})],
    }

    def __init__(
        self,
        n_clusters: Int | Auto | None = "auto",
        *,
        semantic_space: Words | None = None,
        n_components: Int | Auto = "auto",
        hidden_dim: Int | None = None,
        embedder: Encoder | None = "auto",
        eps: Float = 0.1,
        gamma: Float = 0.2,
        n_columns: Int | None = 16,
        membership_penalty: Float = 0.0,
        warm_up: Int = 0,
        view_neighbors: Int = 10,
        n_neighbors: Int = 16,
        max_iter: Int | Auto = "auto",
        batch_size: Int = 1024,
        optimizer: Literal["adam", "sgd"] = "adam",
        lr: Float = 1e-3,
        device: Device = "auto",
        checkpoint: str | Path | None = None,
        callbacks: Callbacks | None = None,
        verbose: Int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.semantic_space = semantic_space
        self.n_components = n_components
        self.hidden_dim = hidden_dim
        self.embedder = embedder
        self.eps = eps
        self.gamma = gamma
        self.n_columns = n_columns
        self.membership_penalty = membership_penalty
        self.warm_up = warm_up
        self.view_neighbors = view_neighbors
        self.n_neighbors = n_neighbors
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.device = device
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @by_blocks
    def transform(self, X: Data) -> Array:
        """Learned features `Z` of each sample.

        Parameters: <X>

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Unit rows.
        """
        return self._predict(X, _features)

    def membership(self, X: Data) -> np.ndarray:
        """Doubly stochastic membership of the samples of a batch: eq. 3.

        Parameters: <X>

        Returns
        -------
        Pi : ndarray of shape (n_samples, n_samples)
            Symmetric; rows and columns sum to 1.

        Raises
        ------
        MemoryError
            If the result does not fit in memory.

        Warns
        -----
        ConvergenceWarning
            With the largest difference of a sum from 1, if `gamma` is so small that
            the sums are not 1.
        """
        codes = self._predict(X, lambda network, *x: network.codes(*x))
        check_memory(
            4 * len(codes) ** 2 * codes.itemsize,
            f"The membership of {len(codes):,} samples in one another",
            "Give fewer samples: training needs only a batch at a time.",
        )
        Pi = sinkhorn_membership(torch.from_numpy(codes), self.gamma)
        warn_not_converged(membership_residual(Pi).item(), self.gamma)
        return Pi.numpy()

    def set_n_clusters(self, n_clusters: Int) -> Self:
        """Cut the samples of the fit into another number of clusters, in place.

        Nothing is trained again. `labels_`, `n_clusters_`, `cluster_centers_` and
        :meth:`predict` change; the parameter `n_clusters` and the features do not.
        Corrections are forgotten.

        Parameters
        ----------
        n_clusters : int
            Number of clusters, at most the number of samples of the fit.

        Returns: <fitted>

        Raises
        ------
        ValueError
            If `n_clusters` is not an integer between 1 and the number of samples.
        """
        check_is_fitted(self)
        check_n_clusters(n_clusters, len(self.features_), "samples of the fit")
        n_distinct = self.cuts_[0].affinity.shape[0]
        if n_distinct > self.cuts_[0].max_k < n_clusters:
            rng = np.random.RandomState(0)  # where eigenvectors start, no more
            self.cuts_ = [
                SpectralCut(cut.affinity, n_clusters, rng, cut.residue)
                for cut in self.cuts_
            ]
        self._cut(n_clusters)
        features = torch.from_numpy(self.features_)
        self._deliver_clusters(
            lambda: self.network_.classify(features).argmax(dim=1).numpy(),
            self.features_,
            self._cut_features,
            self._copies,
            n_clusters,
        )
        self._locate_clusters(None, None)
        return self

    def _prepare(self, rows, rng, generator, device):
        n_features = rows.shape[1]
        d = self._choose_width(n_features)
        if self.hidden_dim is None:
            # Centered rows of a group that holds nearly all rows have no direction.
            self._lies_apart = self._has_separate_groups(rows)
            mean, axes = half_whitening(rows, d, centered=not self._lies_apart)
            network = RateReductionNetwork(n_features, d, n_axes=len(axes))
            network.start_at_axes(torch.from_numpy(mean), torch.from_numpy(axes))
        else:
            network = RateReductionNetwork(n_features, d, self.hidden_dim)
            network.start_at_random(generator)
        self.network_ = network
        criterion = RateReductionObjective(
            eps=self.eps,
            gamma=self.gamma,
            n_columns=self.n_columns,
            membership_penalty=self.membership_penalty,
            warm_up=self.warm_up,
            generator=generator,
        )
        near = knn_indices(rows, self.view_neighbors, rng, device)
        source = NeighborBatches(rows, near, generator, device)
        return criterion, RandomBatches(source, self.batch_size, generator)

    @property
    def _cut_features(self):
        """Features of the distinct rows, which are clustered."""
        if self._copies is None or len(self.features_) == self._copies.n_groups:
            return self.features_
        return self.features_[self._copies.representatives]

    def _has_separate_groups(self, rows):
        some = slice(None, None, -(-len(rows) // SpectralRecipe.in_use().rated_rows))
        return separate_groups(rows[some], self._n_clusters) is not None

    def _choose_width(self, n_features):
        if self.n_components == "auto":
            bits = (self._n_clusters - 1).bit_length()
            recipe = RateReductionRecipe.in_use()
            wanted = min(max(recipe.min_width, 2**bits), recipe.max_width)
            wanted = min(wanted, max(2, n_features // recipe.columns_per_feature))
            return min(wanted, self.batch_size)
        if self.batch_size < self.n_components:
            raise ValueError(
                f"batch_size={self.batch_size} is less than n_components="
                f"{self.n_components}: features of a batch cannot fill their space. "
                "Give larger batches or fewer components."
            )
        return self.n_components

    def _count_pair_matrices(self):
        return 1.5

    def _optimizer(self, device):
        if self.optimizer == "adam":
            return super()._optimizer(device)
        return {  # Table 8b
            "optimizer": torch.optim.SGD,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "param_groups": [("cluster_head.*", {"weight_decay": 5e-3})],
        }

    def _find_clusters(self, rows, rng):
        """Cut the membership of all rows, a kNN graph of codes: Section 3.2."""
        warn_not_converged(
            self.history_[-1].get("membership_residual", 0.0), self.gamma
        )
        self.features_ = self._infer(rows, _features, zero_rows=True)
        near = kneighbors(
            self.features_,
            min(self.n_neighbors, len(self.features_) - 1),
            random_state=rng,
            device=resolve_device(self.device),
        )
        k = self._n_clusters
        self.cuts_ = [cut_graphs([near], kind, k, rng) for kind in GRAPHS]
        self._cut(k)

    def _cut(self, k):
        """Represent each of `k` clusters by a few directions.

        Spectral clusters need not be spherical: with one mean each, digits lose five
        points of accuracy.
        """
        features = self._cut_features
        labels = self._choose_cut(features, min(k, len(features)))
        rng = np.random.RandomState(0)
        for new in range(labels.max() + 1, min(k, len(features))):
            old, rows, second = most_divided(features, labels, new, rng)
            if old < 0:
                break
            labels[rows[second]] = new
        directions = np.stack(
            [main_directions(features[m]) for m in cluster_members(labels)]
        )
        self.network_.set_clusters(torch.from_numpy(directions))

    def _fill_clusters(self, rows, labels):
        return self._split_clusters(self._cut_features, labels, self._split_directions)

    def _split_directions(self, new, old, features, second):
        for cluster, half in ((old, ~second), (new, second)):
            directions = main_directions(features[half])
            self.network_.directions[cluster] = torch.from_numpy(directions)

    def _choose_cut(self, features, k):
        """Return the clusters of one of the graphs."""
        if self._lies_apart:
            labels = separate_groups(features, k)
            if labels is not None:
                return labels
        cuts = dict(zip(GRAPHS, self.cuts_))
        return choose_cut(cuts, k, features, self.eps)[0]

    def _locate_clusters(self, rows, dtype):
        if len(self.features_) < len(self.labels_):  # those of distinct rows
            self.features_ = self._infer(rows, _features, zero_rows=True)
        super()._locate_clusters(self.features_, np.float32)

    @property
    def _n_features_out(self):
        return self.network_.config["n_components"]

"""MCA as a scikit-learn clusterer."""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from ..._compat import Interval, StrOptions
from ..._docs import documented
from ..._typing import (
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
from ...data.rows import UnitRows
from ...metrics._clusters import cluster_means
from ...neighbors import kneighbors, nearest
from ...semantics._shown import shown_names
from ...training import RandomBatches, resolve_device
from ..base import BaseDeepClusterer
from ..batches import knn_indices
from ..partition import draw_sample, partition
from ..separate import separate_groups
from ..spectral.averaged_cuts import AveragedCuts, principal_components
from ..words import SEMANTIC_SPACE, find_words, join
from . import _start
from .network import MCANetwork
from .objective import AlignedBatches, MCAObjective

# Images whose nearest nouns are gathered at a time.
ATTENTION_ROWS = 1024


@documented()
class MCAClustering(BaseDeepClusterer):
    """Clustering of images by multi-level cross-modal alignment (MCA).

    Images cluster with the help of words: a semantic space of nouns is built for the
    images at hand, and a linear head on images and one on nouns are trained together,
    so that neighboring images agree (image consistency), images agree with their
    nearest nouns (instance level), each cluster of images with its nouns (prototype
    level), and images with the pseudo-labels given by attention over their nearest
    nouns (semantic level) [1]_.

    Three things are ours and not in the paper, because MCA as written collapses on
    small sets. Training starts from a partition of the images, joined with their noun
    mixtures and smoothed over their neighborhoods, instead of random heads. Nouns that
    do not cover the images do harm, so the alignment is weighted by how much they help,
    measured without labels and reported in `semantic_weight_`. And the defaults are
    ours, one set for all data; the paper's are in
    :data:`sklearn_vlclust.cluster.mca.presets.MCA`.

    Parameters: <n_clusters>
    semantic_space : "wordnet", Vocabulary, SemanticSpace, list of str or None, \
default="wordnet"
        The nouns. A vocabulary is filtered by a :class:`SemanticSpace` with its
        defaults. A :class:`SemanticSpace` is cloned and fitted, its `n_clusters` and
        `random_state` following this estimator's. "wordnet" is all nouns of WordNet.
        With None there are no words, and image consistency works alone.
    <embedder>
    semantic_weight : "auto" or float in [0, 1], default="auto"
        How far the nouns are trusted. "auto" compares how well noun mixtures and images
        keep neighboring images together (not in the paper).
    k_i, k_s, k_p : int, default=10, 5, 5
        Number of nearest neighbors of an image (`k_I`; at most half the mean size of a
        cluster), nearest nouns of an image (`k_S`) and nearest nouns of a text
        prototype (`k_p`).
    tau_ia, tau_pa : float, default=0.2, 0.2
        Temperatures of the instance level (eq. 2) and the prototype level (eq. 3).
    eta : float, default=1.5
        Weight of the negative entropy that keeps clusters even (eq. 1).
    eta_text : float, default=1.0
        The same for the pseudo-labels by nouns (not in the paper, where nothing keeps
        the text head balanced).
    lambda_a : float, default=0.5
        Weight of the whole alignment (eq. 8).
    lambda_ia, lambda_pa, lambda_sa : float, default=1.0, 1.0, 1.0
        Weights of its levels (eq. 7); 0 switches one off, as in Table 3.
    warm_up : int, default=2
        Epochs before the semantic level (not in the paper).
    n_init : int, default=3
        Random starts of k-means that compete with Ward's method for the partition that
        training starts from; 0 is Ward alone.
    start : {"even", "uneven"}, default="even"
        Partition that training starts from: Ward's method and k-means, whose clusters
        tend to be even, or cuts of graphs of near images, as :class:`VLClustering` has
        them, which suit classes of very different sizes (not in the paper).
    perplexity : float, default=5.0
        Effective number of nouns in an image's noun mixture, from which the
        temperature of its softmax follows.
    mixture_weight : float, default=0.7
        Share of noun mixtures in the start, relative to images.
    logit_scale : float, default=10.0
        Factor of the heads' logits: on unit rows a softmax stays flat without.
    attention_scale : "auto" or float, default="auto"
        Factor of the attention logits. "auto" is one over the temperature of the noun
        mixtures: cosines of CLIP differ in the second digit.
    n_names : int, default=5
        Largest number of names per cluster.
    max_iter : int or "auto", default="auto"
        Number of epochs, warm-up included. "auto" trains for 150 optimizer steps, but
        at least 8 and at most 30 epochs: beyond that, few labels change.
    batch_size : int, default=512
        Images per batch.
    lr : float, default=1e-3
        Learning rate.
    <device, checkpoint, callbacks, verbose, random_state>

    Attributes: <labels_, n_clusters_, k_candidates_, k_values_, k_scores_>
    <cluster_centers_, cluster_names_>
    name_scores_ : list of `n_clusters_` arrays of float
        Share of the cluster's attention that goes to the noun, times the noun's
        probability of the cluster: between 0 and 1.
    noun_labels_ : ndarray of shape (n_nouns,), int64
        Cluster of every noun of the space, if there are words.
    <semantic_space_, semantic_weight_>
    network_ : torch.nn.Module
        Heads and attention, on the CPU.
    <embedder_, history_, n_iter_, n_features_in_, feature_names_in_>

    See Also
    --------
    SemanticSpace : The nouns, on their own.
    sklearn.cluster.KMeans : What to compare with.

    Notes
    -----
    Groups that lie apart (each of a mean silhouette of 0.5 or more) are where training
    starts, and their sizes are what the clusters are kept to, not even ones: 500, 5 and
    5 images stay so. Classes of embeddings of photographs do not lie apart like that.

    Equations 1 to 6 are one function each in ``cluster/mca/losses.py``; eqs. 7 and 8
    are ``MCAObjective`` beside it.

    References: <qiu2024>

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import MCAClustering, Vocabulary
    >>> rng = np.random.default_rng(0)
    >>> directions = np.eye(3, 8)
    >>> X = np.repeat(directions, 20, axis=0) + 0.1 * rng.normal(size=(60, 8))
    >>> nouns = Vocabulary(["cat", "dog", "car"], embeddings=directions)
    >>> mca = MCAClustering(3, semantic_space=nouns, random_state=0).fit(X)
    >>> sorted(str(names[0]) for names in mca.cluster_names_)
    ['car', 'cat', 'dog']
    """

    semantic_space_: Any  # a SemanticSpace, or None

    # With 3,669 to 60,000 rows, accuracy was measured to be as with 30 epochs, or
    # better.
    _auto_epochs = 8, 30, 150

    _parameter_constraints: dict = {
        **BaseDeepClusterer._parameter_constraints,
        "semantic_space": SEMANTIC_SPACE,
        "semantic_weight": [
            StrOptions({"auto"}),
            Interval(Real, 0, 1, closed="both"),
        ],
        "k_i": [Interval(Integral, 1, None, closed="left")],
        "k_s": [Interval(Integral, 1, None, closed="left")],
        "k_p": [Interval(Integral, 1, None, closed="left")],
        "tau_ia": [Interval(Real, 0, None, closed="neither")],
        "tau_pa": [Interval(Real, 0, None, closed="neither")],
        "eta": [Interval(Real, 0, None, closed="left")],
        "eta_text": [Interval(Real, 0, None, closed="left")],
        "lambda_a": [Interval(Real, 0, None, closed="left")],
        "lambda_ia": [Interval(Real, 0, None, closed="left")],
        "lambda_pa": [Interval(Real, 0, None, closed="left")],
        "lambda_sa": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 0, None, closed="left")],
        "start": [StrOptions({"even", "uneven"})],
        "perplexity": [Interval(Real, 1, None, closed="neither")],
        "mixture_weight": [Interval(Real, 0, None, closed="left")],
        "logit_scale": [Interval(Real, 0, None, closed="neither")],
        "attention_scale": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "n_names": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: Int | Auto = 8,
        *,
        semantic_space: Words | None = "wordnet",
        embedder: Encoder | None = None,
        semantic_weight: Float | Auto = "auto",
        k_i: Int = 10,
        k_s: Int = 5,
        k_p: Int = 5,
        tau_ia: Float = 0.2,
        tau_pa: Float = 0.2,
        eta: Float = 1.5,
        eta_text: Float = 1.0,
        lambda_a: Float = 0.5,
        lambda_ia: Float = 1.0,
        lambda_pa: Float = 1.0,
        lambda_sa: Float = 1.0,
        warm_up: Int = 2,
        n_init: Int = 3,
        start: Literal["even", "uneven"] = "even",
        perplexity: Float = 5.0,
        mixture_weight: Float = 0.7,
        logit_scale: Float = 10.0,
        attention_scale: Float | Auto = "auto",
        n_names: Int = 5,
        max_iter: Int | Auto = "auto",
        batch_size: Int = 512,
        lr: Float = 1e-3,
        device: Device = "auto",
        checkpoint: str | Path | None = None,
        callbacks: Callbacks | None = None,
        verbose: Int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.semantic_space = semantic_space
        self.embedder = embedder
        self.semantic_weight = semantic_weight
        self.k_i = k_i
        self.k_s = k_s
        self.k_p = k_p
        self.tau_ia = tau_ia
        self.tau_pa = tau_pa
        self.eta = eta
        self.eta_text = eta_text
        self.lambda_a = lambda_a
        self.lambda_ia = lambda_ia
        self.lambda_pa = lambda_pa
        self.lambda_sa = lambda_sa
        self.warm_up = warm_up
        self.n_init = n_init
        self.start = start
        self.perplexity = perplexity
        self.mixture_weight = mixture_weight
        self.logit_scale = logit_scale
        self.attention_scale = attention_scale
        self.n_names = n_names
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def attention(self, X: Data) -> tuple[np.ndarray, np.ndarray]:
        """Neighboring nouns of each image and their weights: eq. 4, Figure 4.

        Parameters: <X>

        Returns
        -------
        nouns : ndarray of shape (n_samples, k_s), object
            The `k_s` nearest nouns of each image, heaviest first.
        weights : ndarray of shape (n_samples, k_s), float32
            Attention of the image to each; rows sum to 1.

        Raises
        ------
        ValueError
            If the estimator was fitted with ``semantic_space=None``.
        """
        check_is_fitted(self)
        if self.semantic_space_ is None:
            raise ValueError(
                "attention needs nouns, but this estimator was fitted with "
                "semantic_space=None."
            )
        X, zero_rows = self._read(X, reset=False)
        rows = UnitRows(X, zero_rows=zero_rows)
        blocks = list(self._attend(rows))
        near = np.concatenate([near for near, _ in blocks])
        weights = np.concatenate([weights for _, weights in blocks])
        order = np.argsort(-weights, axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        return self.semantic_space_.nouns_[near], np.take_along_axis(weights, order, 1)

    def _prepare(self, rows, rng, generator, device):
        sample = draw_sample(len(rows), self._n_clusters, rng)
        words = self._find_words(rows, sample, rng, device)
        joint, _ = join(words, self.mixture_weight)
        self.semantic_space_, self.semantic_weight_ = words.space, words.weight
        images, nouns = words.images, words.nouns
        near_nouns = np.empty((len(rows), 0), np.int32)
        if len(nouns):
            near_nouns = words.mixture.near_nouns[:, : self.k_s]
        near_images, labels = self._partition(joint, sample, rng, device)
        apart = separate_groups(rows[sample], self._n_clusters)
        if apart is not None:
            labels = apart
            if len(labels) == len(rows):  # neighbors of other groups are none
                others = labels[near_images] != labels[:, None]
                near_images = np.where(
                    others, np.arange(len(rows))[:, None], near_images
                )
        self.network_ = self._start_network(images, sample, labels)
        if len(nouns):
            self._start_text_side(nouns, words.mixture, sample, labels)
        source = AlignedBatches(rows, near_images, near_nouns, generator, device)
        shares = None if apart is None else np.bincount(apart) / len(apart)
        criterion = self._make_objective(source, nouns, shares)
        return criterion, RandomBatches(source, self.batch_size, generator)

    def _find_words(self, rows, sample, rng, device):
        return find_words(
            self.semantic_space,
            rows,
            sample,
            self._n_clusters,
            rng,
            embedder=self.embedder_ or self.embedder,
            weight=self.semantic_weight,
            perplexity=self.perplexity,
            min_nouns=self.k_s,
            device=device,
        )

    def _partition(self, joint, sample, rng, device):
        """Return the near images of all images, and the labels of the sample."""
        near, labels = self._partition_sample(joint[sample], len(joint), rng, device)
        if len(labels) < len(joint):
            # One neighbor is drawn at a time: a few that are missed do not matter.
            near = knn_indices(joint, near.shape[1], rng, device)
        return near, labels

    def _partition_sample(self, x, n, rng, device):
        # Of small clusters, many neighbors would lie outside.
        k_i = max(1, min(self.k_i, max(2, n // (2 * self._n_clusters)), len(x) - 1))
        near, _ = kneighbors(x, k_i, random_state=rng, device=device)
        if self.start == "uneven":
            components, _, _ = principal_components(x)
            cuts = AveragedCuts(components, x.shape[1], device=device)
            return near, cuts.start(self._n_clusters, rng)[0]
        x = _start.smooth(x, near)
        return near, partition(x, self._n_clusters, self.n_init, rng)

    def _start_network(self, images, sample, labels):
        scale = 1.0 if self.attention_scale == "auto" else self.attention_scale
        network = MCANetwork(images.shape[1], self._n_clusters, self.logit_scale, scale)
        network.image_mean.copy_(torch.from_numpy(images.mean))
        network.image_spread.fill_(float(images.spread))
        centers = cluster_means(images[sample], labels, self._n_clusters)
        network.start_head(network.image_head, torch.from_numpy(centers))
        # Without nouns the text head is never trained; zero is as good as anything.
        network.start_head(network.text_head, torch.zeros(centers.shape))
        return network

    def _start_text_side(self, nouns, mixture, sample, labels):
        network, mean = self.network_, nouns.mean(axis=0)
        if self.attention_scale == "auto":
            network.config["attention_scale"] = 1 / mixture.temperature
        spread = np.linalg.norm(nouns - mean, axis=1).mean()
        network.text_mean.copy_(torch.from_numpy(mean))
        network.text_spread.fill_(float(spread) if spread > 1e-6 else 1.0)
        centers = cluster_means(mixture[sample], labels, self._n_clusters)
        centers = network.standardize_nouns(torch.from_numpy(centers))
        network.start_head(network.text_head, centers)

    def _make_objective(self, source, nouns, shares):
        k_p = min(self.k_p, len(nouns))
        near = nearest(nouns, nouns, k_p)[0] if k_p else np.empty((0, 0), np.int32)
        weight = self.lambda_a * self.semantic_weight_
        return MCAObjective(
            source,
            torch.from_numpy(nouns),
            torch.from_numpy(near).long(),
            eta=self.eta,
            eta_text=weight * self.eta_text,
            # A contrast needs a second noun, and a second cluster.
            lambda_ia=weight * self.lambda_ia * (len(nouns) > 1),
            lambda_pa=weight * self.lambda_pa * (self._n_clusters > 1),
            lambda_sa=weight * self.lambda_sa,
            tau_ia=self.tau_ia,
            tau_pa=self.tau_pa,
            warm_up=self.warm_up,
            shares=shares,
        )

    @torch.inference_mode()
    def _attend(self, rows):
        """Yield ``(near nouns, weights)`` of the images, block by block: eq. 4."""
        nouns = self.semantic_space_.embeddings_
        device = resolve_device(self.device)
        near, _ = nearest(rows, nouns, min(self.k_s, len(nouns)), device)
        for block in gen_batches(len(rows), ATTENTION_ROWS):
            u, index = torch.from_numpy(rows[block]), torch.from_numpy(near[block])
            weights = self.network_.attend(u, torch.from_numpy(nouns), index.long())
            yield near[block], weights.numpy()

    @torch.inference_mode()
    def _describe(self, rows):
        """Name the clusters: attention that a noun gets, times its assignment."""
        if self.semantic_space_ is None:
            return
        space = self.semantic_space_
        p = self.network_.assign_nouns(torch.from_numpy(space.embeddings_)).numpy()
        self.noun_labels_ = p.argmax(axis=1)
        attention = np.zeros((self.n_clusters_, len(p)))
        start = 0
        for near, weights in self._attend(rows):
            labels = self.labels_[start : start + len(near), None]
            np.add.at(attention, (labels, near), weights)
            start += len(near)
        attention /= np.bincount(self.labels_)[:, None]
        scores = attention * p.T[: self.n_clusters_]
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.n_names]
        self.cluster_names_ = shown_names(space.nouns_[best], space.synsets_[best])
        self.name_scores_ = [score[row] for score, row in zip(scores, best)]

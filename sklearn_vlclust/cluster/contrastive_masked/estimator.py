"""PICI as a scikit-learn clusterer."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import torch

from ..._backend._device import new_generator
from ..._compat import Interval, StrOptions
from ..._docs import documented
from ..._typing import (
    Array,
    Auto,
    Bool,
    Callbacks,
    Data,
    Device,
    Encoder,
    Float,
    Int,
    RandomState,
    Words,
)
from ...training import RandomBatches
from ..batches import NeighborViews, given_views, knn_indices
from ..image_base import EPOCHS, BaseImageClusterer
from ..image_batches import Images, color_range
from ..partition import kmeans
from ..row_network import start_network
from ..views import StrongView, Views
from ..words import SEMANTIC_SPACE
from ._weights import (
    backbone_of,
    check_sizes,
    copy_last,
    copy_weights,
    read_weights,
)
from .images import ImageNetwork, choose_sizes
from .network import draw_mask
from .objective import ContrastiveMaskedObjective
from .presets import BACKBONES
from .recipe import ContrastiveMaskedRecipe


@documented()
class ContrastiveMaskedClustering(BaseImageClusterer):
    """Clustering of images by masking and contrast at two levels (PICI).

    For images that no pre-trained encoder knows (satellites, pests, tissue):
    representation and clusters are learned from the pixels alone. Each image is seen in
    a weakly and a strongly changed view, both with half of their patches masked. A
    transformer learns to fill in the masked patches, to recognize the two views of an
    image among all others, and to give both the same cluster; in the end the clusters
    are drawn towards k-means clusters of the learned features [1]_.

    Embeddings can be refined and clustered in the same three stages (not in the paper):
    groups of their principal axes replace patches, a nearest neighbor is the strong
    view, the network starts as the identity on these axes, and the clusters start from
    a partition (a warm start). No words are needed.

    Parameters: <n_clusters, semantic_space, pixel_embedder>
    image_size : int, default=None
        Side in pixels to which images are brought: the shorter side is resized and the
        middle square is taken. If None, the (median) shorter side, at most 224, rounded
        down to whole patches.
    patch_size : int, default=None
        Side of a patch in pixels. If None, it grows with the square root of the side of
        the images: 2 at 8 pixels, 4 at 32, 16 at 224.
    mask_ratio : float, default=0.5
        Share of the patches that are masked in training, less than 1; with 0 there is
        nothing to reconstruct. Nothing is masked later.
    backbone : {"auto", "tiny", "small", "base"} or tuple, default="auto"
        Width, depth and heads of the transformer, or a name from Table 5.
        "auto" is a small one that learns on a CPU: (64, 3, 4) up to 16 pixels, above
        them (128, 3, 4), or what `weights` are for.
    decoder : tuple, default=None
        Width, depth and heads of the decoder. If None, (32, 1, 4); the paper's is (512,
        8, 16).
    <instance_dim>
    n_groups : int, default=16
        Embeddings only: groups of principal axes; some of them are masked.
    view_neighbors : int, default=10
        Embeddings only: number of nearest neighbors. The strong view is drawn from
        them. With 0, only the masks make views differ.
    tau_i : float or "auto", default="auto"
        Temperature of the contrast of instances (eq. 5); "auto" is 0.2 on images and
        0.5 on embeddings. The paper has 0.5, at which images are told apart later and
        less well.
    tau_c : float, default=1.0
        Temperature of the contrast of clusters (eq. 8).
    reconstruction : bool, default=True
        Whether masked patches are filled in (PISD, eq. 1).
    instance_contrast, cluster_contrast : bool, default=True, True
        Whether instances and clusters are contrasted (PICD, eqs. 6 and 11).
    interaction : bool, default=True
        Whether clusters are drawn towards k-means of the instance features (CLI, eq.
        15).
    pretrain_epochs, train_epochs, boost_epochs : int or "auto", default="auto"
        Epochs of the three stages of Algorithm 1. "auto" is 20, 250 and 40 on images,
        5, 20 and 15 on embeddings, and fewer on large sets: see Notes. A stage whose
        module is off is left out.
    batch_size : int or "auto", default="auto"
        Samples per batch; "auto" is 128 images or 512 embeddings.
    <lr>
    weights : str, default=None
        Weights of the transformer to start from: name of a vision transformer of timm,
        which is downloaded and decides on `backbone`, or path of a file with a state
        dict of one. If None, they are drawn at random.
    warm_start : bool, default=False
        Whether a further :meth:`fit` starts from the weights of the last one.
    <amp, compile, n_jobs, device, checkpoint, callbacks, verbose, random_state>

    Attributes: <labels_, n_clusters_, k_candidates_, k_values_, k_scores_>
    <cluster_centers_, image_shape_>
    patch_size_ : int or None
        Side of a patch in pixels.
    <cluster_names_, name_scores_, name_confidences_, semantic_space_, semantic_weight_>
    network_ : torch.nn.Module
        Transformer, decoder and both MLPs, on the CPU.
    <image_paths_, embedder_, history_, n_iter_, n_features_in_, feature_names_in_>

    See Also
    --------
    MCAClustering : For images that CLIP knows.
    RateReductionClustering : For embeddings of any encoder.

    Notes
    -----
    In `history_`, an ``"entropy"`` near ``2 log(n_clusters)`` means even clusters.

    With "auto" a stage has at most 2,000, 25,000 and 4,000 optimizer steps on images,
    and 250, 1,000 and 750 on embeddings.

    The equations are in ``cluster/contrastive_masked/losses.py``, one function each;
    the stages of Algorithm 1 are in ``ContrastiveMaskedObjective`` beside it.

    References
    ----------
    .. [1] Zhang, Huang, Ling, Zhang, Sun, Wen, "Learning representations for clustering
       via partial information discrimination and cross-level interaction", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import ContrastiveMaskedClustering
    >>> rng = np.random.default_rng(0)
    >>> dark, bright = rng.integers(0, 128, (2, 40, 8, 8, 1), dtype=np.uint8)
    >>> X = np.concatenate([dark, bright + 127])
    >>> model = ContrastiveMaskedClustering(2, train_epochs=5, random_state=0).fit(X)
    >>> model.transform(X).shape
    (80, 128)
    """

    _joins_words = True
    _auto_on_images, _auto_on_embeddings = (128, 1e-3), (512, 3e-4)

    _parameter_constraints: dict = {
        **BaseImageClusterer._parameter_constraints,
        "semantic_space": SEMANTIC_SPACE,
        "patch_size": [Interval(Integral, 1, None, closed="left"), None],
        "mask_ratio": [Interval(Real, 0, 1, closed="left")],
        "backbone": [StrOptions({"auto", *BACKBONES}), tuple, list],
        "decoder": [tuple, list, None],
        "n_groups": [Interval(Integral, 1, None, closed="left")],
        "view_neighbors": [Interval(Integral, 0, None, closed="left")],
        "tau_i": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "tau_c": [Interval(Real, 0, None, closed="neither")],
        "reconstruction": ["boolean"],
        "instance_contrast": ["boolean"],
        "cluster_contrast": ["boolean"],
        "interaction": ["boolean"],
        "pretrain_epochs": EPOCHS,
        "train_epochs": EPOCHS,
        "boost_epochs": EPOCHS,
        "weights": [str, Path, None],
        "warm_start": ["boolean"],
        "amp": ["boolean"],
        "compile": ["boolean"],
    }

    def __init__(
        self,
        n_clusters: Int | Auto | None = 8,
        *,
        semantic_space: Words | None = None,
        embedder: Encoder | None = None,
        image_size: Int | None = None,
        patch_size: Int | None = None,
        mask_ratio: Float = 0.5,
        backbone: Literal["auto", "tiny", "small", "base"] | Sequence[int] = "auto",
        decoder: Sequence[int] | None = None,
        instance_dim: Int | None = None,
        n_groups: Int = 16,
        view_neighbors: Int = 10,
        tau_i: Float | Auto = "auto",
        tau_c: Float = 1.0,
        reconstruction: Bool = True,
        instance_contrast: Bool = True,
        cluster_contrast: Bool = True,
        interaction: Bool = True,
        pretrain_epochs: Int | Auto = "auto",
        train_epochs: Int | Auto = "auto",
        boost_epochs: Int | Auto = "auto",
        batch_size: Int | Auto = "auto",
        lr: Float | Auto = "auto",
        weights: str | Path | None = None,
        warm_start: Bool = False,
        amp: Bool = False,
        compile: Bool = False,
        n_jobs: Int | None = None,
        device: Device = "auto",
        checkpoint: str | Path | None = None,
        callbacks: Callbacks | None = None,
        verbose: Int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.semantic_space = semantic_space
        self.embedder = embedder
        self.image_size = image_size
        self.patch_size = patch_size
        self.mask_ratio = mask_ratio
        self.backbone = backbone
        self.decoder = decoder
        self.instance_dim = instance_dim
        self.n_groups = n_groups
        self.view_neighbors = view_neighbors
        self.tau_i = tau_i
        self.tau_c = tau_c
        self.reconstruction = reconstruction
        self.instance_contrast = instance_contrast
        self.cluster_contrast = cluster_contrast
        self.interaction = interaction
        self.pretrain_epochs = pretrain_epochs
        self.train_epochs = train_epochs
        self.boost_epochs = boost_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weights = weights
        self.warm_start = warm_start
        self.amp = amp
        self.compile = compile
        self.n_jobs = n_jobs
        self.device = device
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def reconstruct(self, X: Data, return_masked: Bool = False) -> Array:
        """Fill in masked patches, to look at.

        Which patches are masked is drawn anew for each image, but the same at every
        call.

        Parameters: <X>
        return_masked : bool, default=False
            Whether to return what the network saw as well.

        Returns
        -------
        filled : uint8 ndarray of shape (n_samples, height, width, channels)
            The images, with the predicted patches in place of the masked ones; for
            embeddings, float rows of shape (n_samples, n_features).
        masked : ndarray of the same shape
            The images, with mean gray in place of the masked patches. Only with
            `return_masked`.
        """
        generator = new_generator(0)

        def fill(network, x):
            tokens = network.standardize(network.tokens(x))
            visible, masked = draw_mask(
                len(tokens), tokens.shape[1], self.mask_ratio, generator
            )
            visible, masked = visible.to(x.device), masked.to(x.device)
            predicted = network.decode(network.encode(tokens, visible), visible, masked)
            place = masked[:, :, None].expand_as(predicted)
            seen = tokens.scatter(1, place, 0.0)
            pair = [seen.scatter(1, place, predicted), seen]
            samples = [network.samples(network.restore(t)) for t in pair]
            return torch.stack([self._as_images(x) for x in samples], dim=1)

        filled, seen = self._predict(X, fill).swapaxes(0, 1)
        if self.image_shape_ is not None:
            filled, seen = (x.transpose(0, 2, 3, 1) for x in (filled, seen))
        return (filled, seen) if return_masked else filled

    def _read(self, X, reset):
        if reset:
            self.patch_size_ = None
        return super()._read(X, reset)

    def _choose_side(self, side):
        side, self.patch_size_ = choose_sizes(side, self.image_size, self.patch_size)
        return side

    def _prepare(self, rows, rng, generator, device):
        n = len(rows)
        self._check_modules(n)
        if self.image_shape_ is None:
            network = self._start_on_embeddings(rows, rng, generator)
            near = knn_indices(rows, self.view_neighbors, rng, device)
            source: Any = NeighborViews(rows, near, generator, device)
            views: Any = given_views
        else:
            network = self._start_on_images(rows, generator)
            source = Images(rows, device)
            views = Views(StrongView.for_images(self.image_shape_[0]), generator)
            if self.compile:
                network.compile_blocks()
        self.network_ = network
        criterion = ContrastiveMaskedObjective(
            source,
            views,
            network.tokens,
            mask_ratio=self.mask_ratio,
            tau_i=self._choose_tau(),
            tau_c=self.tau_c,
            reconstruction=self._reconstructs,
            instance_contrast=self.instance_contrast,
            cluster_contrast=self.cluster_contrast,
            interaction=self.interaction,
            kmeans_from_head=self.image_shape_ is None,
            amp=self.amp,
            generator=generator,
            **self._stages(n),
        )
        return criterion, RandomBatches(source, self._samples_a_batch, generator)

    def _check_modules(self, n):
        if self.interaction and not self.instance_contrast:
            raise ValueError(
                "interaction=True draws clusters towards those of the instance "
                "features, which instance_contrast=False leaves untrained. Switch "
                "both off, or none."
            )
        if not self._count_epochs(n):
            raise ValueError(
                "Nothing is to be trained: every stage has no epochs, or its module "
                "(reconstruction, a contrast, interaction) is off."
            )
        batch_size = self._samples_a_batch
        smallest = n // -(-n // batch_size)
        if smallest < self._n_clusters:
            raise ValueError(
                f"batch_size={batch_size} deals out {n} samples in batches of "
                f"{smallest}, less than n_clusters={self._n_clusters}: a batch cannot "
                f"tell the clusters apart. Give at least {2 * self._n_clusters}."
            )

    def _count_pair_matrices(self):
        return 3.0 if self.instance_contrast else 0.0

    @property
    def _reconstructs(self):
        """Whether anything is masked that can be reconstructed."""
        n_tokens = min(self.n_groups, self.n_features_in_)
        if self.image_shape_ is not None:
            n_tokens = (self.image_shape_[1] // self.patch_size_) ** 2
        return self.reconstruction and round(self.mask_ratio * n_tokens) > 0

    def _choose_tau(self):
        recipe = ContrastiveMaskedRecipe.in_use()
        auto = recipe.row_tau if self.image_shape_ is None else recipe.image_tau
        return auto if self.tau_i == "auto" else self.tau_i

    def _stages(self, n):
        """Return the epochs of each stage by name, 0 for those that are left out."""
        steps = -(-n // self._samples_a_batch)
        recipe = ContrastiveMaskedRecipe.in_use()
        on_images = self.image_shape_ is not None
        is_on = {
            "pretrain_epochs": self._reconstructs,
            "train_epochs": self.instance_contrast or self.cluster_contrast,
            "boost_epochs": self.interaction,
        }
        stages = {}
        autos = recipe.image_stages if on_images else recipe.row_stages
        for name, epochs, enough in autos:
            given = getattr(self, name)
            auto = min(epochs, -(-enough // steps))
            stages[name] = is_on[name] * (auto if given == "auto" else given)
        return stages

    def _count_epochs(self, n):
        return sum(self._stages(n).values())

    def _start_on_images(self, pixels, generator):
        state = None if self.weights is None else read_weights(self.weights)
        network = self._build_network(state)
        network.start(generator, *color_range(pixels, self.patch_size_))
        if self.warm_start and hasattr(self, "network_"):
            copy_last(network, self.network_)
        elif state is not None:
            copy_weights(network, state, self.weights)
        return network

    def _start_on_embeddings(self, rows, rng, generator):
        """Start at principal axes, and the cluster head at a partition of them."""
        if self.weights is not None:
            raise ValueError(
                f"weights={self.weights!r} are for images, and X is embeddings. Leave "
                "them out."
            )
        network = start_network(
            rows, self._n_clusters, self.n_groups, self.instance_dim, rng, generator
        )
        if self.warm_start and hasattr(self, "network_"):
            copy_last(network, self.network_)
        return network

    def _choose_backbone(self, state):
        """Return width, depth and heads of the transformer."""
        if self.backbone != "auto":
            sizes = self.backbone
            sizes = BACKBONES[sizes] if isinstance(sizes, str) else sizes
            return check_sizes("backbone", sizes)
        if state is not None:
            return backbone_of(state)
        recipe = ContrastiveMaskedRecipe.in_use()
        small = self.image_shape_[1] <= recipe.small_side
        return recipe.small_backbone if small else recipe.large_backbone

    def _build_network(self, state):
        channels, side, _ = self.image_shape_
        width, depth, n_heads = self._choose_backbone(state)
        recipe = ContrastiveMaskedRecipe.in_use()
        decoder = check_sizes("decoder", self.decoder or recipe.decoder)
        return ImageNetwork(
            (channels, side, side),
            self.patch_size_,
            self._n_clusters,
            width=width,
            depth=depth,
            n_heads=n_heads,
            decoder_width=decoder[0],
            decoder_depth=decoder[1],
            decoder_heads=decoder[2],
            instance_dim=self.instance_dim or recipe.instance_dim,
        )

    def _find_clusters(self, rows, rng):
        """Without a trained cluster head, clusters come from k-means (Table 7)."""
        if not (self.cluster_contrast or self.interaction):
            features = self._instance_features(rows)
            centers = kmeans(features, self._n_clusters, rng, n_init=3).cluster_centers_
            self.network_.set_centers(torch.from_numpy(centers))

    @property
    def _n_features_out(self):
        return self.network_.config["instance_dim"]

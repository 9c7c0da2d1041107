"""GCC as a scikit-learn clusterer."""

from __future__ import annotations

import warnings
from math import ceil
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..._backend._device import new_generator
from ..._compat import Interval
from ..._docs import documented
from ..._typing import (
    Auto,
    Bool,
    Callbacks,
    Device,
    Encoder,
    Float,
    Int,
    RandomState,
    Words,
)
from ...training import RandomBatches
from ..axes import half_whitening
from ..batches import NeighborViews, given_views, knn_indices
from ..image_base import EPOCHS, BaseImageClusterer
from ..image_batches import Images, color_range
from ..partition import draw_sample
from ..recipe import CommonRecipe
from ..views import StrongView, Views
from ..words import SEMANTIC_SPACE
from .generator import import_diffusers
from .objective import CalibratedNetwork, CalibrationObjective, above_chance
from .recipe import GenerativeRecipe

# A warning is given below this share of generated samples in the intended cluster,
# beyond chance.
POOR = 0.25


@documented()
class GenerativeCalibrationClustering(BaseImageClusterer):
    """Clustering that a conditional diffusion model calibrates (GCC).

    Contrast teaches a network to tell images apart, k-means of its features gives
    clusters, and a diffusion model learns to generate images of each. Then both help
    each other in rounds: generated images, whose clusters are known, draw the features
    of each cluster together and clusters apart, and the diffusion model learns the
    better clusters [1]_. Of embeddings, embeddings are generated (not in the paper).

    Parameters: <n_clusters, semantic_space, pixel_embedder>
    image_size : int, default=None
        Side in pixels to which images are brought: the shorter side is resized and the
        middle square is taken. If None, the (median) shorter side, at most 224.
    width : int, default=32
        Channels of the first stage of the residual network; 64 is ResNet-18.
    <instance_dim>
    generator_width : int, default=None
        Width of the diffusion model's first layers. If None, it depends on the size of
        the images.
    tau : float, default=0.5
        Temperature of the contrast (eq. 1).
    kernel_matching, class_wise_matching, metric_learning : bool, default=True
        Terms of the calibration: `L_d` (eq. 9), `L_cwm` (eq. 10), `L_ml` (eq. 11).
    contrast_epochs, head_epochs, generator_epochs : int or "auto", default="auto"
        Epochs of stage I: contrast, cluster head, diffusion model. "auto" is 20, 10 and
        40 on embeddings; on images 100, 20 and 100, and more if an epoch has less than
        eight batches: as many batches as eight would give.
    n_rounds : int, default=3
        Rounds of stage II.
    calibration_epochs, refinement_epochs : int, default=5, 2
        Epochs per round of training the clusters on generated samples, and the
        diffusion model.
    n_generated : int, default=None
        Samples generated per round. If None, as many as the data has, at most 4,096.
    sampling_steps : int, default=20
        Steps in which a sample is generated (DDIM), of the 1,000 of the diffusion.
    view_neighbors : int, default=10
        Embeddings only: number of nearest neighbors. The second view is drawn from
        them.
    batch_size : int or "auto", default="auto"
        Samples per batch; "auto" is 256 images or 512 embeddings.
    <lr>
    calibration_lr : float, default=1e-4
        Learning rate of the calibration. A larger one does harm, as some generated
        samples do not show their cluster. It falls to 0 with the share of samples that
        the cluster head assigns to the intended cluster, starting halfway between 1 and
        1 / `n_clusters`.
    generator_lr : float, default=1e-3
        Learning rate of the diffusion model.
    <amp, compile, n_jobs, device, checkpoint, callbacks, verbose, random_state>

    Attributes: <labels_, n_clusters_, k_candidates_, k_values_, k_scores_>
    <cluster_centers_, image_shape_, cluster_names_, name_scores_>
    <name_confidences_, semantic_space_>
    <semantic_weight_>
    network_ : torch.nn.Module
        Residual network and diffusion model, on the CPU.
    <image_paths_, embedder_, history_, n_iter_, n_features_in_, feature_names_in_>

    See Also
    --------
    ContrastiveMaskedClustering : Without a generator, and faster.

    Notes
    -----
    In `history_`, ``"confirmed"`` is the share of generated samples that the cluster
    head assigns to the intended cluster.

    The equations are in ``cluster/generative/losses.py`` and ``generator.py``; the
    stages are in ``CalibrationObjective`` beside them. The diffusion model comes from
    the package diffusers: ``pip install ".[generative]"`` in the clone.

    References
    ----------
    .. [1] Xia, Huang, Ding, "GCC: Generative calibration clustering", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import GenerativeCalibrationClustering
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(np.eye(2, 8), 20, axis=0) + 0.1 * rng.normal(size=(40, 8))
    >>> model = GenerativeCalibrationClustering(2, random_state=0).fit(X)
    >>> np.bincount(model.labels_)
    array([20, 20])
    >>> model.generate(5, cluster=1).shape
    (5, 8)
    """

    _joins_words = True
    _auto_on_images, _auto_on_embeddings = (256, 1e-3), (512, 3e-4)

    _parameter_constraints: dict = {
        **BaseImageClusterer._parameter_constraints,
        "semantic_space": SEMANTIC_SPACE,
        "width": [Interval(Integral, 1, None, closed="left")],
        "generator_width": [Interval(Integral, 8, None, closed="left"), None],
        "tau": [Interval(Real, 0, None, closed="neither")],
        "kernel_matching": ["boolean"],
        "class_wise_matching": ["boolean"],
        "metric_learning": ["boolean"],
        "contrast_epochs": EPOCHS,
        "head_epochs": EPOCHS,
        "generator_epochs": EPOCHS,
        "n_rounds": [Interval(Integral, 0, None, closed="left")],
        "calibration_epochs": [Interval(Integral, 1, None, closed="left")],
        "refinement_epochs": [Interval(Integral, 0, None, closed="left")],
        "n_generated": [Interval(Integral, 2, None, closed="left"), None],
        "sampling_steps": [Interval(Integral, 1, 1000, closed="both")],
        "view_neighbors": [Interval(Integral, 1, None, closed="left")],
        "calibration_lr": [Interval(Real, 0, None, closed="neither")],
        "generator_lr": [Interval(Real, 0, None, closed="neither")],
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
        width: Int = 32,
        instance_dim: Int | None = None,
        generator_width: Int | None = None,
        tau: Float = 0.5,
        kernel_matching: Bool = True,
        class_wise_matching: Bool = True,
        metric_learning: Bool = True,
        contrast_epochs: Int | Auto = "auto",
        head_epochs: Int | Auto = "auto",
        generator_epochs: Int | Auto = "auto",
        n_rounds: Int = 3,
        calibration_epochs: Int = 5,
        refinement_epochs: Int = 2,
        n_generated: Int | None = None,
        sampling_steps: Int = 20,
        view_neighbors: Int = 10,
        batch_size: Int | Auto = "auto",
        lr: Float | Auto = "auto",
        calibration_lr: Float = 1e-4,
        generator_lr: Float = 1e-3,
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
        self.width = width
        self.instance_dim = instance_dim
        self.generator_width = generator_width
        self.tau = tau
        self.kernel_matching = kernel_matching
        self.class_wise_matching = class_wise_matching
        self.metric_learning = metric_learning
        self.contrast_epochs = contrast_epochs
        self.head_epochs = head_epochs
        self.generator_epochs = generator_epochs
        self.n_rounds = n_rounds
        self.calibration_epochs = calibration_epochs
        self.refinement_epochs = refinement_epochs
        self.n_generated = n_generated
        self.sampling_steps = sampling_steps
        self.view_neighbors = view_neighbors
        self.batch_size = batch_size
        self.lr = lr
        self.calibration_lr = calibration_lr
        self.generator_lr = generator_lr
        self.amp = amp
        self.compile = compile
        self.n_jobs = n_jobs
        self.device = device
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @torch.inference_mode()
    def generate(
        self, n: Int, cluster: Int, random_state: RandomState = None
    ) -> np.ndarray:
        """Generate new samples of a cluster.

        Parameters
        ----------
        n : int
            Number of samples.
        cluster : int
            Cluster, below `n_clusters`.
        random_state : int, RandomState instance or None, default=None
            Draws them.

        Returns
        -------
        samples : uint8 ndarray of shape (n, height, width, channels)
            Images; for embeddings, unit rows of shape (n, n_features).

        Raises
        ------
        ValueError
            If there is no such cluster, or `n` is not a positive integer.
        """
        check_is_fitted(self)
        if not isinstance(n, Integral) or int(n) < 1:
            raise ValueError(f"n={n!r} is no number of samples: give 1 or more.")
        k = self.network_.config["n_clusters"]
        if not isinstance(cluster, Integral) or not 0 <= int(cluster) < k:
            raise ValueError(
                f"cluster={cluster!r} is none of the clusters 0 to {k - 1}."
            )
        seed = check_random_state(random_state).randint(2**31 - 1)
        samples = self.network_.generator.sample(
            torch.full((int(n),), int(cluster)),
            new_generator(seed),
            self.sampling_steps,
        )
        if self.image_shape_ is not None:
            return samples.numpy().transpose(0, 2, 3, 1)
        return self._as_images(samples).numpy()

    def _choose_side(self, side):
        return self.image_size or min(side, CommonRecipe.in_use().max_side)

    def _prepare(self, rows, rng, generator, device):
        import_diffusers()
        n, on_images = len(rows), self.image_shape_ is not None
        recipe = GenerativeRecipe.in_use()
        stages = self._stages(n)
        calibrates = (
            self.kernel_matching or self.class_wise_matching or self.metric_learning
        )
        if self.n_rounds and not calibrates:
            raise ValueError(
                "All terms of the calibration are off (kernel_matching, "
                "class_wise_matching, metric_learning): give n_rounds=0 to leave it "
                "out."
            )
        if on_images:
            network = self._start_on_images(rows, generator)
            source: Any = Images(rows, device)
            views: Any = Views(StrongView.for_images(self.image_shape_[0]), generator)
            if self.compile:
                for part in network.large_parts():
                    part.compile()
        else:
            network = self._start_on_embeddings(rows, rng, generator)
            near = knn_indices(rows, self.view_neighbors, rng, device)
            source, views = NeighborViews(rows, near, generator, device), given_views
        self.network_ = network
        n_generated = self.n_generated or min(n, recipe.max_generated)
        criterion = CalibrationObjective(
            source,
            views,
            torch.from_numpy(np.array(rows[:1]))[0],
            n_clusters=self._n_clusters,
            n_generated=max(n_generated, self._n_clusters),
            sampling_steps=self.sampling_steps,
            tau=self.tau,
            calibration_epochs=self.calibration_epochs,
            refinement_epochs=self.refinement_epochs,
            calibration_lr=self.calibration_lr / self._learning_rate,
            kernel_matching=self.kernel_matching,
            class_wise_matching=self.class_wise_matching,
            metric_learning=self.metric_learning,
            kmeans_from_head=not on_images,
            amp=self.amp,
            generator=generator,
            n_rounds=self.n_rounds,
            **stages,
        )
        return criterion, RandomBatches(source, self._samples_a_batch, generator)

    def _train(self, *args):
        super()._train(*args)
        shares = [row["confirmed"] for row in self.history_ if "confirmed" in row]
        if shares and above_chance(shares[-1], self._n_clusters) < POOR:
            warnings.warn(
                f"The cluster head takes {shares[-1]:.0%} of the generated samples for "
                "what they were meant to be: the generator has learned little, and so "
                "calibration was slow. Raise generator_epochs, or leave calibration "
                "out with n_rounds=0.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _optimizer(self, device):
        generator = [("generator.*", {"lr": self.generator_lr})]
        return {**super()._optimizer(device), "param_groups": generator}

    def _stages(self, n):
        """Return the epochs of each stage by name."""
        recipe, repeats = GenerativeRecipe.in_use(), 1.0
        stages = recipe.row_stages
        if self.image_shape_ is not None:
            stages = recipe.image_stages
            n_batches = -(-n // self._samples_a_batch)
            repeats = max(1, recipe.least_batches / n_batches)
        given = {name: getattr(self, name) for name, _ in stages}
        return {
            name: ceil(repeats * epochs) if given[name] == "auto" else given[name]
            for name, epochs in stages
        }

    def _count_pair_matrices(self):
        return 3.0

    def _count_epochs(self, n):
        a_round = self.calibration_epochs + self.refinement_epochs
        return sum(self._stages(n).values()) + self.n_rounds * a_round

    def _start_on_images(self, pixels, generator):
        shape = list(self.image_shape_)
        network = CalibratedNetwork(
            True,
            {
                "image_shape": shape,
                "width": self.width,
                "instance_dim": self.instance_dim or 128,
            },
            {"image_shape": shape, "width": self.generator_width},
            self._n_clusters,
        )
        network.clustering.start(generator, *color_range(pixels, 1))
        network.generator.start(generator)
        return network

    def _start_on_embeddings(self, rows, rng, generator):
        """Start at principal axes, and the cluster head at a partition of them."""
        n_axes = CommonRecipe.in_use().n_axes
        mean, axes = map(torch.from_numpy, half_whitening(rows, n_axes))
        axes = axes[:n_axes]
        sizes = {"n_features": rows.shape[1], "n_axes": len(axes)}
        network = CalibratedNetwork(
            False,
            {**sizes, "instance_dim": self.instance_dim or len(axes)},
            {**sizes, "width": self.generator_width or 256},
            self._n_clusters,
        )
        network.clustering.start(generator, mean, axes)
        u = torch.from_numpy(rows[draw_sample(len(rows), self._n_clusters, rng)])
        network.clustering.start_at_partition(u, rng)
        spread = ((u - mean) @ axes.T).std(dim=0).clamp_min(1e-6)
        network.generator.start(generator, mean, axes, spread)
        return network

    @property
    def _n_features_out(self):
        return self.network_.config["clustering"]["instance_dim"]

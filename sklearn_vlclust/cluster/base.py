"""Base class of all clusterers: their contract with scikit-learn."""

from __future__ import annotations

import copy
import os
import warnings
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._backend._device import new_generator, to_device
from .._backend._settings import own_settings
from .._backend._text import counted
from .._compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from .._docs import documented
from .._typing import Array, Data, Images, StrPath
from ..data.distributed import by_blocks, is_dask, without_fit
from ..data.images import check_images, is_images
from ..data.memory import check_memory
from ..data.read import read_embeddings
from ..data.rows import UnitRows, measured_blocks, row_blocks, unit
from ..datasets._folder import images_in
from ..embedding._resolve import embed_images, make_embedder
from ..metrics import learned_information
from ..metrics._clusters import cluster_means, cluster_members
from ..neighbors import distinct_rows, group_copies
from ..persistence import load_model, save_model
from ..persistence._registry import stable_hash
from ..semantics._captioner import name_clusters
from ..training import (
    Checkpoint,
    ProgressBar,
    after_epoch,
    name_phases,
    notify_callbacks,
    notify_sklearn,
    resolve_device,
    train,
    training_phases,
)
from ..training._checkpoint import read_checkpoint
from ._split import most_divided, plane_between
from .correctable import NAMING, CorrectionsMixin
from .partition import draw_sample
from .recipe import CommonRecipe, changed_fields
from .spectral.n_clusters import estimate_n_clusters
from .words import find_words, join

# Parameters that may differ between a killed fit and the one that resumes it.
# Of an encoder, the rows that it made are compared.
_FREE_PARAMS = {"callbacks", "checkpoint", "device", "embedder", "verbose"}
# Images that vote for names in all, and at least per cluster.
NAMING_ROWS, NAMING_ROWS_PER_CLUSTER = 20_000, 50
# Fitted attributes that prediction needs.
_PREDICTING = {
    "network_",
    "embedder_",
    "image_shape_",
    "n_features_in_",
    "feature_names_in_",
}


@documented()
class BaseDeepClusterer(
    CorrectionsMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseEstimator,
):
    """Template of a clusterer that trains a network on embeddings.

    A method supplies

    - `_prepare(rows, rng, generator, device)`, which sets `network_` and whatever
      else is fitted before training, and returns ``(criterion, batches)`` for
      :func:`~sklearn_vlclust.training.train`;
    - `network_`, a module with a JSON-like `config` that has ``"n_clusters"``,
      `logits(x, norms)` of shape ``(n, n_clusters)`` of rows and their lengths,
      `head_inputs(x, norms)`, which the logits are linear in,
      `split_cluster(new, old, weight, bias)` and `permute_clusters(order)`, by which
      clusters that `order` lacks are left out;
    - optionally `_find_clusters(rows, rng)`, called after training if the trained
      network has no clusters yet;
    - optionally `_describe(rows)`, called once the clusters are final, to name them if
      there are words.

    A method whose `_joins_words` is True has a parameter `semantic_space`. With words,
    its `_prepare` and its network see joint rows [image; noun mixture]; all other
    methods are given images.

    The network sees unit rows of embeddings. A method that learns from the images
    themselves has its own `_read`, `_rows` and `_inputs`.

    If embeddings contain enough copies to matter (see
    :func:`~sklearn_vlclust.neighbors.group_copies`), all these methods but `_describe`
    see one row of each group of copies; the others get its label.

    What all methods have, or several:

    Parameters
    ----------
    semantic_space : "wordnet", Vocabulary, SemanticSpace, list of str or None, \
default=None
        Nouns for embeddings (not in the paper), with vectors or an encoder. Each row is
        joined with its mixture of nouns, as far as these help: see `semantic_weight_`.
        Clusters are named by them. If None, as in the paper: no words and no names.
    checkpoint : str or Path, default=None
        File that is replaced after every epoch (or round). A fit that finds it
        continues from there, and ends with the labels of an uninterrupted fit.
    callbacks : list of objects, default=None
        Each has ``on_epoch_end(estimator, epoch, losses)``, called after every epoch
        (or round), and ends the training by returning True. Meanwhile the estimator can
        predict, unless it finds its clusters after training.
    random_state : int, RandomState instance or None, default=None
        Same seed, same labels, on one machine. Global seeds are left alone.

    Attributes
    ----------
    k_scores_ : dict of str to ndarray
        Curves over `k_values_`; the estimate has the largest ``"reproducibility"``.
        These three exist only with ``n_clusters="auto"``.
    cluster_centers_ : ndarray of shape (`n_clusters_`, n_features)
        Mean direction of each cluster, unit rows.
    cluster_names_ : list of `n_clusters_` arrays of str
        Nouns of each cluster, the name first; see
        :class:`~sklearn_vlclust.ClusterCaptioner`. Absent without words, as are what
        follows.
    name_scores_ : list of `n_clusters_` arrays of float
        Share of the cluster's images that show each of these nouns, between 0 and 1.
    name_confidences_ : ndarray of shape (`n_clusters_`,)
        How far the first name of each cluster can be believed, between 0 and 1: of
        those from .8 on about nine in ten are right; below .5 say "perhaps".
    semantic_space_ : SemanticSpace or None
        The fitted space.
    semantic_weight_ : float
        How far the nouns were trusted: 0 is not at all, 1 fully. It is low where the
        nouns do not cover the images, and where the images agree so well that words
        have nothing to add. Clusters are named in any case.
    history_ : list of dict
        Per epoch the mean of each loss term by name, and its stage (``"phase"``) if
        there are several.
    n_iter_ : int
        Number of epochs (or rounds) run.
    """

    labels_: np.ndarray
    n_clusters_: int
    cluster_centers_: np.ndarray
    history_: list[dict]
    embedder_: Any  # an encoder, or None
    image_paths_: np.ndarray
    semantic_space_: Any  # a SemanticSpace, or None
    semantic_weight_: float
    _copies: Any = None  # Copies: one row of each group is clustered
    _joint: Any = None  # JointEmbedding, whose rows the network sees
    _joins_words = False  # whether the network is trained on joint rows
    # Rows per forward pass, small enough to stay in the CPU cache
    _inference_rows = 4096
    _learns_features = False  # then `cluster_centers_` are among them
    # (min_epochs, max_epochs, target_steps) used by max_iter="auto"
    _auto_epochs = 1, 1, 1

    _parameter_constraints: dict = {
        "n_clusters": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "embedder": [
            HasMethods(["transform"]),
            StrOptions({"auto", "offline"}),
            None,
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "device": [str, torch.device],
        "checkpoint": [str, Path, None],
        "callbacks": ["array-like", None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    @own_settings
    def fit(self, X: Data, y: object = None) -> Self:
        """Cluster `X`; scikit-learn callbacks are given `y`, which the fit never sees.

        Parameters: <X, y>

        Returns: <fitted>

        Raises
        ------
        ValueError
            If `X` has fewer rows than clusters, or a row of zeros, NaN or infinity; if
            its width does not fit the words; or if `checkpoint` is not this fit's.
        MemoryError
            If all pairs of a batch are compared, and do not fit in memory.
        FloatingPointError
            If training made weights infinite or NaN, as a large `lr` may.
        """
        self._forget_corrections()
        X, zero_rows = self._read(X, reset=True)
        device = resolve_device(self.device)
        seed = self._draw_seed()
        rng, generator = np.random.RandomState(seed), new_generator(seed)
        rows = self._rows(X, zero_rows)
        distinct, self._copies = self._leave_copies_out(rows)
        self._choose_n_clusters(rows, distinct, seed)
        self._check_batches(len(X), device)
        joint = self._join_words(distinct, rng, device)
        criterion, batches = self._prepare(joint, rng, generator, device)
        n_epochs = self._count_epochs(len(joint))
        self._train(criterion, batches, n_epochs, X, y, seed, generator, device)
        del criterion, batches, joint  # all rows and their neighbors: not needed below
        self._find_clusters(distinct, rng)
        self._deliver_clusters(
            lambda: self._infer(X, _most_likely, zero_rows),
            rows,
            distinct,
            self._copies,
        )
        self._locate_clusters(rows, X.dtype)
        self._describe(rows)
        self._data_of_fit = X, zero_rows
        return self

    if TYPE_CHECKING:  # inherited from scikit-learn, which has no types

        def fit_predict(self, X: Data, y: object = None, **kwargs: Any) -> np.ndarray:
            """Return `labels_` of a fit to `X`."""

        def fit_transform(self, X: Data, y: object = None, **kwargs: Any) -> Array:
            """Return :meth:`transform` of `X` after a fit to it."""

    @by_blocks
    def predict(self, X: Data) -> Array:
        """Cluster of each sample.

        Parameters: <X>

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Cluster of each sample, the likeliest of :meth:`predict_proba`. For a dask
            `X`, a dask array that is not computed yet.
        """
        return self._predict(X, self._corrected(_most_likely))

    @by_blocks
    def predict_proba(self, X: Data) -> Array:
        """Soft assignment of each sample.

        Parameters: <X>

        Returns
        -------
        proba : ndarray of shape (n_samples, n_clusters)
            Probability of each cluster; rows sum to 1. A dask array for a dask `X`.
        """
        return self._predict(X, self._corrected(_probabilities))

    @by_blocks
    def transform(self, X: Data) -> Array:
        """Learned features of each sample: the logits of the cluster head.

        Parameters: <X>

        Returns
        -------
        features : ndarray of shape (n_samples, n_clusters)
            Their softmax is :meth:`predict_proba`. A dask array for a dask `X`.
        """
        return self._predict(X, self._corrected(_logits))

    @own_settings
    def score(self, X: Data, y: object = None) -> float:
        """Label-free quality of the clustering of `X`.

        Parameters: <X, y>

        Returns: <learned>
        """
        check_is_fitted(self)
        X, zero_rows = self._read(X, reset=False)
        labels = self._infer(X, self._corrected(_most_likely), zero_rows)
        return learned_information(self._rows(X, zero_rows), labels)

    def save(self, path: StrPath) -> None:
        """Write the estimator to a file: safetensors with a JSON header, no pickle.

        Parameters
        ----------
        path : str or Path
            The file; replaced in one step if it exists. `callbacks` are left out.
        """
        save_model(self, path)

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read an estimator that :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        estimator : object
            As it was saved.

        Raises
        ------
        ValueError
            If the file is truncated, of another format, or holds another class.
        """
        return load_model(path, cls)

    def _read(self, X, reset):
        """Return embeddings and whether rows of zeros are let through."""
        if reset:
            self.embedder_ = None
        X = self._open(X, reset)
        X, zero_rows = read_embeddings(
            self,
            X,
            reset=reset,
            embed=self.embed,
            ensure_min_samples=2 if reset else 1,
        )
        if reset and hasattr(self, "image_paths_") and len(X) < len(self.image_paths_):
            # The encoder skips what it cannot read.
            self.image_paths_ = self.image_paths_[self.embedder_.kept_]
        return X, zero_rows

    def _open(self, X, reset):
        """Return the images of a folder, or `X`; a fit notes the paths of images."""
        X = images_in(X)
        if reset:
            self.__dict__.pop("image_paths_", None)  # of an earlier fit
            if is_images(X) and not is_dask(X):
                images = check_images(X)
                if len(images) and isinstance(images[0], str | os.PathLike):
                    self.image_paths_ = np.array([os.fspath(path) for path in images])
        return X

    def _to_workers(self):
        """Return a copy with what prediction needs, and nothing else."""
        others = {"callbacks", "checkpoint", "semantic_space"} & set(vars(self))
        others |= {"_copies", "_uncorrected"}
        return without_fit(self, _PREDICTING, **dict.fromkeys(others))

    def _rows(self, X, zero_rows):
        """Return what `_read` read as rows to train on."""
        return UnitRows(X, zero_rows=zero_rows)

    def _as_given(self, X):
        """Return what `_read` read as `predict` takes it."""
        return X

    def _inputs(self, X, zero_rows):
        """Yield blocks of `X`, and of each the tensors that the network takes."""
        for block, x, norms in measured_blocks(X, zero_rows, self._inference_rows):
            yield block, (x, norms)

    def embed(self, images: Images) -> np.ndarray:
        """Return the embeddings of images, by the encoder that `embedder` stands for.

        Parameters: <images>

        Returns
        -------
        embeddings : ndarray of shape (n_images, n_features), float32
            What :meth:`fit` clusters in their place.
        """
        if getattr(self, "embedder_", None) is None:
            self.embedder_ = make_embedder(self.embedder, verbose=self.verbose)
        return embed_images(self.embedder_, images)

    @property
    def _samples_a_batch(self):
        return self.batch_size

    def _count_pair_matrices(self):
        """Return how many matrices of all pairs of both views training holds."""
        return 0.0

    def _check_batches(self, n, device):
        """Refuse batches whose pairs do not fit in memory; a GPU does so itself."""
        matrices = self._count_pair_matrices()
        if matrices and device.type == "cpu":
            size = min(self._samples_a_batch, n)
            check_memory(
                int(matrices * 4 * (2 * size) ** 2),
                f"batch_size={self._samples_a_batch}: to compare all pairs of "
                f"{size:,} samples",
                "Give smaller batches.",
            )

    def _choose_n_clusters(self, rows, distinct, seed):
        """Set `_n_clusters`: the number that was given, or an estimate."""
        for name in ("k_candidates_", "k_values_", "k_scores_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        if self.n_clusters is None or self.n_clusters == "auto":
            rng = np.random.RandomState(seed)
            estimate = estimate_n_clusters(self._rows_to_count(distinct), rng)
            self.k_candidates_ = estimate.candidates
            self.k_values_, self.k_scores_ = estimate.k_values, estimate.scores
            self._n_clusters = estimate.n_clusters
            return
        if len(rows) < self.n_clusters:
            raise ValueError(
                f"n_samples={len(rows)} should be >= n_clusters={self.n_clusters}."
            )
        self._n_clusters = int(self.n_clusters)

    def _rows_to_count(self, rows):
        """Return the rows whose clusters are counted with ``n_clusters="auto"``."""
        return rows

    def _draw_seed(self):
        """Draw the seed of the fit; a checkpoint without fixed seed brings its own."""
        path = self.checkpoint
        if path and self.random_state is None and Path(path).exists():
            return read_checkpoint(path)[0]["identity"]["seed"]
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _identity(self, X, seed):
        """What a checkpoint must share with this fit, as JSON values."""
        params = {
            name: value if isinstance(value, str | int | float | None) else None
            for name, value in self.get_params(deep=False).items()
            if name not in _FREE_PARAMS | {"random_state"}
        }
        nested = {
            f"{name} (hash)": stable_hash(getattr(self, name))
            for name, value in params.items()
            if value is None and getattr(self, name) is not None
        }
        sample = np.linspace(0, len(X) - 1, min(len(X), 1024)).astype(int)
        data = {"X.shape": list(X.shape), "X (hash)": stable_hash(np.array(X[sample]))}
        parts = params | nested | data | changed_fields()
        return {"class": type(self).__name__, **parts, "seed": seed}

    def _train(self, criterion, batches, n_epochs, X, y, seed, generator, device):
        checkpoint = None
        if self.checkpoint:
            identity = self._identity(X, seed)
            checkpoint = Checkpoint(self.checkpoint, identity, generator)
        phases = training_phases(criterion, n_epochs)
        progress = ProgressBar(type(self).__name__, phases, self.verbose)
        callbacks = notify_callbacks(self, self.callbacks or (), n_epochs)
        samples = self._as_given(X)
        sklearn_hook, finish = notify_sklearn(self, samples, y, phases, self._snapshot)
        try:
            history = self._run_epochs(
                criterion,
                batches,
                max_epochs=n_epochs,
                device=device,
                checkpoint=checkpoint,
                after_epoch=[after_epoch(progress, callbacks, sklearn_hook)],
            )
        finally:
            progress.close()
            # Kept on the CPU, in inference mode: pickles travel between devices.
            self.network_.cpu().eval().requires_grad_(False)
        self.history_ = name_phases(history, phases)
        self.n_iter_ = len(history)
        finish()

    def _run_epochs(self, criterion, batches, **options):
        """Train the network and return the history; `options` go to `train`."""
        options = {"lr": self.lr, **self._optimizer(options["device"]), **options}
        return train(self.network_, criterion, batches, **options)

    def _count_epochs(self, n):
        """Return the number of epochs for `n` samples."""
        if self.max_iter != "auto":
            return self.max_iter
        fewest, most, enough_steps = self._auto_epochs
        steps = -(-n // self.batch_size)
        return min(most, max(fewest, -(-enough_steps // steps)))

    def _optimizer(self, device):
        """Return the optimizer and its arguments, the learning rate if not `lr`."""
        fused = device.type in ("cpu", "cuda")
        return {"optimizer": torch.optim.Adam, "fused": fused}

    def _snapshot(self):
        """Return the attributes that let a copy of the estimator predict as of now."""
        network = copy.deepcopy(self.network_).cpu().eval().requires_grad_(False)
        return {"network_": network}

    def _leave_copies_out(self, rows):
        """Return one row of each group of copies, and the groups, or None."""
        if len(rows.shape) > 2:
            return rows, None
        asked = self.n_clusters if isinstance(self.n_clusters, Integral) else 0
        return distinct_rows(rows, max(2, int(asked)))

    def _deliver_clusters(self, infer, rows, distinct, copies, asked=None):
        """Set `labels_`, largest cluster first, with as many clusters as asked for.

        Clusters without samples by ``infer()`` get half of the most divided one.
        Clusters that stay empty, as too few rows differ, are removed from the network.
        """
        self._forget_corrections()
        n_heads = self.network_.config["n_clusters"]
        for left in reversed(range(CommonRecipe.in_use().fill_rounds + 1)):
            labels = infer()
            if copies is not None:
                labels = labels[copies.representatives]
            counts = np.bincount(labels, minlength=n_heads)
            if counts.all() or not left or not self._fill_clusters(distinct, labels):
                break
        if copies is not None:
            labels = labels[copies.group]
            counts = np.bincount(labels, minlength=n_heads)
        order = np.argsort(-counts, kind="stable")
        self.n_clusters_ = int((counts > 0).sum())
        self.labels_ = np.argsort(order)[labels]
        self.network_.permute_clusters(torch.from_numpy(order[: self.n_clusters_]))
        asked = self.n_clusters if asked is None else asked
        wanted = int(asked) if isinstance(asked, Integral) else n_heads
        if self.n_clusters_ < wanted:
            self._warn_of_fewer(wanted, rows)

    def _fill_clusters(self, rows, labels):
        """Split clusters in favor of empty ones; return whether any was."""
        inputs = self._infer(rows, _head_inputs, True)
        return self._split_clusters(inputs, labels, self._split_head)

    def _split_clusters(self, features, labels, split):
        """Call ``split(new, old, features, second)`` for each cluster without rows."""
        k = self.network_.config["n_clusters"]
        labels, rng = labels.copy(), np.random.RandomState(0)
        empty = np.flatnonzero(np.bincount(labels, minlength=k) == 0)
        for new in empty.tolist():
            old, rows, second = most_divided(features, labels, k, rng)
            if old < 0:
                return new > empty[0]
            split(new, old, features[rows], second)
            labels[rows[second]] = new
        return True

    def _split_head(self, new, old, features, second):
        weight, bias = plane_between(features, second)
        self.network_.split_cluster(new, old, torch.from_numpy(weight), float(bias))

    def _warn_of_fewer(self, wanted, rows):
        found = (
            f"{self.n_clusters_} of n_clusters={wanted} clusters "
            f"{'has' if self.n_clusters_ == 1 else 'have'} samples"
        )
        why = ": there are no more groups in X that differ."
        if len(rows.shape) == 2:
            n_distinct = group_copies(rows, exact=True).n_groups
            if n_distinct < wanted:
                why = f", as X has only {counted(n_distinct, 'distinct row')}."
        warnings.warn(found + why, ConvergenceWarning, stacklevel=5)

    def _find_clusters(self, rows, rng):
        """Give the trained network its clusters; nothing by default."""

    def _locate_clusters(self, rows, dtype):
        """Set `cluster_centers_`, the mean directions of the embeddings."""
        means = cluster_means(rows, self.labels_, self.n_clusters_)
        self.cluster_centers_ = unit(means).astype(dtype)
        self._center_lengths = np.linalg.norm(means, axis=1)

    def _center_rows(self, rows):
        """Return the rows that `cluster_centers_` are the mean directions of."""
        return self._infer(rows, _features, True) if self._learns_features else rows[:]

    def _describe(self, rows):
        """Name the clusters by the nouns that detect them; see ClusterCaptioner."""
        for name in NAMING:  # of an earlier fit
            self.__dict__.pop(name, None)
        if getattr(self, "semantic_space_", None) is not None:
            for name, value in zip(NAMING, self._name(rows, self.labels_)):
                setattr(self, name, value)

    def _name(self, rows, labels):
        """Return names, scores and confidences of the clusters of rows, best first."""
        # More rows change nothing, but each cluster needs some.
        order = np.random.RandomState(0).permutation(len(labels))
        parts = [order[:NAMING_ROWS]]
        for members in cluster_members(labels[order]):
            parts.append(order[members[:NAMING_ROWS_PER_CLUSTER]])
        voters = np.unique(np.concatenate(parts))
        return name_clusters(
            self.semantic_space_,
            rows[voters],
            labels[voters],
            device=self.device,
            n_candidates=getattr(self, "n_names", 5),
        )

    def _as_images(self, samples):
        """Return what the network makes as embeddings: without the noun mixtures."""
        if self._joint is None:
            return samples
        joint = copy.deepcopy(self._joint).to(samples.device, samples.dtype)
        return joint.images_of(samples)

    def _join_words(self, rows, rng, device):
        """Return the rows to train on: joined with noun mixtures, if there are words.

        Where `semantic_space` is None, or its nouns are not trusted, `rows` as they
        are: then the method is as in the paper.
        """
        self._joint = None
        if not self._joins_words:
            return rows
        self.semantic_space_, self.semantic_weight_ = None, 0.0
        if self.semantic_space is None:
            return rows
        if len(rows.shape) > 2:
            raise ValueError(
                "semantic_space needs embeddings, but X is images that the network "
                "learns from itself: embed them first, or give semantic_space=None."
            )
        words = find_words(
            self.semantic_space,
            rows,
            draw_sample(len(rows), self._n_clusters, rng),
            self._n_clusters,
            rng,
            embedder=getattr(self, "embedder_", None)
            or getattr(self, "embedder", None),
            device=device,
        )
        self.semantic_space_, self.semantic_weight_ = words.space, words.weight
        if words.weight == 0:
            return rows
        check_memory(
            8 * len(rows) * rows.shape[1],
            f"{len(rows):,} rows joined with their nouns",
            "Give semantic_space=None, or a sample to fit and the rest to predict.",
        )
        joint, self._joint = join(words)
        return UnitRows(np.concatenate([joint[b] for b in row_blocks(len(rows))]))

    def _resolve_words(self):
        """Return what `semantic_space` stands for."""
        if not isinstance(self.semantic_space, str) or self.semantic_space != "auto":
            return self.semantic_space
        if self.embedder_ is not None or not isinstance(self.embedder, str | None):
            return "wordnet"
        warnings.warn(
            "X is embeddings, and nothing tells which encoder made them: there are no "
            "words, and the clusters get no names. Give the encoder as embedder, or "
            "nouns with vectors as semantic_space=Vocabulary(nouns, embeddings=...); "
            "semantic_space=None is the same without this warning.",
            UserWarning,
            stacklevel=6,
        )
        return None

    @own_settings
    def _predict(self, X, function):
        check_is_fitted(self)
        X, zero_rows = self._read(X, reset=False)
        return self._infer(X, function, zero_rows)

    @torch.inference_mode()
    def _infer(self, X, function, zero_rows):
        """Apply ``function(network, unit rows)`` block by block, in the dtype of X."""
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        device = resolve_device(self.device)
        if device.type == "mps" and dtype is torch.float64:
            device = torch.device("cpu")  # MPS has no float64
        network, joint = self.network_, self._joint
        if device.type != "cpu" or dtype is not torch.float32:
            network, joint = copy.deepcopy((network, joint))
            network = network.to(device, dtype)
            joint = joint and joint.to(device, dtype)
        results: Any = None
        for block, inputs in self._inputs(X, zero_rows):
            inputs = tuple(to_device(x, device) for x in inputs)
            if joint is not None:
                inputs = (joint(*inputs),)
            part = function(network, *inputs)
            if results is None:
                results = _allocate((len(X), *part.shape[1:]), part)
            results[block].copy_(part, non_blocking=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return results.numpy()

    @property
    def _n_features_out(self):
        return self._n_clusters_out

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_n_clusters(n_clusters, n, rows):
    """Refuse another number of clusters than 1 to the `n` `rows` of the fit."""
    if not isinstance(n_clusters, int | np.integer) or not 1 <= n_clusters <= n:
        raise ValueError(
            f"n_clusters={n_clusters!r} is not an integer between 1 and the {n} {rows}."
        )


def _allocate(shape, part):
    """Return memory for the results, which blocks are copied to without waiting."""
    check_memory(
        int(np.prod(shape)) * part.itemsize,
        f"A result of shape {shape}",
        "Give X in parts, or as a dask array, of which results are computed by blocks.",
    )
    return torch.empty(shape, dtype=part.dtype, pin_memory=part.is_cuda)


def _logits(network, *inputs):
    return network.logits(*inputs)


def _head_inputs(network, *inputs):
    return network.head_inputs(*inputs)


def _features(network, *inputs):
    return network.features(*inputs)


def _probabilities(network, *inputs):
    return network.logits(*inputs).softmax(dim=1)


def _most_likely(network, *inputs):
    return network.logits(*inputs).argmax(dim=1)

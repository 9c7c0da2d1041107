"""The default clusterer: what was measured to work, in one recipe for all data."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..._compat import Interval, StrOptions
from ..._docs import documented
from ..._typing import Auto, Callbacks, Data, Device, Encoder, Int, RandomState, Words
from ...data.rows import UnitRows
from ...training import resolve_device
from ..base import (
    BaseDeepClusterer,
    _head_inputs,
    _most_likely,
    check_n_clusters,
)
from ..partition import draw_sample
from ..words import SEMANTIC_SPACE, find_words, join
from .network import VLNetwork
from .recipe import VLRecipe
from .rounds import Rounds


@documented()
class VLClustering(BaseDeepClusterer):
    """Clustering of images, with a number and names, where nothing has to be decided.

    Give it pictures, or the embeddings of some. It estimates how many groups there are,
    finds them, and names them by nouns. In short:

    1. Each image is joined with the mixture of nouns that it resembles, weighted by how
       far the nouns help, which is measured without labels.
    2. Graphs of nearest neighbors, on half-whitened axes of several numbers, are
       averaged and cut by spectral clustering.
    3. In three rounds, the axes that tell the clusters apart are found, and the graph
       of nearest neighbors on them is cut anew.
    4. A linear classifier of the clusters gives the labels, also those of new images.

    This is our own recipe, not a published one; it takes parts from MCA [1]_ (step 1)
    and CPP [2]_ (step 2). One default serves all data.

    Parameters: <auto_n_clusters>
    semantic_space : "auto", "wordnet", Vocabulary, SemanticSpace, list of str or None,\
 default="auto"
        The nouns. "wordnet" is all nouns of WordNet, and a vocabulary is filtered by a
        :class:`SemanticSpace`. If None, no words and no names. "auto" is "wordnet" for
        pictures, and for embeddings if `embedder` says what made them; otherwise None,
        with a warning.
    <auto_embedder>
    n_neighbors : int, default=32
        Largest number of nearest neighbors of an image in the graphs. Half of the mean
        size of a cluster, but at least 10, is the smallest.
    <device, checkpoint, callbacks, verbose, random_state>

    Attributes: <labels_, n_clusters_, k_candidates_, k_values_, k_scores_>
    <cluster_centers_, cluster_names_, name_scores_, name_confidences_>
    <semantic_space_, semantic_weight_>
    samples_ : ndarray of shape (n_rows, n_features), float32
        The embeddings that were clustered, unit rows: one of each group of copies, and
        a sample of them if there are many.
    network_ : torch.nn.Module
        The classifier, on the CPU.
    <image_paths_, embedder_, history_, n_iter_, n_features_in_, feature_names_in_>

    Warns
    -----
    UserWarning
        If `X` shows no clusters, if words cannot be had, or if the offline encoder
        takes CLIP's place.

    See Also
    --------
    MCAClustering : The published method with words.
    RateReductionClustering : The published method that learns features.

    Notes
    -----
    In `history_`, the ``"loss"`` of a round is the share of the samples that changed
    their cluster.

    Of more than 20,000 distinct rows, and more than 50 per cluster, a sample is
    clustered; the others get their clusters as new images do.

    Steps 2 to 4 are one method each of ``AveragedCuts`` in
    ``cluster/spectral/averaged_cuts.py``: ``start``, ``sharpen`` and ``classifier``.

    References: <qiu2024>
    .. [2] Chu, Tong, Ding et al., "Image clustering via the principle of rate reduction
       in the age of pretrained models", ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import VLClustering, Vocabulary
    >>> rng = np.random.default_rng(0)
    >>> directions = np.eye(3, 8)
    >>> X = np.repeat(directions, 20, axis=0) + 0.1 * rng.normal(size=(60, 8))
    >>> nouns = Vocabulary(["cat", "dog", "car"], embeddings=directions)
    >>> model = VLClustering(semantic_space=nouns, random_state=0).fit(X)
    >>> model.n_clusters_
    3
    >>> sorted(str(names[0]) for names in model.cluster_names_)
    ['car', 'cat', 'dog']
    """

    semantic_space_: Any  # a SemanticSpace, or None
    _parameter_constraints: dict = {
        **{
            name: constraint
            for name, constraint in BaseDeepClusterer._parameter_constraints.items()
            if name not in ("max_iter", "batch_size", "lr")
        },
        "semantic_space": [*SEMANTIC_SPACE, StrOptions({"auto"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: Int | Auto | None = "auto",
        *,
        semantic_space: Words | Auto | None = "auto",
        embedder: Encoder | None = "auto",
        n_neighbors: Int = 32,
        device: Device = "auto",
        checkpoint: str | Path | None = None,
        callbacks: Callbacks | None = None,
        verbose: Int = 0,
        random_state: RandomState = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.semantic_space = semantic_space
        self.embedder = embedder
        self.n_neighbors = n_neighbors
        self.device = device
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def set_n_clusters(self, n_clusters: Int, X: Data | None = None) -> Self:
        """Cluster the samples of the fit into another number, in place.

        The words stay as they are weighted. The parameter `n_clusters` does not change,
        everything that tells of the clusters does. Corrections are forgotten.

        Parameters
        ----------
        n_clusters : int
            Number of clusters, at most the number of rows of `samples_`.
        X : array-like of shape (n_samples, n_features), or images, default=None
            The samples of the fit. Needed only if the fit clustered a sample of them.

        Returns: <fitted>

        Raises
        ------
        ValueError
            If `n_clusters` is not an integer between 1 and the number of rows of
            `samples_`, or if `X` is needed and not given.
        """
        check_is_fitted(self)
        n = len(self.samples_)
        check_n_clusters(n_clusters, n, "rows of samples_")
        if X is None and self._is_sample:
            raise ValueError(
                f"The fit clustered {n} rows of {len(self.labels_)}: give all of them "
                "as X, so that they get labels."
            )
        samples = UnitRows(self.samples_, zero_rows=True)
        joint = self._infer(samples, _head_inputs, zero_rows=True)
        self._start(joint, int(n_clusters), np.random.RandomState(0)).run(self.network_)
        self.network_.eval().requires_grad_(False)
        rows, copies = samples, self._copies
        if X is not None:
            (X, zero_rows), copies = self._read(X, reset=False), None
            rows = self._rows(X, zero_rows)
        elif copies is not None:
            rows = samples.some(copies.group)
        self._deliver_clusters(
            lambda: self._infer(rows, _most_likely, True),
            rows,
            rows if copies is None else samples,
            copies,
            int(n_clusters),
        )
        self._locate_clusters(rows, self.cluster_centers_.dtype)
        self._describe(rows)
        return self

    def _prepare(self, rows, rng, generator, device):
        k = self._n_clusters
        sample = draw_sample(len(rows), k, rng)
        self._is_sample = not isinstance(sample, slice)
        rows = rows.some(sample) if self._is_sample else rows
        self.samples_ = rows[:]
        words = find_words(
            self._resolve_words(),
            rows,
            slice(None),
            k,
            rng,
            embedder=self.embedder_ or self.embedder,
            device=device,
        )
        self.semantic_space_, self.semantic_weight_ = words.space, words.weight
        joint, self._joint = join(words)
        return self._start(joint[:], k, rng), None

    def _start(self, joint, k, rng):
        """Return the rounds that cluster joint rows, and make the network for them."""
        self.network_ = VLNetwork(joint.shape[1], k)
        device = resolve_device(self.device)
        return Rounds(joint, self.samples_, k, self.n_neighbors, device, rng)

    def _rows_of_the_fit(self):
        if self._is_sample:
            return super()._rows_of_the_fit()
        samples = UnitRows(self.samples_, zero_rows=True)
        return samples if self._copies is None else samples.some(self._copies.group)

    def _count_epochs(self, n):
        return VLRecipe.in_use().n_rounds

    def _run_epochs(self, criterion, batches, **options):
        del options["device"]
        return criterion.run(self.network_, **options)

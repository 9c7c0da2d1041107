"""From the name of a method to a fitted estimator."""

import hashlib
import json
from pathlib import Path

from .._version import __version__
from ._options import Method

# `--method auto` keeps MCA if the nouns are trusted at least so far.
TRUSTED = 0.5


def choose_n_clusters(X, max_k, seed, terminal):
    """Return a fitted `CodingLengthKSelector` of at most `max_k` clusters."""
    from ..model_selection import CodingLengthKSelector

    with terminal.stage("Choosing the number of clusters"):
        k_range = None if max_k is None else (1, min(max_k, len(X)))
        return CodingLengthKSelector(k_range=k_range, random_state=seed).fit(X)


class Fitter:
    """Fits one method after another to the same embeddings.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_features)
        Embeddings.
    words : "wordnet", Vocabulary or None
        The nouns.
    embedder : embedder
        Embeds the nouns.
    seed : int
        Seed of the fits.
    device : str
        Where they run.
    checkpoints : Path
        Folder where the state of a fit is kept until the run is complete.
    terminal : Terminal
        Shows the bars.
    """

    def __init__(self, X, *, words, embedder, seed, device, checkpoints, terminal):
        self.X = X
        self.words = words
        self.embedder = embedder
        self.seed = seed
        self.device = device
        self.checkpoints = checkpoints
        self.terminal = terminal

    def fit(self, method, k):
        """Return the fitted estimator and the method that it is of.

        Parameters
        ----------
        method : Method
            "auto" is MCA where the nouns help to find the clusters, by its
            `semantic_weight_`, and rate reduction otherwise.
        k : int or None
            Number of clusters; None lets rate reduction choose.

        Returns
        -------
        estimator : clusterer
        method : Method
            Never "auto".
        """
        if method is not Method.auto:
            return self._fit(method, k), method
        if self.words is not None:
            mca = self._fit(Method.mca, k, [_StopWithoutWords()])
            if mca.semantic_weight_ >= TRUSTED:
                return mca, Method.mca
        return self._fit(Method.rate_reduction, k), Method.rate_reduction

    def _fit(self, method, k, callbacks=()):
        estimator = self._make(method, k)
        with self.terminal.stage(f"Clustering by {method}") as advance:
            progress = _Epochs(len(self.X), advance)
            estimator.set_params(
                checkpoint=self._checkpoint(method, k),
                callbacks=[progress, *callbacks],
            ).fit(self.X)
        # A model that is moved shall not look for files of this run.
        return estimator.set_params(checkpoint=None, callbacks=None)

    def _make(self, method, k):
        from .. import cluster

        common = {"random_state": self.seed, "device": self.device}
        if method is Method.mca:
            return cluster.MCAClustering(
                k, semantic_space=self.words, embedder=self.embedder, **common
            )
        if method is Method.rate_reduction:
            return cluster.RateReductionClustering(k, embedder=self.embedder, **common)
        if method is Method.contrastive_masked:
            return cluster.ContrastiveMaskedClustering(k, **common)
        return cluster.GenerativeCalibrationClustering(k, **common)

    def _checkpoint(self, method, k):
        """Return a file that only a fit of the same data and settings finds."""
        words = self.words if self.words in (None, "wordnet") else list(self.words)
        settings = [__version__, str(method), k, self.seed, words]
        digest = hashlib.blake2b(json.dumps(settings).encode(), digest_size=8)
        digest.update(self.X)
        return Path(self.checkpoints) / f"fit-{digest.hexdigest()}.safetensors"


class _Epochs:
    """Moves a bar on after every epoch."""

    def __init__(self, n, advance):
        self._n, self._advance = n, advance

    def on_epoch_end(self, estimator, epoch, losses):
        self._advance(epoch, total=estimator._count_epochs(self._n))


class _StopWithoutWords:
    """Ends the training of MCA where the nouns do not cover the images."""

    def on_epoch_end(self, estimator, epoch, losses):
        return bool(estimator.semantic_weight_ < TRUSTED)

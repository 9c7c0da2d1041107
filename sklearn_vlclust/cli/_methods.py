"""From the name of a method to a fitted estimator."""

import hashlib
import json
from pathlib import Path

from .._version import __version__


def choose_n_clusters(X, max_k, seed, terminal):
    """Return a fitted `CodingLengthKSelector` of at most `max_k` clusters."""
    from ..model_selection import CodingLengthKSelector

    with terminal.stage("Choosing the number of clusters"):
        k_range = (1, min(max_k, len(X)))
        return CodingLengthKSelector(k_range=k_range, random_state=seed).fit(X)


class Fitter:
    """Fits a method to embeddings.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_features)
        Embeddings.
    words : "wordnet", Vocabulary or None
        The nouns.
    embedder : embedder
        Embeds the nouns.
    seed : int
        Seed of the fit.
    device : str
        Where it runs.
    checkpoints : Path
        Folder where the state of a fit is kept until the run is complete.
    terminal : Terminal
        Shows the bar.
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
        """Return the fitted estimator.

        Parameters
        ----------
        method : Method
            Names its class.
        k : int or "auto"
            Number of clusters; "auto" lets the estimator choose.

        Returns
        -------
        estimator : clusterer
        """
        estimator = self._make(method, k)
        with self.terminal.stage(f"Clustering by {method}") as advance:
            progress = _Epochs(len(self.X), advance)
            estimator.set_params(
                checkpoint=self._checkpoint(method, k), callbacks=[progress]
            ).fit(self.X)
        # A model that is moved shall not look for files of this run.
        return estimator.set_params(checkpoint=None, callbacks=None)

    def _make(self, method, k):
        from .. import cluster
        from ..semantics import SemanticSpace

        made = getattr(cluster, method.estimator)
        params = {"random_state": self.seed, "device": self.device}
        if "embedder" in made().get_params():
            params |= {"semantic_space": self.words, "embedder": self.embedder}
        elif self.words is not None:
            space = SemanticSpace(self.words, embedder=self.embedder)
            params["semantic_space"] = space
        return made(k, **params)

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

"""From ``--method`` to a fitted estimator."""

import hashlib
import json
from typing import Any

from .._version import __version__
from ._options import METHODS


def choose_n_clusters(X, max_k, seed, terminal):
    """Return a fitted `CodingLengthKSelector` of at most `max_k` clusters."""
    from ..model_selection import CodingLengthKSelector

    with terminal.stage("Choosing the number of clusters"):
        k_range = (1, min(max_k, len(X)))
        return CodingLengthKSelector(k_range=k_range, random_state=seed).fit(X)


def fit_method(request, k, X, words, encoder, folder, terminal):
    """Fit the method of a run.

    Parameters
    ----------
    request : Request
        Says which method, its seed and its device.
    k : int or "auto"
        Number of clusters; "auto" lets the estimator choose.
    X : ndarray of shape (n_images, n_features)
        Embeddings of the images.
    words : "wordnet", Vocabulary or None
        The nouns.
    encoder : embedder
        Embeds the nouns.
    folder : Path
        Holds the checkpoint of the fit until the run is complete.
    terminal : Terminal
        Shows a progress bar.

    Returns
    -------
    estimator : clusterer
        Fitted.
    """
    estimator = _make_estimator(request, k, words, encoder)
    # Only a fit with the same data and settings finds the checkpoint.
    nouns: Any = words
    if words not in (None, "wordnet"):
        nouns = [list(words), list(words.synsets), words.synonyms]
    settings = [__version__, request.method, k, request.seed, nouns]
    digest = hashlib.blake2b(json.dumps(settings).encode(), digest_size=8)
    digest.update(X)
    checkpoint = folder / f"fit-{digest.hexdigest()}.safetensors"
    with terminal.stage(f"Clustering by {request.method}") as advance:
        estimator.set_params(checkpoint=checkpoint, callbacks=[_Epochs(advance)]).fit(X)
    # A saved model must not depend on files of this run.
    return estimator.set_params(checkpoint=None, callbacks=None)


def refit(model, k, terminal):
    """Cluster the images of a model into `k` clusters (None: the estimate), in place.

    `VLClustering` cuts its graph anew; other methods are trained again.
    """
    from ._model import names_of

    estimator, X = model.estimator, model.embeddings
    if k is None:
        candidates = getattr(model.selector or estimator, "k_candidates_", None)
        k = int(candidates[0][0]) if candidates else "auto"
    if k == estimator.n_clusters_:
        return
    if k != "auto" and hasattr(estimator, "set_n_clusters"):
        with terminal.stage("Cutting the graph anew"):
            everything = len(estimator.samples_) != len(X)
            estimator.set_n_clusters(k, X if everything else None)
    else:
        with terminal.stage(f"Clustering by {model.method}") as advance:
            estimator.set_params(n_clusters=k, callbacks=[_Epochs(advance)]).fit(X)
        estimator.set_params(callbacks=None)
    model.names = names_of(estimator)


def _make_estimator(request, k, words, encoder):
    from .. import cluster

    estimator = getattr(cluster, METHODS[request.method])(
        k, random_state=request.seed, device=request.device
    )
    return estimator.set_params(semantic_space=words, embedder=encoder)


class _Epochs:
    """A callback that moves a progress bar after every epoch."""

    def __init__(self, advance):
        self._advance = advance

    def on_fit_begin(self, estimator, n_epochs):
        self._n_epochs = n_epochs

    def on_epoch_end(self, estimator, epoch, losses):
        self._advance(epoch, self._n_epochs)

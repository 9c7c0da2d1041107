"""From what the user calls an encoder to an embedder."""

import os
from pathlib import Path

from ._errors import USAGE, CommandError

HELP = (
    "offline; MODEL/WEIGHTS of open_clip, as ViT-B-32/openai (downloaded once) or "
    "ViT-B-32/FILE; or a folder with open_clip_config.json and weights."
)


def resolve_encoder(spec):
    """Return `spec` with paths made absolute, so that it holds in any folder.

    Parameters
    ----------
    spec : str
        As the user gave it.

    Returns
    -------
    spec : str
        What `make_encoder` takes.

    Raises
    ------
    CommandError
        If it is a path to nothing.
    """
    if spec == "offline" or spec.startswith("hf-hub:"):
        return spec
    path = os.path.expanduser(spec)
    if os.path.isdir(path):
        return os.path.abspath(path)
    model, _, weights = spec.partition("/")
    if not model or model in (".", "..", "~"):
        raise CommandError(
            f"--encoder {spec!r}: there is no such folder. Expected: {HELP}", USAGE
        )
    file = os.path.expanduser(weights)
    return f"{model}/{os.path.abspath(file)}" if os.path.isfile(file) else spec


def make_encoder(spec, *, device="auto", batch_size=None, cache=None):
    """Return the embedder that a resolved `spec` stands for.

    Parameters
    ----------
    spec : str
        What `resolve_encoder` returned.
    device : str, default="auto"
        Where it runs.
    batch_size : int, default=None
        Images per forward pass. If None, the embedder's default.
    cache : Path, default=None
        Folder of embeddings.

    Returns
    -------
    embedder : OfflineEmbedder or CLIPEmbedder
        It leaves out images that cannot be read.
    """
    from ..embedding import CLIPEmbedder, OfflineEmbedder

    settings = {"device": device, "on_error": "skip"}
    if batch_size is not None:
        settings["batch_size"] = batch_size
    if cache is not None:
        settings["cache"] = str(cache)
    if spec == "offline":
        return OfflineEmbedder(**settings)
    if spec.startswith("hf-hub:") or Path(spec).is_dir():
        return CLIPEmbedder(spec, **settings)
    model, _, weights = spec.partition("/")
    return CLIPEmbedder(model, weights or "openai", **settings)


def embed(embedder, paths, terminal):
    """Embed images, with a progress bar.

    Parameters
    ----------
    embedder : embedder
        Of `make_encoder`.
    paths : sequence of str
        The images.
    terminal : Terminal
        Shows the bar.

    Returns
    -------
    X : ndarray of shape (n_kept, n_features)
        Embeddings of the images that can be read.
    kept : ndarray of shape (n_kept,)
        Their places in `paths`.
    errors : list of dict
        ``path`` and ``reason`` of the others.
    """
    n = len(paths)
    with terminal.stage(f"Embedding {n:,} images", n) as advance:
        # Images are asked for ahead of the forward pass.
        behind = 2 * embedder.batch_size
        images = _Watched(paths, lambda i: advance(max(0, i - behind)))
        X = embedder.transform(images)
    errors = [{"path": path, "reason": reason} for path, reason in embedder.errors_]
    return X, embedder.kept_, errors


class _Watched(list):
    """A list that tells of each item that is asked for by its place."""

    def __init__(self, items, asked):
        super().__init__(items)
        self._asked = asked

    def __getitem__(self, i):
        self._asked(i)
        return super().__getitem__(i)

"""From ``--encoder`` to an embedder, and from images to embeddings."""

import os
from pathlib import Path

from .._backend._progress import report_progress
from .._backend._text import counted
from .._exports import ENCODERS
from ._errors import USAGE, CommandError

AUTO, CLIP = "auto", "ViT-B-32/openai"
HELP = (
    "auto: CLIP if its weights are here or can be downloaded, else offline; offline: a "
    "small encoder that is installed; MODEL/WEIGHTS of open_clip, as ViT-B-32/openai "
    "or ViT-B-32/FILE; or a folder with open_clip_config.json and weights."
)


def default_cache():
    """Return the folder of embeddings that all runs of a user share."""
    from ..datasets import get_data_home

    return os.environ.get("VLCLUST_CACHE") or get_data_home() / "embeddings"


def choose_encoder(spec, terminal):
    """Return `spec`, or what "auto" stands for on this machine, which is told."""
    if spec != AUTO:
        return resolve_encoder(spec)
    from ..embedding._resolve import clip_can_be_had

    if clip_can_be_had():
        terminal.remark(f"Encoder: CLIP (--encoder {CLIP})")
        return CLIP
    terminal.remark(
        "Encoder: offline, as CLIP's weights are not here and cannot be downloaded"
    )
    return "offline"


def resolve_encoder(spec):
    """Return what ``--encoder`` says with absolute paths, so that it fits any folder.

    Raises
    ------
    CommandError
        If it is a path to nothing.
    """
    if spec in (AUTO, *ENCODERS) or spec.startswith("hf-hub:"):
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
    """Return the embedder of a resolved `spec`; it skips images that it cannot read.

    If `batch_size` is None, the embedder has its default. `cache` is a folder, or
    None for no cache.
    """
    from .. import embedding

    if spec in ENCODERS:
        encoder = getattr(embedding, ENCODERS[spec])()
    elif spec.startswith("hf-hub:") or Path(spec).is_dir():
        encoder = embedding.CLIPEmbedder(spec)
    else:
        model, _, weights = spec.partition("/")
        encoder = embedding.CLIPEmbedder(model, weights or "openai")
    if batch_size is not None:
        encoder.set_params(batch_size=batch_size)
    cache = None if cache is None else str(cache)
    return encoder.set_params(device=device, cache=cache, on_error="skip")


def embed(embedder, paths, terminal):
    """Embed images, with a progress bar.

    Returns
    -------
    X : ndarray of shape (n_kept, n_features)
        Embeddings of the images that can be read.
    kept : ndarray of shape (n_kept,)
        Their positions in `paths`.
    errors : list of dict
        ``path`` and ``reason`` for each of the others.
    """
    n = len(paths)
    with (
        terminal.stage(f"Embedding {counted(n, 'image')}", n) as advance,
        report_progress(advance),
    ):
        X = embedder.transform(paths)
    errors = [{"path": path, "reason": reason} for path, reason in embedder.errors_]
    return X, embedder.kept_, errors

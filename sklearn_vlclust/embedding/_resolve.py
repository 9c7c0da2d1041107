"""From the parameter `embedder` of an estimator to an encoder."""

import os
import threading
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from sklearn.base import clone

from .._exports import ENCODERS
from ..data.distributed import gather, is_dask

# The weights of CLIP that "auto" looks for: the defaults of CLIPEmbedder.
CLIP = "ViT-B-32", "openai"
# Seconds that the hub of models may take to answer.
HUB_SECONDS = 2


def make_embedder(embedder, verbose=0):
    """Return the encoder that an estimator's parameter `embedder` stands for.

    An instance is cloned, so that the user's own is left as it is. `verbose` is for an
    encoder that is made here.
    """
    if isinstance(embedder, str) and embedder == "auto":
        embedder = _choose_encoder()
    from .. import embedding

    if embedder is None:
        return embedding.CLIPEmbedder(verbose=verbose)
    if isinstance(embedder, str):
        return getattr(embedding, ENCODERS[embedder])(verbose=verbose)
    return clone(embedder)


def _choose_encoder():
    """Return None for CLIP if its weights can be had, else "offline"."""
    if clip_can_be_had():
        return None
    warnings.warn(
        "CLIP's weights are not on this machine and their hub cannot be reached: "
        "pictures are embedded by OfflineEmbedder, which knows the 1,000 classes of "
        "ImageNet. For CLIP, connect this machine once; embedder='offline' is the same "
        "without this warning.",
        UserWarning,
        stacklevel=2,
    )
    return "offline"


def clip_can_be_had():
    """Whether CLIP's weights are on this machine, or their hub answers."""
    return bool(find_clip_weights()) or _hub_answers()


def find_clip_weights():
    """Return where the weights of `CLIP` are on this machine; "" if they are not."""
    import huggingface_hub
    import open_clip

    config = open_clip.get_pretrained_cfg(*CLIP)
    repository = config.get("hf_hub", "").rstrip("/")
    names = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    for file in names if repository else ():
        path = huggingface_hub.try_to_load_from_cache(repository, file)
        if isinstance(path, str):
            return path
    # Where open_clip puts files that are on no hub.
    url = config.get("url", "")
    path = Path("~/.cache/clip").expanduser() / os.path.basename(url)
    return str(path) if url and path.is_file() else ""


def _hub_answers():
    """Whether the hub of models takes a connection, in `HUB_SECONDS`."""
    import socket

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    hub = urlsplit(constants.ENDPOINT)
    port = hub.port or (443 if hub.scheme == "https" else 80)
    answered = threading.Event()

    def connect():
        try:
            socket.create_connection((hub.hostname, port), HUB_SECONDS).close()
        except OSError:
            return
        answered.set()

    # In a thread: looking up a name knows no time limit.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return answered.is_set()


def embed_images(embedder, images):
    """Embed images; a dask collection is embedded by its workers, if the encoder can.

    Encoders of this library can. Others get the images as a list or an array.
    """
    if is_dask(images) and not hasattr(embedder, "_to_workers"):
        images = gather(images)
    rows = embedder.transform(images)
    # Not the data frame that `set_output` may ask for: its columns mean nothing here.
    return np.asarray(rows) if hasattr(rows, "columns") else rows

"""CLIP and similar models, loaded by open_clip."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

from .._compat import StrOptions
from .._docs import documented
from .._typing import Bool, Device, Int, StrPath
from ..data.decoding import LIMITS
from ._base import BaseEmbedder


@documented()
class CLIPEmbedder(BaseEmbedder):
    """Images and words in the space of a CLIP model.

    A stateless transformer around open_clip: there is nothing to fit, and the
    weights are loaded when the first image or text is encoded.

    Parameters
    ----------
    model : str, default="ViT-B-32"
        A model name that `open_clip.list_models()` lists, `"hf-hub:ORG/NAME"`, or a
        local folder with `open_clip_config.json` and the weights.
    pretrained : str or path, default="openai"
        A tag of weights that `open_clip.list_pretrained_tags_by_model(model)` lists
        (downloaded once by open_clip), or a file of weights. Not used where `model`
        is a folder or on the hub, which bring their weights. Files of OpenAI's
        weights need the model of the name that ends in `-quickgelu`; tags choose the
        activation by themselves.
    <batch_size, device>
    precision : {"auto", "fp32", "fp16", "bf16"}, default="auto"
        Of weights and forward pass. "auto" is fp32 on a CPU, bf16 on CUDA, or fp16 if
        the GPU has no bf16. Rows are float32 in any case.
    <cache, n_jobs, on_error, verbose>
    compile : bool, default=False
        Whether torch compiles the image encoder, at the first batch and again at the
        first of another size, which takes a while: for many images on a GPU.
    <max_pixels, max_bytes>

    Attributes: <errors_, kept_>

    See Also
    --------
    OfflineEmbedder : Needs no download, all weights come from the package index.

    References
    ----------
    Radford et al., Learning Transferable Visual Models From Natural Language
    Supervision, ICML 2021.

    Examples
    --------
    >>> from sklearn_vlclust.datasets import list_images
    >>> from sklearn_vlclust.embedding import CLIPEmbedder
    >>> embedder = CLIPEmbedder(cache="embeddings", on_error="skip")
    >>> X = embedder.transform(list_images("photos"))  # doctest: +SKIP
    >>> words = embedder.encode_texts(["a photo of a dog"])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **BaseEmbedder._parameter_constraints,
        "model": [str, os.PathLike],
        "pretrained": [str, os.PathLike],
        "precision": [StrOptions({"auto", "fp32", "fp16", "bf16"})],
        "compile": ["boolean"],
    }
    _network_params = ("model", "pretrained", "device", "precision", "compile")

    def __init__(
        self,
        model: StrPath = "ViT-B-32",
        pretrained: StrPath = "openai",
        batch_size: Int = 64,
        device: Device = "auto",
        precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto",
        cache: StrPath | None = None,
        n_jobs: Int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verbose: Int = 0,
        compile: Bool = False,
        max_pixels: Int = LIMITS.pixels,
        max_bytes: Int = LIMITS.bytes,
    ) -> None:
        self.model = model
        self.pretrained = pretrained
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.verbose = verbose
        self.compile = compile
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes

    @property
    def encoder_id(self) -> str:
        """Model, weights, preprocessing and precision, as one string."""
        source = self._source()
        _, precision = self._device_and_precision()
        weights = source.tag or [_file_hash(*stamp) for stamp in source.stamps]
        settings = [source.config, source.tag_config, weights]
        text = json.dumps(settings, sort_keys=True, default=str)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        name = Path(source.name).name
        return "/".join(
            ["open_clip", name, source.tag or source.weights, precision, digest]
        )

    @property
    def _n_features_out(self) -> int:
        return self._source().config["embed_dim"]

    def _network_key(self):
        return (*super()._network_key(), self._source().stamps)

    def _device_and_precision(self) -> tuple[torch.device, str]:
        from ..training import resolve_device

        device = resolve_device(self.device)
        if self.precision != "auto":
            return device, self.precision
        if device.type != "cuda":
            return device, "fp32"
        # Old GPUs emulate bf16 in float32, which is no faster.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return device, "bf16" if native else "fp16"

    def _load(self):
        import open_clip

        source = self._source()
        device, precision = self._device_and_precision()
        weights = _tag_weights(source) if source.tag else source.weights
        tag_config = source.tag_config
        preprocessing = {
            f"image_{key}": tag_config.get(key)
            for key in ("mean", "std", "interpolation", "resize_mode")
        }
        try:
            # The global generator is the user's: open_clip draws initial weights.
            with torch.random.fork_rng(devices=[]):
                model, preprocess = open_clip.create_model_from_pretrained(
                    source.name,
                    weights or None,
                    device=device,
                    precision=precision,
                    # OpenAI's weights were trained with another activation than the
                    # model of the same name has; open_clip only warns.
                    force_quick_gelu=bool(tag_config.get("quick_gelu")),
                    **preprocessing,
                )
            tokenizer = open_clip.get_tokenizer(source.name)
        except Exception as error:  # unpickling, JSON, shapes: all kinds
            raise ValueError(
                f"CLIPEmbedder(model={self.model!r}, pretrained={self.pretrained!r}) "
                f"cannot be loaded: {_first_line(error)}. The weights must be a whole "
                "checkpoint of this very model."
            ) from error
        model.eval().requires_grad_(False)
        if self.compile:
            model.visual.compile()
        dtype = open_clip.get_input_dtype(precision) or torch.float32
        return _Network(model, preprocess, tokenizer, device, dtype)

    @torch.inference_mode()
    def _encode_image_batch(self, batch):
        from .._backend._device import to_device

        network = self._network
        images = to_device(batch, network.device).to(network.dtype)
        return network.model.encode_image(images)

    @torch.inference_mode()
    def _encode_text_batch(self, texts):
        from .._backend._device import to_device

        network = self._network
        tokens = to_device(network.tokenizer(texts), network.device)
        return network.model.encode_text(tokens)

    def _preprocess(self, image):
        return self._network.preprocess(image)

    def _source(self):
        """Find out what `model` and `pretrained` name, without loading weights."""
        model = os.fspath(self.model)
        folder = model.removeprefix("local-dir:")
        if model.startswith("local-dir:") or os.path.isdir(model):
            return _folder_source(folder)
        if model.startswith("hf-hub:"):
            return _hub_source(model)
        return _named_source(model, os.fspath(self.pretrained))


@dataclass(eq=False)
class _Network:
    model: Any
    preprocess: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype


@dataclass
class _Source:
    """Where a model comes from.

    `name` and `tag` are in open_clip's terms, `weights` is a file, and `stamps` are
    (path, size, time) of the local files, which show when they change.
    """

    name: str
    config: dict
    tag: str = ""
    tag_config: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    stamps: tuple = ()


def _folder_source(folder: str) -> _Source:
    path = Path(folder)
    file = path / "open_clip_config.json"
    if not path.is_dir():
        raise FileNotFoundError(f"model={folder!r}: the folder does not exist.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))["model_cfg"]
        config["embed_dim"]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"model={folder!r}: the folder has no open_clip_config.json."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"model={folder!r}: {file.name} is damaged or has no model_cfg with "
            f"embed_dim ({type(error).__name__}: {error})."
        ) from error
    if not any(f.suffix in {".safetensors", ".bin", ".pth"} for f in path.iterdir()):
        raise FileNotFoundError(
            f"model={folder!r}: the folder has no weights (a file that ends in "
            ".safetensors, .bin or .pth)."
        )
    files = sorted(f for f in path.iterdir() if f.is_file())
    stamps = tuple(_stamp(f) for f in files)
    return _Source(f"local-dir:{folder}", config, stamps=stamps)


def _hub_source(model: str) -> _Source:
    import open_clip

    try:
        _reach_hub(model.removeprefix("hf-hub:"), ["open_clip_config.json"])
        config = open_clip.get_model_config(model)
    except Exception as error:
        raise OSError(
            f"model={model!r} is not on this machine and cannot be downloaded "
            f"({_first_line(error)}). Download the repository elsewhere and pass its "
            "folder as model=PATH, or do without a download: embedder='offline'."
        ) from error
    return _Source(model, config)


def _named_source(model: str, pretrained: str) -> _Source:
    import open_clip

    name = model.replace("/", "-")
    config = open_clip.get_model_config(name)
    if config is None:
        if os.sep in model:
            raise FileNotFoundError(f"model={model!r}: the folder does not exist.")
        names = open_clip.list_models()
        close = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        raise ValueError(
            f"model={model!r} is not known to open_clip. "
            + (f"Did you mean {', '.join(map(repr, close))}? " if close else "")
            + "open_clip.list_models() has all names; a local folder with "
            "open_clip_config.json and weights will do as well."
        )
    if tag_config := open_clip.get_pretrained_cfg(name, pretrained):
        return _Source(name, config, tag=pretrained, tag_config=tag_config)
    if os.path.isfile(pretrained):
        stamps = (_stamp(pretrained),)
        return _Source(name, config, weights=pretrained, stamps=stamps)
    looks_like_path = os.sep in pretrained or Path(pretrained).suffix
    if looks_like_path or os.path.exists(pretrained):
        reason = "is a folder" if os.path.isdir(pretrained) else "does not exist"
        raise FileNotFoundError(
            f"pretrained={pretrained!r} {reason}; expected a file of weights or a tag."
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    raise ValueError(
        f"pretrained={pretrained!r} is no tag of weights for {name!r}: there "
        f"are {', '.join(map(repr, tags)) or 'none'}. A path to a file of weights will "
        "do as well."
    )


def _tag_weights(source: _Source) -> str:
    """Return the file of weights that a tag stands for, downloaded where needed."""
    import open_clip

    repository, file = os.path.split(source.tag_config["hf_hub"])
    files = [file] if file else []
    files += ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    try:
        if repository and (path := _reach_hub(repository, files)):
            return path
        return open_clip.download_pretrained(source.tag_config)
    except Exception as error:  # of huggingface_hub, urllib, the disk, ...
        name = source.name
        if source.tag_config.get("quick_gelu") and (
            f"{name}-quickgelu" in open_clip.list_models()
        ):
            name += "-quickgelu"
        raise OSError(
            f"The weights {source.tag!r} of {source.name!r} are not on this machine "
            f"and cannot be downloaded ({_first_line(error)}). Download them elsewhere "
            f"({repository or source.tag_config['url']}) and use "
            f"CLIPEmbedder(model={name!r}, pretrained=PATH), or do without a download: "
            "embedder='offline'."
        ) from error


def _reach_hub(repository: str, files: list[str]) -> str | None:
    """Return the first of `files` on this machine, or None if the hub answers.

    Without this, huggingface_hub tries an unreachable hub again and again for a
    minute and more, even for files that it has.
    """
    import huggingface_hub as hub

    for file in files:
        path = hub.try_to_load_from_cache(repository, file)
        if isinstance(path, str):
            return path
    hub.get_session().head(hub.constants.ENDPOINT, timeout=10)
    return None


def _stamp(path) -> tuple[str, int, int]:
    status = os.stat(path)
    return os.path.abspath(path), status.st_size, status.st_mtime_ns


@lru_cache(maxsize=64)
def _file_hash(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".:")

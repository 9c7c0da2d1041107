"""Image encoders that are torch modules: any, and any of timm."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from torch import nn

from .._compat import StrOptions
from .._docs import documented
from .._typing import Device, Int, StrPath
from ..data.decoding import LIMITS
from ._base import BaseImageEmbedder
from ._clip import _first_line, _reach_hub, _stamp

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Width and height of the pictures that a preprocessing is told apart by.
_PROBES = (320, 240), (150, 400)
_HUB_FILES = ["model.safetensors", "pytorch_model.bin"]
_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth"}
# Where checkpoints of training keep the weights.
_WRAPPINGS = "state_dict", "model", "state_dict_ema"


class ModuleEmbedder(BaseImageEmbedder):
    """Template of an encoder of images by a torch module.

    A subclass supplies `_load_module()` -> module and preprocessing, and `_name`.

    What both have:

    Parameters
    ----------
    precision : {"fp32", "fp16", "bf16"}, default="fp32"
        Of weights and forward pass. Rows are float32 in any case.
    """

    _parameter_constraints: dict = {
        **BaseImageEmbedder._parameter_constraints,
        "precision": [StrOptions(set(_DTYPES))],
    }
    precision: str

    @property
    def encoder_id(self) -> str:
        """Name, precision, and a digest of weights and preprocessing, as one string."""
        return "/".join([self._name, self.precision, self._network.digest])

    @property
    def _n_features_out(self) -> int:
        return self._network.width

    def _load(self):
        from ..training import resolve_device

        module, preprocess = self._load_module()
        module.eval().requires_grad_(False)
        probes = _probe(preprocess, type(self).__name__)
        content = [_weights_digest(module), repr(module)]
        content += [_bytes_digest(probe) for probe in probes]
        digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=8)
        network = _Network(
            module.to(device := resolve_device(self.device), _DTYPES[self.precision]),
            preprocess,
            device,
            _DTYPES[self.precision],
            digest.hexdigest(),
        )
        network.width = network(probes[0][None]).shape[1]
        return network

    def _preprocess(self, image):
        return _as_tensor(self._network.preprocess(image))

    def _encode_image_batch(self, batch):
        return self._network(batch)


@dataclass(eq=False)
class _Network:
    module: nn.Module
    preprocess: Callable
    device: torch.device
    dtype: torch.dtype
    digest: str
    width: int = 0

    @torch.inference_mode()
    def __call__(self, batch):
        from .._backend._device import to_device

        rows = self.module(to_device(batch, self.device).to(self.dtype))
        if not isinstance(rows, torch.Tensor) or rows.shape[:-1] != batch.shape[:1]:
            given = f"a {type(rows).__name__}"
            if isinstance(rows, torch.Tensor):
                given += f" of shape {tuple(rows.shape)}"
            raise ValueError(
                f"The module gave {given} for {len(batch)} image(s); expected a tensor "
                "of shape (n_images, n_features): pool the positions, or take the "
                "output that is pooled."
            )
        return rows


@documented(ModuleEmbedder)
class TimmEmbedder(ModuleEmbedder):
    """Images in the space of a model of timm: DINOv2, DINOv3, MAE, ConvNeXt, ...

    A stateless transformer: there is nothing to fit, and the weights are loaded when
    the first image is encoded. Rows are the pooled features before the classifier, and
    images are prepared as the model's own configuration says. It knows no words:
    clusters get no names.

    Parameters
    ----------
    model : str or path, default="vit_small_patch14_dinov2.lvd142m"
        A name that `timm.list_pretrained()` lists, `"hf-hub:ORG/NAME"`, or a local
        folder as `timm.models.save_for_hf` writes it: `config.json` and the weights.
    weights : path or None, default=None
        A file of weights for the model of that name (safetensors, or a torch
        checkpoint of tensors). If None, those that belong to the name, downloaded
        once, or of the folder.
    <batch_size, device>
    <precision>
    <cache, n_jobs, on_error, verbose, max_pixels, max_bytes>

    Attributes: <errors_, kept_>

    See Also
    --------
    TorchEmbedder : Any other module.
    CLIPEmbedder : Knows words.

    References
    ----------
    Wightman, PyTorch Image Models, 2019, https://github.com/huggingface/pytorch-image-models.

    Examples
    --------
    >>> from sklearn_vlclust import TimmEmbedder
    >>> from sklearn_vlclust.datasets import list_images
    >>> embedder = TimmEmbedder("convnext_tiny.fb_in22k", cache="embeddings")
    >>> X = embedder.transform(list_images("photos"))  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **ModuleEmbedder._parameter_constraints,
        "model": [str, os.PathLike],
        "weights": [str, os.PathLike, None],
    }

    def __init__(
        self,
        model: StrPath = "vit_small_patch14_dinov2.lvd142m",
        weights: StrPath | None = None,
        batch_size: Int = 64,
        device: Device = "auto",
        precision: Literal["fp32", "fp16", "bf16"] = "fp32",
        cache: StrPath | None = None,
        n_jobs: Int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verbose: Int = 0,
        max_pixels: Int = LIMITS.pixels,
        max_bytes: Int = LIMITS.bytes,
    ) -> None:
        self.model = model
        self.weights = weights
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.verbose = verbose
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes

    @property
    def _name(self):
        return f"timm/{Path(self.model).name}"

    _network_params = ("model", "weights", "device", "precision")

    def _network_key(self):
        return (*super()._network_key(), tuple(map(_stamp, self._files())))

    def _files(self):
        """Return the local files that the network is made of."""
        model = os.fspath(self.model)
        files = [] if self.weights is None else [Path(self.weights)]
        if os.path.isdir(model):
            config = Path(model) / "config.json"
            held = [f for f in sorted(Path(model).iterdir()) if f.suffix in _SUFFIXES]
            if not config.is_file() or not (held or files):
                missing = "no weights" if config.is_file() else "no config.json"
                raise FileNotFoundError(
                    f"model={model!r}: the folder has {missing}; expected what "
                    "timm.models.save_for_hf(model, folder) writes."
                )
            files = [*(files or held[-1:]), config]
        elif os.sep in model and not model.startswith(("hf-hub:", "hf_hub:")):
            raise FileNotFoundError(f"model={model!r}: the folder does not exist.")
        if self.weights is not None and not files[0].is_file():
            raise FileNotFoundError(
                f"weights={self.weights!r} is no file; expected a file of weights, or "
                "None for those that belong to the model."
            )
        return files

    @property
    def _n_features_out(self) -> int:
        # Without weights: to look at an embedder in a notebook asks for it.
        import timm

        name, options, files = os.fspath(self.model), {}, self._files()
        if files[1:]:
            name, options = _read_config(files[1])
        if "_held_network" in vars(self) or not timm.is_model(name):
            return self._network.width
        with torch.device("meta"), torch.inference_mode():
            module = timm.create_model(name, num_classes=0, **options).eval()
            size = timm.data.resolve_model_data_config(module)["input_size"]
            return module(torch.empty(1, *size)).shape[1]

    def _load_module(self):
        import timm

        files, name = self._files(), os.fspath(self.model)
        options: dict[str, Any] = {}
        if files[1:]:
            name, options = _read_config(files[1])
        if files:
            options["pretrained_cfg_overlay"] = {"state_dict": _read_weights(files[0])}
        else:
            self._reach_weights(name)
        if not name.startswith(("hf-hub:", "hf_hub:")) and not timm.is_model(name):
            names = timm.list_pretrained() + timm.list_models()
            close = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
            raise ValueError(
                f"model={name!r} is not known to timm. "
                + (f"Did you mean {', '.join(map(repr, close))}? " if close else "")
                + "timm.list_pretrained() has all names; a local folder with "
                "config.json and weights will do as well."
            )

        def create(seed):
            # The global generator is the user's: timm draws initial weights.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return timm.create_model(
                    name, pretrained=True, num_classes=0, **options
                )

        try:
            module = create(0)
            # timm leaves what the file lacks as it was drawn, without a word.
            drawn = _differing(module, create(1)) if files else []
        except Exception as error:  # of shapes, of the hub, ...: all kinds
            raise ValueError(
                f"TimmEmbedder(model={self.model!r}, weights={self.weights!r}) cannot "
                f"be loaded: {_first_line(error)}. The weights must be those of this "
                "very model."
            ) from error
        if drawn:
            raise ValueError(
                f"{os.fspath(files[0])!r} lacks {len(drawn)} of the tensors of {name!r}"
                f", such as {drawn[0]!r}: the weights must be those of this very model."
            )
        config = timm.data.resolve_model_data_config(module)
        return module, timm.data.create_transform(**config, is_training=False)

    def _reach_weights(self, name):
        """Raise an OSError at once if weights of the hub cannot be had."""
        import timm

        repository = name.partition(":")[2]
        if not repository:
            config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
            repository = getattr(config, "hf_hub_id", None)
        if not repository:
            return
        if repository.endswith("/"):
            repository += name
        try:
            _reach_hub(repository, _HUB_FILES)
        except Exception as error:
            raise OSError(
                f"The weights of {name!r} are not on this machine and cannot be "
                f"downloaded ({_first_line(error)}). Download {repository} elsewhere "
                "and pass its folder as model=PATH, or do without a download: "
                "OfflineEmbedder()."
            ) from error


@documented(ModuleEmbedder)
class TorchEmbedder(ModuleEmbedder):
    """Images in the space of any torch module.

    A stateless transformer: there is nothing to fit, and the module, which is copied,
    is used in evaluation mode. It knows no words: clusters get no names.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a batch, (b, channels, height, width), to rows, (b, n_features).
    preprocess : callable
        Maps an RGB PIL image to a tensor or array, (channels, height, width), the same
        shape for all images. It is called in threads. To be pickled or saved in a file
        of pickles, it must not be a lambda.
    <batch_size, device>
    <precision>
    <cache, n_jobs, on_error, verbose, max_pixels, max_bytes>

    Attributes: <errors_, kept_>

    See Also
    --------
    TimmEmbedder : Models of timm, with their own preprocessing.
    CLIPEmbedder : Knows words.

    Notes
    -----
    Rows in the `cache` belong to the weights, the text of the module (its `repr`), and
    what `preprocess` makes of two test pictures. Weights that are changed through
    ``.data`` after use are not noticed.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn_vlclust import TorchEmbedder
    >>> def preprocess(image):
    ...     pixels = np.asarray(image.resize((32, 32)), dtype=np.float32)
    ...     return torch.from_numpy(pixels).permute(2, 0, 1) / 255
    >>> pool = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten())
    >>> images = np.full((5, 40, 50, 3), 128, dtype=np.uint8)
    >>> TorchEmbedder(pool, preprocess).transform(images).shape
    (5, 12)
    """

    _parameter_constraints: dict = {
        **ModuleEmbedder._parameter_constraints,
        "module": [nn.Module],
        "preprocess": [callable],
    }

    def __init__(
        self,
        module: nn.Module,
        preprocess: Callable[[Image.Image], Any],
        batch_size: Int = 64,
        device: Device = "auto",
        precision: Literal["fp32", "fp16", "bf16"] = "fp32",
        cache: StrPath | None = None,
        n_jobs: Int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verbose: Int = 0,
        max_pixels: Int = LIMITS.pixels,
        max_bytes: Int = LIMITS.bytes,
    ) -> None:
        self.module = module
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.verbose = verbose
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes

    @property
    def _name(self):
        return f"torch/{type(self.module).__name__}"

    _network_params = ("device", "precision")

    def _network_key(self):
        weights = _weights_digest(self.module)
        # A network in use holds its preprocessing: no other has the same id meanwhile.
        return (*super()._network_key(), weights, repr(self.module), self.preprocess)

    def _load_module(self):
        return deepcopy(self.module), self.preprocess


def _probe(preprocess, name):
    """Return what a preprocessing makes of two test pictures."""
    made = []
    for width, height in _PROBES:
        pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((width, height))
        first, second = (_as_tensor(preprocess(image.copy())) for _ in range(2))
        if first.ndim != 3:
            raise ValueError(
                f"The preprocessing of {name} gave a tensor of shape "
                f"{tuple(first.shape)}; expected (channels, height, width)."
            )
        if not torch.equal(first, second):
            raise ValueError(
                f"The preprocessing of {name} is random: it gave two tensors for one "
                "image. Give the one that is for testing."
            )
        made.append(first)
    if made[0].shape != made[1].shape:
        raise ValueError(
            f"The preprocessing of {name} gave tensors of shapes "
            f"{tuple(made[0].shape)} and {tuple(made[1].shape)} for images of "
            "different sizes; expected one shape: resize and crop them."
        )
    return made


def _as_tensor(pixels):
    # Copied: arrays of images cannot be written to, of which torch warns.
    return pixels if isinstance(pixels, torch.Tensor) else torch.tensor(pixels)


_DIGESTS: WeakKeyDictionary[nn.Module, tuple] = WeakKeyDictionary()


def _weights_digest(module):
    """Return a digest of all tensors of a module, kept until one changes."""
    tensors = [*chain(module.parameters(), module.buffers())]
    state = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]
    known = _DIGESTS.get(module)
    if known is not None and known[0] == state:
        return known[1]
    total = hashlib.blake2b(digest_size=16)
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        total.update(f"{name} {_bytes_digest(tensor)}".encode())
    _DIGESTS[module] = state, total.hexdigest()
    return total.hexdigest()


def _bytes_digest(tensor):
    tensor = tensor.detach().cpu().contiguous()
    content = tensor.reshape(-1).view(torch.uint8).numpy().data
    head = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    return hashlib.blake2b(head + content, digest_size=16).hexdigest()


def _differing(first, second):
    """Return the names of tensors that two modules do not share."""
    theirs = second.state_dict()
    return [
        name
        for name, tensor in first.state_dict().items()
        if not torch.equal(tensor, theirs[name])
    ]


def _read_config(path):
    """Return the architecture of a folder's config.json, and the options for timm."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture, pretrained = config["architecture"], config["pretrained_cfg"]
        model_args = config.get("model_args", {})
        return architecture, {
            "pretrained_cfg": {
                **{k: v for k, v in pretrained.items() if k not in ("source", "tag")},
                "num_classes": config.get(
                    "num_classes", pretrained.get("num_classes", 1000)
                ),
            },
            **{k: v for k, v in model_args.items() if k != "num_classes"},
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged or not of timm, it needs architecture and "
            f"pretrained_cfg ({type(error).__name__}: {error})."
        ) from error


def _read_weights(path):
    """Return the tensors of a file by name; pickles may hold nothing else."""
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        for key in _WRAPPINGS:
            if isinstance(tensors.get(key), dict):
                tensors = tensors[key]
        return {name.removeprefix("module."): t for name, t in tensors.items()}
    except Exception as error:  # of unpickling, JSON, ...: all kinds
        raise ValueError(
            f"{os.fspath(path)!r} cannot be read as weights: {_first_line(error)}."
        ) from error

"""Fitted estimators on disk: safetensors with a JSON header, without pickle."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy.sparse import csr_array
from sklearn.exceptions import InconsistentVersionWarning

from .._backend._files import write_atomically
from .._typing import StrPath
from .._version import __version__
from ._registry import class_name, find_class

# Format 1 named classes by module, which find_class still reads.
FORMAT, READABLE = 2, (1, 2)
_SCALARS = (type(None), bool, int, float, str)


def save_model(estimator: object, path: StrPath) -> None:
    """Write `estimator`, fitted or not, to the file `path`.

    Parameters
    ----------
    estimator : object of this library
        What to save. Its parameter `callbacks`, if any, is left out.
    path : str or Path
        The file; replaced in one step if it exists.

    Raises
    ------
    TypeError
        If an attribute holds something that cannot be written without pickle.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _encode(estimator, "estimator", tensors)
    header = {"format": FORMAT, "version": __version__, "estimator": tree}
    metadata = {"sklearn_vlclust_model": json.dumps(header)}
    write_atomically(path, lambda name: save_file(tensors, name, metadata))


def load_model(path: StrPath, expected: type = object) -> Any:
    """Read back what `save_model` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    expected : type, default=object
        Class that the file must hold.

    Returns
    -------
    estimator : object

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, of another format, holds another class, or names one
        that no model file may name.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no model file {str(path)!r}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["sklearn_vlclust_model"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} is not a whole model file of sklearn_vlclust "
            f"({type(error).__name__}: {error})."
        ) from error
    if header["format"] not in READABLE:
        raise ValueError(
            f"{str(path)!r} has format {header['format']} (written by version "
            f"{header['version']}); this version {__version__} reads formats "
            f"{' and '.join(map(str, READABLE))}."
        )
    try:  # all of them, before anything is made
        cls = find_class(header["estimator"].get("class"))
        for name in _named_classes(header["estimator"]):
            find_class(name)
    except ValueError as error:
        raise ValueError(f"The model file {str(path)!r} {error}") from None
    found = cls.__name__
    if not issubclass(cls, expected):
        raise ValueError(
            f"{str(path)!r} holds a {found}, not a {expected.__name__}: "
            f"use {found}.load."
        )
    if header["version"] != __version__:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=found,
                current_sklearn_version=__version__,
                original_sklearn_version=header["version"],
            ),
            stacklevel=2,
        )
    return _decode(header["estimator"], tensors)


def _encode(value: Any, name: str, tensors: dict) -> Any:
    """Turn `value` into a JSON tree; arrays go to `tensors` under `name`."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return {"texts": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.ndarray):
        tensors[name] = torch.from_numpy(np.array(value, order="C"))
        return {"array": name}
    if isinstance(value, csr_array):
        parts = [value.data, value.indices, value.indptr]
        return {"csr": _encode(parts, name, tensors), "shape": list(value.shape)}
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, list | tuple):
        items = [_encode(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": items}
    if isinstance(value, dict):
        pairs = [
            [key, _encode(item, f"{name}.{i}", tensors)]
            for i, (key, item) in enumerate(value.items())
        ]
        return {"dict": pairs}
    if isinstance(value, np.random.RandomState):
        return {"random_state": _encode(value.get_state(), name, tensors)}
    if isinstance(value, Path):
        return str(value)
    cls = type(value)
    tree = {"class": class_name(cls)}
    if tree["class"] is None:
        raise TypeError(
            f"{name} holds a {cls.__module__}.{cls.__qualname__}, which cannot be "
            "saved without pickle; use joblib.dump for this estimator."
        )
    if isinstance(value, torch.nn.Module):
        return tree | {
            "config": _encode(value.config, f"{name}.config", tensors),
            "state": _encode(dict(value.state_dict()), f"{name}.state", tensors),
        }
    state = value.__getstate__() if hasattr(value, "__getstate__") else value.__dict__
    state = {k: v for k, v in state.items() if k not in ("_skl_callbacks", "callbacks")}
    tree["attributes"] = _encode(state, name, tensors)
    return tree | ({"callbacks": None} if hasattr(value, "callbacks") else {})


def _named_classes(tree: Any) -> Iterator[str]:
    """Yield the names of all classes in a JSON tree."""
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree["class"]
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _named_classes(part)


def _decode(tree: Any, tensors: dict) -> Any:
    if isinstance(tree, _SCALARS):
        return tree
    if "array" in tree:
        return tensors[tree["array"]].numpy()
    if "csr" in tree:
        return csr_array(tuple(_decode(tree["csr"], tensors)), shape=tree["shape"])
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "texts" in tree:
        return np.array(tree["texts"], dtype=tree["dtype"])
    if "list" in tree:
        return [_decode(item, tensors) for item in tree["list"]]
    if "tuple" in tree:
        return tuple(_decode(item, tensors) for item in tree["tuple"])
    if "dict" in tree:
        return {key: _decode(value, tensors) for key, value in tree["dict"]}
    if "random_state" in tree:
        random_state = np.random.RandomState()
        random_state.set_state(_decode(tree["random_state"], tensors))
        return random_state
    cls = find_class(tree["class"])
    if issubclass(cls, torch.nn.Module):
        module = cls(**_decode(tree["config"], tensors))
        module.load_state_dict(_decode(tree["state"], tensors))
        return module.eval().requires_grad_(False)
    instance = cls.__new__(cls)
    instance.__dict__.update(_decode(tree["attributes"], tensors))
    if "callbacks" in tree:
        instance.callbacks = None
    return instance

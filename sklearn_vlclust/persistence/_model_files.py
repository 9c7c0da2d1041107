"""Fitted estimators on disk: safetensors with a JSON header, without pickle."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from .._backend._settings import own_settings
from .._backend._text import counted
from .._typing import StrPath
from .._version import __version__
from ._registry import class_name, find_class
from ._tensor_files import FormatError, naming, read_tensors, verify, write_tensors

KIND, WHAT = "sklearn_vlclust_model", "model file of sklearn_vlclust"

# Format 1 named classes by module, which find_class still reads, without a checksum.
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
    OSError
        If the file cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _encode(estimator, "estimator", tensors)
    header = {"format": FORMAT, "version": __version__, "estimator": tree}
    write_tensors(path, KIND, header, tensors)


@own_settings
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
    PermissionError
        If it may not be read.
    ValueError
        If the file is damaged, of another format, holds another class or weights that
        are not finite, or names a class that no model file may name.
    """
    try:
        header, tensors = read_tensors(path, KIND, WHAT, READABLE)
    except FormatError as error:
        found, version = error.args
        raise ValueError(
            f"{str(path)!r} has format {found} (written by version {version}); this "
            f"version {__version__} reads formats {' and '.join(map(str, READABLE))}."
        ) from None
    with naming(path, WHAT):
        tree, version = header["estimator"], str(header["version"])
        names = [tree.get("class"), *_named_classes(tree)]
    try:  # all of them, before anything is made
        cls, *_ = [find_class(name) for name in names]
    except ValueError as error:
        raise ValueError(f"The model file {str(path)!r} {error}") from None
    with naming(path, WHAT):
        verify(header, tensors)
    found = cls.__name__
    if not issubclass(cls, expected):
        raise ValueError(
            f"{str(path)!r} holds a {found}, not a {expected.__name__}: "
            f"use {found}.load."
        )
    if version != __version__:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=found,
                current_sklearn_version=__version__,
                original_sklearn_version=version,
            ),
            stacklevel=3,
        )
    with naming(path, WHAT):
        return _decode(tree, tensors)


def read_attribute(path: StrPath, name: str) -> Any:
    """Return an attribute of the object in a model file, which is not made."""
    header, tensors = read_tensors(path, KIND, WHAT, READABLE)
    with naming(path, WHAT):
        verify(header, tensors)
        attributes = dict(header["estimator"]["attributes"]["dict"])
        return _decode(attributes[name], tensors)


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
        matrix = csr_array(tuple(_decode(tree["csr"], tensors)), shape=tree["shape"])
        matrix.check_format(full_check=True)  # others would be read out of bounds
        return matrix
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "texts" in tree:
        # Not the width that the file declares, which need not fit in memory.
        objects = np.dtype(tree["dtype"]).kind == "O"
        return np.array(tree["texts"], dtype=object if objects else str)
    if "list" in tree:
        return [_decode(item, tensors) for item in tree["list"]]
    if "tuple" in tree:
        return tuple(_decode(item, tensors) for item in tree["tuple"])
    if "dict" in tree:
        return {key: _decode(value, tensors) for key, value in tree["dict"]}
    if "random_state" in tree:
        return _decode_random_state(_decode(tree["random_state"], tensors))
    cls = find_class(tree["class"])
    if issubclass(cls, torch.nn.Module):
        config, state = (_decode(tree[name], tensors) for name in ("config", "state"))
        return _decode_module(cls, config, state)
    instance = cls.__new__(cls)
    if issubclass(cls, BaseEstimator):  # parameters that are newer than the file
        known = signature(cls).parameters
        instance.__dict__.update({name: known[name].default for name in known})
    instance.__dict__.update(_decode(tree["attributes"], tensors))
    if "callbacks" in tree:
        instance.callbacks = None
    _check_clusters(instance)
    return instance


def _decode_random_state(state: tuple) -> np.random.RandomState:
    _, words, position, *_ = state
    if not 0 <= position <= len(words):
        raise ValueError("a random state that is out of bounds")
    random_state = np.random.RandomState()
    random_state.set_state(state)
    return random_state


def _decode_module(cls: type, config: dict, state: dict) -> torch.nn.Module:
    """Build a network once its sizes are known to be those of its weights."""
    if any("depth" in name and depth > len(state) for name, depth in config.items()):
        raise ValueError(f"{cls.__name__} has other layers than its weights")
    with torch.device("meta"):
        expected = cls(**config).state_dict()
    sizes = [
        {name: (tuple(x.shape), x.dtype) for name, x in tensors.items()}
        for tensors in (expected, state)
    ]
    if sizes[0] != sizes[1]:
        raise ValueError(f"{cls.__name__} has other sizes than its weights")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"the weights {name} of {cls.__name__} are not finite")
    module = cls(**config)
    module.load_state_dict(state)
    return module.eval().requires_grad_(False)


def _check_clusters(model: Any) -> None:
    """Raise ValueError if the labels and clusters of a model do not fit each other."""
    held = vars(model)
    k, labels = held.get("n_clusters_"), held.get("labels_")
    if k is None or labels is None:
        return
    if labels.ndim != 1 or labels.dtype.kind != "i":
        raise ValueError("labels_ are not a list of integers")
    network = held.get("network_")
    found = held.get("_uncorrected")  # by the fit; the network has its clusters
    k_found = k if found is None else found["n_clusters_"]
    n_heads = k_found if network is None else network.config.get("n_clusters", k_found)
    if n_heads != k_found:
        raise ValueError(f"network_ has {n_heads} clusters, n_clusters_ is {k_found}")
    counts = {
        "labels_": labels.max(initial=-1) + 1,
        "cluster_centers_": len(held.get("cluster_centers_", range(k))),
    }
    for name, count in counts.items():
        if count != k or labels.min(initial=0) < 0:
            raise ValueError(
                f"{name} has {counted(count, 'cluster')}, n_clusters_ is {k}"
            )
    if found is not None:
        model._check_corrections()

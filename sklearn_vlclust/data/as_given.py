"""What users often pass in place of an array or of images: taken as meant, or named."""

import io
import os
from collections import deque
from collections.abc import (
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)

import numpy as np
import torch
from scipy.sparse import issparse

from .distributed import is_dask


def column_of(X):
    """Return the only column of a table, as scikit-learn hands it on; else `X`.

    Parameters
    ----------
    X : object
        A DataFrame or array of shape (n, 1), say.

    Returns
    -------
    X : object
        Of one dimension if it was such a table of anything but numbers.
    """
    shape = tuple(getattr(X, "shape", ()))
    if isinstance(X, list | tuple):
        first = X[0] if X else None
        if isinstance(first, list | tuple) and len(first) == 1:
            is_table = isinstance(first[0], str | os.PathLike)
            return [row[0] for row in X] if is_table else X
        return X
    if len(shape) != 2 or shape[1] != 1 or isinstance(X, torch.Tensor):
        return X
    if hasattr(X, "iloc"):
        return X if X.dtypes.iloc[0].kind in "iufb" else X.iloc[:, 0]
    if hasattr(X, "get_columns"):  # polars
        column = X.get_columns()[0]
        return X if column.dtype.is_numeric() else column
    is_array = isinstance(X, np.ndarray) and X.dtype.kind in "OUST"
    return X[:, 0] if is_array else X


def in_order(X):
    """Return the keys or values of a dict, or a deque, as a list; else `X`."""
    return list(X) if isinstance(X, KeysView | ValuesView | deque) else X


def as_rows_are_meant(X):
    """Return the array or tensor that is plainly meant by `X`; else `X` itself.

    Parameters
    ----------
    X : object
        What a user gave as embeddings.

    Returns
    -------
    X : object
        Vectors in a column or a list of tensors are stacked, a tensor is detached.

    Raises
    ------
    TypeError, ValueError
        In one sentence, what `X` is and what to pass.
    """
    X = in_order(X)
    refuse_what_is_no_array(X)
    if isinstance(X, torch.Tensor):
        if X.layout != torch.strided:
            raise TypeError(
                f"X is a sparse tensor ({X.layout}); pass X.to_dense(), as embeddings "
                "are dense."
            )
        if X.is_meta:
            raise TypeError("X is a tensor on the device 'meta', without values.")
        X = X.detach()
    X = column_of(X)
    if isinstance(X, list | tuple) and X and isinstance(X[0], torch.Tensor):
        return _stack(X) if X[0].ndim == 1 else X
    n_dims = len(getattr(X, "shape", ()))
    if n_dims == 1 and len(X) and not isinstance(X, torch.Tensor):
        values = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
        if values.dtype.kind == "O" and any(np.ndim(v) == 1 for v in values[:10]):
            return _stack(values)
        return values if values.ndim == 2 else X
    if n_dims == 3:
        raise ValueError(
            f"Found array with dim 3, of shape {tuple(X.shape)} and dtype {X.dtype}. "
            "Pass embeddings as (n_samples, n_features), for example "
            "X.reshape(len(X), -1), or gray images as uint8, (n, height, width)."
        )
    return X


def _stack(vectors):
    size = next(len(vector) for vector in vectors if np.ndim(vector) == 1)
    for i, vector in enumerate(vectors):
        if np.shape(vector) != (size,):
            raise ValueError(
                f"X is a column of vectors; all must have {size} values, but X[{i}] "
                f"has the shape {np.shape(vector)}."
            )
    if isinstance(vectors[0], torch.Tensor):
        return torch.stack([vector.detach() for vector in vectors])
    return np.stack([np.asarray(vector) for vector in vectors])


def refuse_what_is_no_array(X):
    """Raise TypeError for what can be read once, has no order, or is a file's content.

    Parameters
    ----------
    X : object
        What a user gave as embeddings or images.
    """
    kind = type(X).__name__
    if isinstance(X, bytes | bytearray | memoryview):
        raise TypeError(
            f"X is {kind}, of length {len(X)}; pass a list of paths, or of "
            "PIL.Image.open(io.BytesIO(content)) for the content of files."
        )
    if isinstance(X, io.IOBase):
        raise TypeError(f"X is an open file ({kind}); pass a list of paths or images.")
    if isinstance(X, set | frozenset):
        raise TypeError(f"X is a {kind}, which has no order; pass sorted(X).")
    if isinstance(X, Mapping) and not issparse(X):
        raise TypeError(f"X is a {kind}; pass list(X.values()), or list(X) for keys.")
    if isinstance(X, Iterator):
        raise TypeError(f"X is a {kind}, which can be read only once; pass list(X).")
    arrays = ("__array__", "__array_interface__", "__dlpack__", "shape", "to_numpy")
    is_array = any(hasattr(X, name) for name in arrays)
    if is_array or isinstance(X, str | os.PathLike | Sequence):
        first = X[0] if isinstance(X, list | tuple) and X else None
        if getattr(getattr(X, "dtype", None), "kind", "") == "S":
            raise TypeError(
                "X is an array of bytes; pass paths as str, X.astype(str) or "
                "[os.fsdecode(path) for path in X]."
            )
        if isinstance(first, bytes | bytearray | memoryview):
            raise TypeError(
                f"X[0] is {type(first).__name__}, of length {len(first)}; pass "
                "os.fsdecode(X[0]) if it is a path, PIL.Image.open(io.BytesIO(X[0])) "
                "if it is the content of a file."
            )
        if isinstance(first, io.IOBase):
            raise TypeError(
                f"X[0] is an open file ({type(first).__name__}); pass its path, or "
                "PIL.Image.open(X[0])."
            )
        return
    if (isinstance(X, Iterable) or hasattr(X, "__getitem__")) and not is_dask(X):
        raise TypeError(f"X is a {kind}; pass a list or an array.")

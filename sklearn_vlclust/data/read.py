"""From whatever a user calls X to a matrix of embeddings."""

import os

import numpy as np
import torch
from sklearn.utils.validation import check_array, validate_data

from .as_given import as_rows_are_meant
from .distributed import gather, is_dask
from .images import is_images
from .protocol import Rows
from .rows import UnitRows
from .shards import ShardedRows, open_shards
from .tensor_rows import TensorRows


def read_embeddings(estimator, X, *, reset, embed, ensure_min_samples=1):
    """Return `X` as a validated matrix of embeddings.

    Parameters
    ----------
    estimator : estimator
        Whose input `X` is; gets `n_features_in_` if `reset`.
    X : array-like of shape (n_samples, n_features), or images
        Embeddings (array, memmap, tensor on any device, dask array, folder of `.npy`
        shards or what :func:`open_shards` made of one), or images.
    reset : bool
        True at fit, False later.
    embed : callable
        ``embed(images)`` returns their embeddings; called for images only.
    ensure_min_samples : int, default=1
        Smallest number of rows.

    Returns
    -------
    X : ndarray, ShardedRows or TensorRows of shape (n_samples, n_features)
        float32 or float64, and not copied if it is one already. What stays on disk or
        on a device is read as float32 unless it is float64. Whether values are finite
        is seen where the lengths of rows are measured.
    zero_rows : bool
        Whether rows of zeros are values like others, as among counts or pixels
        (integers). Encoders return floats, where such a row is a mistake.
    """
    X, zero_rows = _as_rows(embed(X) if is_images(X) else X)
    if isinstance(X, Rows):
        _check_rows(estimator, X, reset, ensure_min_samples)
        return X, zero_rows
    X = validate_data(
        estimator,
        X,
        dtype=(np.float32, np.float64),
        ensure_all_finite=False,
        reset=reset,
        ensure_min_samples=ensure_min_samples,
    )
    return X, zero_rows


def read_unit_rows(X):
    """Return the :class:`UnitRows` of embeddings that no estimator takes."""
    if isinstance(X, UnitRows):
        return X
    X, zero_rows = _as_rows(X)
    if not isinstance(X, Rows):
        X = check_array(X, dtype=(np.float32, np.float64), ensure_all_finite=False)
    return UnitRows(X, zero_rows=zero_rows)


def _as_rows(X):
    """Return embeddings as rows that NumPy or we can read, and whether some may be 0.

    Files of other dtypes than float32 or float64 are converted while reading.
    """
    X = gather(X) if is_dask(X) else as_rows_are_meant(X)
    if isinstance(X, torch.Tensor):
        # MPS has no double precision, which rows of extreme length need.
        X = TensorRows(X.cpu() if X.device.type == "mps" else X)
    elif isinstance(X, str | os.PathLike):
        X = open_shards(X)
    elif isinstance(X, np.memmap) and X.ndim == 2 and X.dtype.char not in "fd":
        X = ShardedRows([X])
    if isinstance(X, Rows):
        return X, X.has_counts
    dtype = getattr(X, "dtype", None)
    return X, isinstance(dtype, np.dtype) and dtype.kind in "iub"


def _check_rows(estimator, rows, reset, ensure_min_samples):
    """Do what validation does that looks at no values: these are read later, once."""
    if len(rows) < ensure_min_samples:
        raise ValueError(
            f"Found array with {len(rows)} sample(s) (shape={rows.shape}) while a "
            f"minimum of {ensure_min_samples} is required by "
            f"{type(estimator).__name__}."
        )
    validate_data(estimator, rows, reset=reset, skip_check_array=True)

"""Dask collections as X: methods run on the workers, fits read the blocks in turn.

Dask inputs are recognized by type name, so dask is imported only if it is used.
"""

import copy
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count
from sklearn.utils.validation import check_is_fitted, validate_data

# Blocks that a fit reads are kept in memory up to this size, above it in a file;
# without a cluster, this much is computed at a time.
HELD_BYTES = 256 * 2**20
# Blocks per thread of a cluster that are computed ahead.
AHEAD = 2

Method = TypeVar("Method", bound=Callable)


def is_dask(X):
    """Whether `X` is a collection of dask: an array, a bag or a DataFrame."""
    return type(X).__module__.startswith("dask.")


def by_blocks(method: Method) -> Method:
    """Let a method of a fitted estimator take dask collections: lazily, by blocks.

    The estimator has ``_to_workers()``, which returns the part that is sent to workers.
    """

    @wraps(method)
    def wrapper(self, X):
        if is_dask(X):
            return _map_blocks(self, method.__name__, _as_array(X))
        return method(self, X)

    wrapped: Any = wrapper
    return wrapped


def without_fit(estimator, kept, /, **params):
    """Return a copy with the fitted attributes `kept` and with other parameters."""
    sent = copy.copy(estimator)
    for name in vars(estimator):
        if name.endswith("_") and name not in kept:
            delattr(sent, name)
    vars(sent).update(params)
    return sent


def gather(X):
    """Compute a dask collection, a few blocks at a time.

    Parameters
    ----------
    X : dask array of any number of dimensions, or bag
        Embeddings or images. The number of rows need not be known.

    Returns
    -------
    rows : ndarray, memmap or list
        The items of a bag or of an array of one dimension as a list. An array of more
        than `HELD_BYTES` is a temporary file that goes with it, in the folder that the
        variable `TMPDIR` names.

    Raises
    ------
    OSError
        If there is no room for the file.
    """
    X = _as_array(X)
    blocks = X.to_delayed().ravel()
    if X.ndim == 1:
        return [item for block in _computed(blocks, 0) for item in block]
    size = max(X.chunks[0]) * X.dtype.itemsize * int(np.prod(X.shape[1:]))
    if X.nbytes <= HELD_BYTES:
        return np.concatenate(list(_computed(blocks, size)))
    return _in_a_file(X, _computed(blocks, size))


def _as_array(X):
    """Return a collection as a dask array whose blocks hold whole rows."""
    import dask.array as da
    from dask import delayed

    if isinstance(X, da.Array):
        return X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    if type(X).__module__.startswith("dask.bag"):
        parts = [delayed(_as_objects)(part) for part in X.to_delayed()]
        return da.concatenate(
            [da.from_delayed(part, (np.nan,), dtype=object) for part in parts]
        )
    raise TypeError(
        f"X is a {type(X).__module__}.{type(X).__qualname__}. Of dask, arrays and bags "
        "are taken; a DataFrame becomes an array by to_dask_array(lengths=True)."
    )


def _as_objects(items):
    items = list(items)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _map_blocks(estimator, method, X):
    import dask.array as da
    from dask import delayed
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    check_is_fitted(estimator)
    if X.ndim == 2:
        validate_data(estimator, X, reset=False, skip_check_array=True)
    like = _result_of_no_rows(estimator, method, X)
    # One key of the graph: it is sent to each worker once, and again if a worker is
    # lost.
    sent = delayed(estimator._to_workers(), pure=False, traverse=False)
    name = f"{method}-{tokenize(X.name, sent.key)}"
    other_axes = (0,) * (X.ndim - 1)
    # map_blocks would copy each block to drop an axis of it.
    tasks: dict = {
        (name, i, *(0,) * (like.ndim - 1)): (
            _call,
            (X.name, i, *other_axes),
            sent.key,
            method,
            like,
            i,
        )
        for i in range(X.numblocks[0])
    }
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[X, sent])
    chunks = (X.chunks[0], *((size,) for size in like.shape[1:]))
    return da.Array(graph, name, chunks, meta=like)


def _result_of_no_rows(estimator, method, X):
    """Return an empty array with the width and the dtype of results."""
    if method == "predict":
        return np.empty(0, dtype=np.int64)
    if method == "predict_proba":
        width = estimator._n_clusters_out
    else:
        width = len(estimator.get_feature_names_out())
    double = X.ndim == 2 and X.dtype == np.float64
    return np.empty((0, width), dtype=np.float64 if double else np.float32)


def _call(block, estimator, method, like, number):
    if not len(block):
        return like
    try:
        result = getattr(estimator, method)(block)
    except ValueError as error:
        raise ValueError(f"Block {number} of X: {error}") from error
    return np.asarray(result, dtype=like.dtype)


def _computed(blocks, n_bytes):
    """Yield the blocks, of at most `n_bytes` (NaN if unknown), as arrays, in order."""
    client = _client()
    if client is None:
        from dask import compute

        at_a_time = cpu_count()
        if not n_bytes <= HELD_BYTES:
            at_a_time = 1
        elif n_bytes:
            at_a_time = min(at_a_time, int(HELD_BYTES // n_bytes))
        for start in range(0, len(blocks), at_a_time):
            yield from compute(*blocks[start : start + at_a_time])
        return
    waiting: deque = deque()
    limit = AHEAD * sum(client.nthreads().values())
    for block in blocks:
        waiting.append(client.compute(block))
        if len(waiting) >= max(limit, 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _client():
    """Return the client of the cluster in use, None without one."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def _in_a_file(X, blocks):
    """Write blocks one after the other and map the file that they make."""
    n = 0
    try:
        with tempfile.TemporaryFile(prefix="vlclust-") as file:
            if hasattr(os, "posix_fallocate") and not np.isnan(X.nbytes):
                os.posix_fallocate(file.fileno(), 0, X.nbytes)  # a full disk: said now
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=X.dtype).data)
                n += len(block)
            file.flush()
            shape = n, *X.shape[1:]
            if not n:
                return np.empty(shape, X.dtype)
            return np.memmap(file, X.dtype, "r", shape=shape)
    except OSError as error:
        size = "" if np.isnan(X.nbytes) else f" of {X.nbytes / 2**30:.1f} GiB"
        raise OSError(
            f"No room for a copy of X{size} in the temporary folder "
            f"{tempfile.gettempdir()!r} ({error}). Set TMPDIR to another one."
        ) from error

"""Embeddings in `.npy` files, many or one, as rows that stay on disk."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from pathlib import Path

import numpy as np

from .._backend._text import counted
from .._typing import StrPath
from .memory import check_memory
from .protocol import Rows

# Where clip-retrieval puts image embeddings, in the folder that it writes.
IMAGE_SHARDS = "img_emb"


def open_shards(path: StrPath | Sequence[StrPath]) -> ShardedRows:
    """Open embeddings that lie in `.npy` files as one array, without reading them.

    Clusterers open a folder that they are given as `X` themselves. What is returned
    here can be indexed and counted besides, and cut into folds by a grid search.

    Parameters
    ----------
    path : str, Path, or list of str or Path
        A folder of shards, in the order of the numbers in their names; a folder written
        by clip-retrieval, with shards in ``img_emb/``; or `.npy` files in the order
        given.

    Returns
    -------
    rows : ShardedRows of shape (n_samples, n_features)
        Indexed by integers, slices, masks and integer arrays, which read the rows asked
        for; `dtype` is float64 if the files are, float32 otherwise.

    Raises
    ------
    ValueError
        If there are no shards, one is truncated or not a matrix of numbers, they differ
        in width or dtype, or their names leave the order open.

    Warns
    -----
    UserWarning
        If numbers are missing between the first shard and the last.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_vlclust.embedding import open_shards
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i in range(3):
    ...         np.save(f"{folder}/img_emb_{i}.npy", np.eye(4, dtype=np.float16))
    ...     X = open_shards(folder)
    ...     print(X.shape, X.dtype, X[[0, 11]].tolist())
    (12, 4) float32 [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """
    if isinstance(path, str | os.PathLike):
        files = _find_shards(path)
        if not files:
            raise ValueError(f"{os.fspath(path)!r} is no .npy file or folder of them.")
        rows = ShardedRows(_in_order(files) if len(files) > 1 else files)
        _warn_of_gaps(rows)
        return rows
    files = [Path(file) for file in path]
    if not files:
        raise ValueError("open_shards got an empty list of files.")
    return ShardedRows(files)


def holds_shards(path):
    """Whether a path is embeddings: a `.npy` file, or a folder that holds some."""
    return bool(_find_shards(path))


class ShardedRows(Rows):
    """The rows of matrices on disk, one after the other, read when asked for.

    Parameters
    ----------
    parts : list of Path, or list of ndarray
        Files, which are mapped into memory, or matrices.

    Attributes
    ----------
    shape : tuple of int
        ``(n_samples, n_features)``.
    dtype : dtype
        Of the rows that are read: float64 if the parts are, float32 otherwise.
    stored_dtype : dtype
        Of the parts.
    files : list of Path
        Where the parts are; empty if they were given as matrices.
    """

    def __init__(self, parts):
        self.files = [part for part in parts if isinstance(part, Path)]
        self._parts = [_map(part) if isinstance(part, Path) else part for part in parts]
        self._check()
        self.stored_dtype = self._parts[0].dtype
        self.has_counts = self.stored_dtype.kind in "iub"
        double = self.stored_dtype.kind == "f" and self.stored_dtype.itemsize == 8
        self.dtype = np.dtype(np.float64 if double else np.float32)
        sizes = self._sizes()
        self._ends = np.cumsum(sizes)
        self._starts = self._ends - sizes
        self.shape = int(self._ends[-1]), self._parts[0].shape[1]

    @property
    def size(self):
        """Number of entries."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self):
        """Bytes that all rows take when they are read."""
        return self.size * self.itemsize

    def __getitem__(self, index):
        """Read rows: an integer, a slice, a mask or an integer array of any shape."""
        if isinstance(index, tuple):
            rows, *columns = index
            if columns == [Ellipsis] or not columns:
                return self[rows]
            return self[rows][(..., *columns)]
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._read_range(start, max(start, stop))
            return self._read_rows(np.arange(start, stop, step))
        if isinstance(index, Integral) and not isinstance(index, bool | np.bool_):
            return self._read_rows(self._in_range(np.array([index])))[0]
        index = np.asarray(index)
        if index.dtype == bool:
            if index.shape != (len(self),):
                raise IndexError(
                    f"A mask of shape {index.shape} is not for "
                    f"{counted(len(self), 'row')}."
                )
            index = np.flatnonzero(index)
        if not index.size:
            index = index.astype(np.intp)
        if index.dtype.kind not in "iu":
            raise IndexError(
                "Rows are indexed by integers, slices, masks and integer arrays, not "
                f"by {index.dtype}."
            )
        rows = self._read_rows(self._in_range(index.ravel()))
        return rows.reshape(*index.shape, self.shape[1])

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("Rows on disk cannot become an array without a copy.")
        check_memory(
            self.nbytes,
            f"All of {self!r} as one array",
            "Estimators of this library read it block by block.",
        )
        return self[:].astype(dtype or self.dtype, copy=False)

    def __repr__(self):
        where = f"{str(self.files[0].parent)!r}, " if self.files else ""
        return (
            f"<ShardedRows {where}{counted(len(self._parts), 'shard')} of "
            f"{self.stored_dtype}, "
            f"shape={self.shape}, read as {self.dtype}>"
        )

    def __getstate__(self):
        # Files are mapped again, by a worker on another machine say; not sent.
        state = self.__dict__.copy()
        if self.files:
            del state["_parts"]
        return state

    def __setstate__(self, state):
        self.__dict__ = state
        if self.files:
            self._parts = [_map(file) for file in self.files]
            self._check()
            if self._sizes() != np.diff(self._ends, prepend=0).tolist():
                raise ValueError(f"The files of {self!r} have changed.")

    def name_row(self, row):
        """Say where a row is: its number, and the file and the row in that file."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        here = f"Row {row} of X"
        if self.files:
            here += f" (row {row - self._starts[part]} of {str(self.files[part])!r})"
        return here

    def _sizes(self):
        return [len(part) for part in self._parts]

    def _check(self):
        first = self._parts[0]
        for i, part in enumerate(self._parts):
            name = repr(str(self.files[i])) if self.files else f"Part {i}"
            if part.ndim != 2 or part.dtype.kind not in "fiub" or part.itemsize > 8:
                raise ValueError(
                    f"{name} holds an array of shape {part.shape} and dtype "
                    f"{part.dtype}; embeddings are matrices of numbers, one row a "
                    "sample."
                )
            for what in ("columns", "dtype"):
                this, expected = (
                    p.shape[1] if what == "columns" else p.dtype for p in (part, first)
                )
                if this != expected:
                    other = repr(str(self.files[0])) if self.files else "part 0"
                    raise ValueError(
                        f"All shards must have the same width and dtype: {name} has "
                        f"{what} {this}, but {other} has {expected}."
                    )

    def _in_range(self, rows):
        n = len(self)
        bad = rows[(rows < -n) | (rows >= n)]
        if len(bad):
            raise IndexError(f"There is no row {bad[0]}, of {counted(n, 'row')}.")
        return np.where(rows < 0, rows + n, rows).astype(np.intp, copy=False)

    def _read_range(self, start, stop):
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._ends, stop, side="left"))
        if first == last and stop > start:
            offset = self._starts[first]
            _check_size(self._parts[first])
            part = self._parts[first][start - offset : stop - offset]
            return np.asarray(part).astype(self.dtype, copy=False)
        rows = np.empty((stop - start, self.shape[1]), self.dtype)
        while start < stop:
            end = min(stop, int(self._ends[first]))
            offset = int(self._starts[first])
            _check_size(self._parts[first])
            rows[len(rows) - (stop - start) :][: end - start] = self._parts[first][
                start - offset : end - offset
            ]
            start, first = end, first + 1
        return rows

    def _read_rows(self, index):
        """Read rows shard by shard, each in the order of its file."""
        rows = np.empty((len(index), self.shape[1]), self.dtype)
        order = np.argsort(index, kind="stable")
        ascending = index[order]
        bounds = np.searchsorted(ascending, self._ends)
        start = 0
        for part in np.unique(np.searchsorted(self._ends, ascending, side="right")):
            stop = int(bounds[part])
            inside = ascending[start:stop] - self._starts[part]
            _check_size(self._parts[part])
            rows[order[start:stop]] = self._parts[part][inside]
            start = stop
        return rows


def _find_shards(path):
    """Return the .npy files that a path stands for, in no order."""
    path = Path(path)
    if path.suffix == ".npy" and path.is_file():
        return [path]
    for folder in (path, path / IMAGE_SHARDS):
        if folder.is_dir():
            files = [
                file
                for file in folder.glob("*.npy")
                if file.is_file() and not file.name.startswith(".")
            ]
            if files:
                return files
    return []


def _in_order(files):
    """Return files in the order of the numbers in their names."""
    kinds = sorted({re.sub(r"\d+", "#", file.stem) for file in files})
    if len(kinds) > 1:
        raise ValueError(
            f"The .npy files in {str(files[0].parent)!r} have names of {len(kinds)} "
            f"kinds, {', '.join(kinds[:3])}: only the numbers tell shards apart. "
            "Give a list of files to open_shards."
        )
    files = sorted(files, key=lambda file: (_numbers(file), file.name))
    for one, other in pairwise(files):
        if _numbers(one) == _numbers(other):
            raise ValueError(
                f"{str(one)!r} and {other.name!r} have the same number: they may be of "
                "two runs. Give a list of files to open_shards."
            )
    return files


def _warn_of_gaps(rows):
    """Warn if numbers are missing, except those of the first rows."""
    numbers = np.array([_numbers(file) for file in rows.files])
    varied = numbers[:, (numbers != numbers[:1]).any(axis=0)]
    if varied.shape[1] != 1 or (varied[:, 0] == rows._starts).all():
        return
    found = varied[:, 0]
    n_missing = int(found[-1] - found[0] + 1 - len(found))
    if n_missing:
        after = found[np.flatnonzero(np.diff(found) > 1)[0]]
        warnings.warn(
            f"{counted(n_missing, 'number', 'is')} missing among the shards in "
            f"{str(rows.files[0].parent)!r}, the first one {after + 1}: rows are those "
            "of the files that are there, one after the other.",
            stacklevel=3,
        )


def _numbers(file):
    return [int(number) for number in re.findall(r"\d+", file.stem)]


def _map(file):
    try:
        part = np.load(file, mmap_mode="r")
    except OSError:  # not there, or not for this user
        raise
    except Exception as error:  # of many types: it depends on what is damaged
        if "Python objects" in str(error):
            raise ValueError(f"{str(file)!r} holds objects, not numbers.") from error
        raise ValueError(
            f"{str(file)!r} is not a whole .npy file, it may be truncated "
            f"({type(error).__name__}: {error})."
        ) from error
    if not isinstance(part, np.ndarray):
        part.close()
        raise ValueError(f"{str(file)!r} is an archive, not a .npy file.")
    return part


def _check_size(part):
    """Refuse a mapped file that is shorter now: reading would end the process."""
    file = getattr(part, "filename", None)
    if file is not None and os.path.exists(file):
        needed = part.offset + part.nbytes
        if os.path.getsize(file) < needed:
            raise ValueError(f"{str(file)!r} was truncated after it was opened.")

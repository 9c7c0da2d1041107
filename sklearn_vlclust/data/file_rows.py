"""Rows of a `.npy` file that is read, not mapped into memory.

Who reads a mapped file that has become shorter is ended by the system (SIGBUS); here it
is an error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import numpy as np

from .protocol import ArrayRows, Rows

# Bytes up to which a file is read whole.
HELD_BYTES = 256 * 2**20


def is_large(path: Path) -> bool:
    """Return whether a file is left on disk, and read when asked for."""
    return os.path.getsize(path) > HELD_BYTES


class FileRows(Rows):
    """The float32 rows of a `.npy` file, which is kept open and read when asked for.

    Threads may share an instance. A copy is the same; pickled, it is the rows.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        If it is not a whole matrix of float32.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115
        version = np.lib.format.read_magic(self._file)
        if version != (1, 0):
            raise ValueError(f"its format is {version}")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(self._file)
        if dtype != np.float32 or len(shape) != 2 or by_columns:
            raise ValueError("it holds no rows of float32")
        self.shape = shape
        self._start = self._file.tell()
        self._row_bytes = 4 * shape[1]
        if (
            os.fstat(self._file.fileno()).st_size
            < self._start + 4 * shape[0] * shape[1]
        ):
            raise ValueError("it is truncated")

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._read(start, max(stop - start, 0))
        rows = np.arange(len(self))[index]
        flat = rows.ravel()
        found = np.empty((len(flat), self.shape[1]), dtype=np.float32)
        # Rows that follow one another are read at once.
        ends = np.flatnonzero(np.diff(flat) != 1) + 1
        for place in np.split(np.arange(len(flat)), ends) if len(flat) else ():
            found[place] = self._read(int(flat[place[0]]), len(place))
        return found.reshape(*rows.shape, self.shape[1])

    def _read(self, first, n_rows):
        found = np.empty((n_rows, self.shape[1]), dtype=np.float32)
        left = found.reshape(-1).view(np.uint8).data
        place = self._start + first * self._row_bytes
        while len(left):
            n_bytes = os.preadv(self._file.fileno(), [left], place)
            if not n_bytes:
                raise ValueError(
                    f"{str(self._path)!r} was truncated after it was opened."
                )
            left, place = left[n_bytes:], place + n_bytes
        return found

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict) -> Self:
        return self

    def __reduce__(self):
        return ArrayRows, (self[:],)

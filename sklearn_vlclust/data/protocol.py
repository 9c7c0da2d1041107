"""What every matrix of rows offers, wherever its values are."""

import numpy as np
import torch

from .._backend._device import to_device


class Rows:
    """A matrix whose rows are read when asked for.

    A subclass sets `shape` and reads rows in `__getitem__`; the rest follows from
    these. What consumes rows asks for nothing else.

    Attributes
    ----------
    shape : tuple of int
        ``(n_samples, n_features)``.
    dtype : dtype
        Of the rows that are read: float32 or float64.
    device : torch.device
        Where the values are.
    has_counts : bool
        Whether values are stored as integers: then a row of zeros is like any other.
    """

    ndim = 2
    dtype: np.dtype = np.dtype(np.float32)
    device = torch.device("cpu")
    has_counts = False
    shape: tuple[int, int]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        """Return the rows of a slice, a mask or an integer array, as an array."""
        raise NotImplementedError

    @property
    def itemsize(self):
        """Bytes per entry of the rows that are read."""
        return self.dtype.itemsize

    def tensor(self, index, device=None):
        """Return the rows of a slice or an integer array, on a device."""
        return to_device(as_tensor(self[index]), device or self.device)

    def lengths(self, dtype=None):
        """Return the length of each row on `device`, or None if unknown unread."""
        return None

    def name_row(self, row):
        """Say where a row is, for an error message."""
        return f"Row {row} of X"


class ArrayRows(Rows):
    """The rows of an array.

    Parameters
    ----------
    array : ndarray of shape (n_samples, n_features)
        Values.
    dtype : dtype, default=None
        Of the rows that are read; that of the array if None.
    """

    def __init__(self, array, dtype=None):
        self._array = array
        self.shape, self.dtype = array.shape, np.dtype(dtype or array.dtype)

    def __getitem__(self, index):
        return self._array[index].astype(self.dtype, copy=False)


def as_rows(X, dtype=None):
    """Return an array as :class:`Rows`, read in `dtype`; rows as they are."""
    return X if isinstance(X, Rows) else ArrayRows(X, dtype)


def as_tensor(x):
    """Return an array as a tensor: the same memory, which nobody is to write to.

    torch warns about read-only memory, such as a memory-mapped file.
    """
    x = np.require(x, requirements="C")
    return torch.from_numpy(x if x.flags.writeable else np.asarray(_Unlocked(x)))


class _Unlocked:
    """The memory of a read-only array, passed off as one that may be written to."""

    def __init__(self, x):
        self._held = x  # as long as there are arrays of its memory
        address, _ = x.__array_interface__["data"]
        self.__array_interface__ = x.__array_interface__ | {"data": (address, False)}

"""Unit-length rows of an embedding matrix of any size."""

from functools import partial

import numpy as np
import torch

from .._backend._device import to_device
from .protocol import Rows, as_rows

# Below this size the unit rows are kept in memory; above, they are computed block by
# block, so a memory-mapped X is never copied whole.
DENSE_BYTES = 256 * 2**20
BLOCK_ROWS = 16_384
# Range of lengths that single precision can square; others use double precision.
SHORTEST, LONGEST = 1e-15, 1e15


class UnitRows(Rows):
    """The rows of `X`, scaled to unit length, as float32.

    Parameters
    ----------
    X : ndarray or Rows of shape (n, d), float
        Embeddings. Never written to.
    dense_bytes : int, default=256 MiB
        Float32 size up to which the unit rows are kept in memory.
    zero_rows : bool, default=False
        Whether rows of zeros are let through, as zeros.

    Attributes
    ----------
    shape : tuple of int
        ``(n, d)``.
    norms : ndarray of shape (n,), float32
        Length of every row of `X`.
    device : torch.device
        Where `X` is.

    Raises
    ------
    ValueError
        If a row is all zeros (it has no direction), or not finite.
    """

    def __init__(self, X, dense_bytes=DENSE_BYTES, zero_rows=False):
        X = self._X = as_rows(X)
        self.shape = X.shape
        self.norms = np.empty(len(X), dtype=np.float32)
        self._dense = None
        if X.shape[0] * X.shape[1] * 4 <= dense_bytes:
            self._dense = np.empty(X.shape, dtype=np.float32)
        for block, x, norms in measured_blocks(X, zero_rows):
            self.norms[block] = norms.cpu().numpy()
            if self._dense is not None:
                self._dense[block] = divide_rows(x, norms).cpu().numpy()
        self.device = X.device

    def __getitem__(self, rows):
        """Return the unit rows `rows` (slice, mask or index array), float32."""
        if self._dense is not None:
            return self._dense[rows]
        x = np.array(self._X[rows], dtype=np.float32)
        x /= self.norms[rows][..., None]
        return x

    def tensor(self, rows, device=None):
        """Return the unit rows `rows` (slice or index array) on a device, float32.

        Those of a tensor are made where it is, and go to no other device than this one.
        """
        if self._dense is not None and self.device.type == "cpu":
            return super().tensor(rows, device)
        x = self._X.tensor(rows).float()
        norms = to_device(torch.from_numpy(self.norms[rows]), self.device)
        return (x / norms[:, None]).to(device or self.device)

    def lengths(self, dtype=None):
        """Return ones: the lengths of the rows that are returned."""
        return torch.ones(len(self), device=self.device)

    def some(self, index):
        """Return the rows of an index array, as rows of their own."""
        return SomeRows(self, index)

    @property
    def in_memory(self):
        """Whether all unit rows are held in memory."""
        return self._dense is not None

    def blocks(self, size=BLOCK_ROWS):
        """Yield ``(slice, unit rows)`` over all rows, `size` rows at a time."""
        for block in row_blocks(len(self), size):
            yield block, self[block]


class SomeRows(UnitRows):
    """Some of the rows of others, which are not copied unless these are in memory.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Rows.
    index : int array of shape (m,)
        Which of them, in the order wanted.
    """

    def __init__(self, rows, index):
        self._rows, self._index = rows, index
        self.shape = len(index), rows.shape[1]
        self.norms, self.device = rows.norms[index], rows.device
        self._dense = rows[index] if rows.in_memory else None

    def __getitem__(self, rows):
        """Return the unit rows `rows` (slice, mask or index array), float32."""
        if self._dense is not None:
            return self._dense[rows]
        return self._rows[self._index[rows]]

    def tensor(self, rows, device=None):
        """Return the unit rows `rows` (slice or index array) on a device, float32."""
        if self._dense is not None and self.device.type == "cpu":
            return Rows.tensor(self, rows, device)
        return self._rows.tensor(self._index[rows], device)


def measured_blocks(X, zero_rows, size=BLOCK_ROWS):
    """Yield ``(slice, rows, lengths)`` of blocks of `X`: tensors, where `X` is.

    Rows of extreme length, which a matrix product could not take, come at length 1.
    """
    X = as_rows(X)
    # All at once where they are known: each look at them would wait for a GPU.
    lengths = _checked(X.lengths, 0, zero_rows, X)
    for block in row_blocks(len(X), size):
        x = X.tensor(block)
        norms = (
            _checked(partial(_measure, x), block.start, zero_rows, X)
            if lengths is None
            else lengths[block]
        )
        if norms.dtype != x.dtype:
            x, norms = divide_rows(x, norms), torch.ones_like(x[:, 0])
        yield block, x, norms


def _measure(x, dtype=None):
    return torch.linalg.vector_norm(x, dim=1, dtype=dtype or x.dtype)


def _checked(measure, first_row, zero_rows, X):
    """Return ``measure()``, in double precision if single does not reach.

    `first_row` is the number of the first row that is measured.
    """
    norms = measure()
    if norms is None:
        return None
    if not bool(((norms > SHORTEST) & (norms < LONGEST)).all()):
        norms = measure(torch.float64)
        if zero_rows:
            norms = norms.masked_fill(norms == 0, 1)
        bad = torch.nonzero(~norms.isfinite() | (norms == 0))
        if len(bad):
            _refuse(int(bad[0]), norms[bad[0]].item(), first_row, X)
    return norms


def _refuse(row, norm, first_row, X):
    what = "is all zeros" if norm == 0 else "has NaN, infinity or overflows"
    raise ValueError(
        f"{X.name_row(row + first_row)} {what}: every row must be a finite, non-zero "
        "vector, as only its direction is used."
    )


def divide_rows(x, norms):
    """Divide the rows of a tensor by their lengths, in double precision if these are.

    The dtype of the rows is kept.
    """
    return (x / norms[:, None]).to(x.dtype)


def unit(rows):
    """Return the rows of an array at unit length, a new array; rows of zeros stay."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def row_blocks(n, size=BLOCK_ROWS):
    """Return the slices that cut `n` rows into blocks."""
    return (slice(i, min(i + size, n)) for i in range(0, n, size))

"""Unit-length rows of an embedding matrix of any size."""

import numpy as np

# Below this size the unit rows are kept in memory; above, they are made a block at a
# time, so that a memory-mapped X costs no second copy of itself.
DENSE_BYTES = 256 * 2**20
BLOCK_ROWS = 16_384


class UnitRows:
    """The rows of `X`, scaled to unit length, as float32.

    Parameters
    ----------
    X : ndarray, memmap or ShardedRows of shape (n, d), float
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

    Raises
    ------
    ValueError
        If a row is all zeros (it has no direction), or not finite.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, X, dense_bytes=DENSE_BYTES, zero_rows=False):
        self._X = X
        self.shape = X.shape
        self.norms = np.empty(len(X), dtype=np.float32)
        self._dense = None
        if X.shape[0] * X.shape[1] * 4 <= dense_bytes:
            self._dense = np.empty(X.shape, dtype=np.float32)
        for block in row_blocks(len(X)):
            x = X[block]
            norms = row_norms(x, block.start, zero_rows, X)
            self.norms[block] = norms
            if self._dense is not None:
                self._dense[block] = x / norms[:, None]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Return the unit rows `rows` (slice, mask or index array), float32."""
        if self._dense is not None:
            return self._dense[rows]
        x = np.array(self._X[rows], dtype=np.float32)
        x /= self.norms[rows][..., None]
        return x

    @property
    def in_memory(self):
        """Whether all unit rows are held in memory."""
        return self._dense is not None

    def blocks(self, size=BLOCK_ROWS):
        """Yield ``(slice, unit rows)`` over all rows, `size` rows at a time."""
        for block in row_blocks(len(self), size):
            yield block, self[block]


def row_norms(x, first_row=0, zero_rows=False, X=None):
    """Return the length of each row; 1 for a row of zeros if it may be one.

    `first_row` is the number of the first row in the message of the error, and `X` what
    the rows are of, which may know where it has them from.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", x, x)
    if not ((squares > 1e-30) & (squares < 1e30)).all():
        # Rows as long as 1e30 or as short as 1e-30 still have a direction.
        squares = np.einsum("ij,ij->i", x, x, dtype=np.float64)
    norms = np.sqrt(squares)
    if zero_rows:
        norms[norms == 0] = 1
    bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(bad):
        what = "has NaN, infinity or overflows" if norms[bad[0]] else "is all zeros"
        row = first_row + int(bad[0])
        name = X.name_row(row) if hasattr(X, "name_row") else f"Row {row} of X"
        raise ValueError(
            f"{name} {what}: every row must be a finite, non-zero vector, as only its "
            "direction is used."
        )
    return norms


def row_blocks(n, size=BLOCK_ROWS):
    """Return the slices that cut `n` rows into blocks."""
    return (slice(i, min(i + size, n)) for i in range(0, n, size))

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
    X : ndarray or memmap of shape (n, d), float
        Embeddings. Never written to.
    dense_bytes : int, default=256 MiB
        Float32 size up to which the unit rows are kept in memory.

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

    def __init__(self, X, dense_bytes=DENSE_BYTES):
        self._X = X
        self.shape = X.shape
        self.norms = np.empty(len(X), dtype=np.float32)
        self._dense = None
        if X.shape[0] * X.shape[1] * 4 <= dense_bytes:
            self._dense = np.empty(X.shape, dtype=np.float32)
        for block in _blocks(len(X), BLOCK_ROWS):
            self._measure(block)

    def _measure(self, block):
        # float64: rows as long as 1e30 or as short as 1e-30 still have a direction.
        x = np.asarray(self._X[block], dtype=np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", x, x))
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            row, norm = block.start + int(bad[0]), norms[bad[0]]
            what = "is all zeros" if norm == 0 else "has NaN, infinity or overflows"
            raise ValueError(
                f"Row {row} of X {what}: every row must be a finite, non-zero vector, "
                "as only its direction is used."
            )
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
        for block in _blocks(len(self), size):
            yield block, self[block]


def _blocks(n, size):
    return (slice(i, min(i + size, n)) for i in range(0, n, size))

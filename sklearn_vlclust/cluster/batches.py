"""Batches of unit rows and their nearest neighbors, for training."""

import numpy as np
import torch

from .._backend._device import to_device
from ..data.rows import row_blocks
from ..neighbors import kneighbors

# Largest number of rows for an exhaustive neighbor search.
EXACT_ROWS = 50_000


class RowBatches:
    """Unit rows, (n, d), on the device, and random nearest neighbors of theirs.

    Rows held in memory are moved to the device once, others on demand. A subclass
    defines a batch by ``batch(index)``. `generator` draws the neighbors.
    """

    def __init__(self, rows, generator, device):
        self.rows, self.generator, self.device = rows, generator, device
        self._held = rows.tensor(slice(None), device) if rows.in_memory else None

    def __len__(self):
        return len(self.rows)

    def blocks(self):
        """Yield all rows block by block."""
        if self._held is not None:
            yield self._held
            return
        for block in row_blocks(len(self.rows)):
            yield self.rows.tensor(block, self.device)

    def _gather(self, index):
        """Return the rows `index`, a CPU tensor of shape (b,): (b, d)."""
        if self._held is not None:
            return self._held.index_select(0, to_device(index, self.device))
        return self.rows.tensor(index.numpy(), self.device)

    def _draw(self, near):
        """Return a random entry of each row of `near`, a CPU tensor (b, k): (b,)."""
        column = torch.randint(near.shape[1], (len(near), 1), generator=self.generator)
        return near.gather(1, column)[:, 0].long()


class NeighborBatches(RowBatches):
    """Unit rows, each with one of its nearest neighbors at random (not in the paper).

    `near`, (n, k), has the nearest rows of each; `k` may be 0.
    """

    def __init__(self, rows, near, generator, device):
        super().__init__(rows, generator, device)
        self.near = torch.from_numpy(near)

    def batch(self, index):
        """Return the rows `index` and, if there are any, their neighbors: (b, d)."""
        near = self.near[index]
        if not near.shape[1]:
            return (self._gather(index),)
        return self._gather(index), self._gather(self._draw(near))


class NeighborViews(NeighborBatches):
    """Unit rows as one view, a random nearest neighbor of each as the other.

    Batches contain both views; without neighbors, both are the row itself.
    """

    def batch(self, index):
        """Return the rows `index`, a neighbor of each, and `index` itself."""
        u, *near = super().batch(index)
        return u, near[0] if near else u, index


def given_views(*samples):
    """Return the views in a batch of :class:`NeighborViews`, unchanged."""
    return samples


def knn_indices(rows, n_neighbors, rng, device):
    """Return the nearest neighbors of each row, (n, k), with k at most n - 1."""
    n = len(rows)
    if k := min(n_neighbors, n - 1):
        return kneighbors(
            rows, k, exact_limit=EXACT_ROWS, random_state=rng, device=device
        )[0]
    return np.empty((n, 0), dtype=np.int32)

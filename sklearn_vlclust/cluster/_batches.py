"""Unit rows and their near rows, as batches of training."""

import torch


class RowBatches:
    """Unit rows, on the device, and random ones of their near rows.

    Rows that are held in memory are moved to the device once, others as they are asked
    for. A subclass says in ``batch(index)`` what of them a batch is.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Embeddings.
    generator : torch.Generator
        Draws the neighbors.
    device : torch.device
        Where batches are wanted.
    """

    def __init__(self, rows, generator, device):
        self.rows, self.generator, self.device = rows, generator, device
        self._held = torch.from_numpy(rows[:]).to(device) if rows.in_memory else None

    def __len__(self):
        return len(self.rows)

    def blocks(self):
        """Yield all rows block by block."""
        if self._held is not None:
            yield self._held
            return
        for _, block in self.rows.blocks():
            yield torch.from_numpy(block).to(self.device)

    def _gather(self, index):
        """Return the rows `index`, a CPU tensor of shape (b,): (b, d)."""
        if self._held is not None:
            return self._held[index.to(self.device)]
        return torch.from_numpy(self.rows[index.numpy()]).to(self.device)

    def _draw(self, near):
        """Return a random entry of each row of `near`, a CPU tensor (b, k): (b,)."""
        column = torch.randint(near.shape[1], (len(near), 1), generator=self.generator)
        return near.gather(1, column)[:, 0].long()

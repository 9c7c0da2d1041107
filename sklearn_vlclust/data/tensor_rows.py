"""Embeddings given as a torch tensor, on any device."""

import numpy as np
import torch

from .._backend._device import to_device
from .protocol import Rows


class TensorRows(Rows):
    """The rows of a tensor, which stays on its device.

    Parameters
    ----------
    tensor : torch.Tensor of shape (n_samples, n_features)
        Integers or floating point numbers.

    Attributes
    ----------
    shape : tuple of int
        ``(n_samples, n_features)``.
    dtype : dtype
        Of the rows that are read: float64 if the tensor is, float32 otherwise.
    device : torch.device
        Where the tensor is.
    has_counts : bool
        Whether the tensor holds integers.

    Raises
    ------
    ValueError
        If the tensor is not a matrix, has no columns, or is complex.
    """

    def __init__(self, tensor):
        if tensor.ndim != 2 or not tensor.shape[1]:
            raise ValueError(
                f"Expected 2D array, got a tensor of shape {tuple(tensor.shape)}: X is "
                "of shape (n_samples, n_features)."
            )
        if tensor.is_complex():
            raise ValueError(f"Complex data not supported: X is {tensor.dtype}.")
        self.has_counts = not tensor.is_floating_point()
        self._tensor = tensor.detach().float() if self.has_counts else tensor.detach()
        self.shape = tuple(tensor.shape)
        double = tensor.dtype == torch.float64
        self.dtype = np.dtype(np.float64 if double else np.float32)
        self._dtype = torch.float64 if double else torch.float32
        self.device = tensor.device

    def __getitem__(self, index):
        """Return rows as an array: a copy, off the device."""
        return self.tensor(index).cpu().numpy()

    def tensor(self, index, device=None):
        """Return the rows of an integer, a slice, a mask or integers, on a device."""
        return self._tensor[self.place(index)].to(device or self.device, self._dtype)

    def place(self, index):
        """Return an index as the tensor takes it."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step > 0:
                return slice(start, stop, step)
            index = np.arange(start, stop, step)
        if isinstance(index, np.ndarray | list):
            index = to_device(torch.as_tensor(index), self.device)
        return index

    def lengths(self, dtype=None):
        """Return the length of each row, on the device, summed in `dtype`."""
        return torch.linalg.vector_norm(self._tensor, dim=1, dtype=dtype or self._dtype)

"""Devices and random generators."""

from __future__ import annotations

import torch

from .._typing import Device


def resolve_device(device: Device) -> torch.device:
    """Return the torch device that `device` names.

    Parameters
    ----------
    device : str or torch.device
        "auto" picks CUDA, then MPS, then the CPU; anything else is passed to torch.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch does not know the device, or this machine does not have it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"device={device!r} cannot be used here ({reason}). "
            "Use 'auto', 'cpu', 'cuda', 'cuda:0' or 'mps'."
        ) from error
    return resolved


def new_generator(seed):
    """Return a private generator: the global torch seed is the user's, not ours.

    It lives on the CPU, so that the same seed draws the same numbers on any device.
    """
    return torch.Generator().manual_seed(int(seed))


def to_device(tensor, device):
    """Copy a CPU tensor to a device without waiting for running work.

    CUDA waits at every copy from pageable memory, so it is pinned first. Work queued
    later sees the copy; the tensor may be dropped once this returns.
    """
    if torch.device(device).type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

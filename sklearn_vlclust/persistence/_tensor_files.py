"""Tensors and a JSON header in one safetensors file, with a checksum over both."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .._backend._files import new_hash, write_atomically
from .._typing import StrPath
from ..data.memory import check_memory


def write_tensors(
    path: StrPath, kind: str, header: dict, tensors: dict[str, torch.Tensor]
) -> None:
    """Write a file of tensors in one step.

    Parameters
    ----------
    path : str or Path
        The file; replaced if it exists.
    kind : str
        Name that the header has in the file.
    header : dict of str to JSON value
        All but ``"version"`` counts for the checksum.
    tensors : dict of str to Tensor
        On the CPU, contiguous, none a part of another.

    Raises
    ------
    OSError
        If the file cannot be written, such as on a full disk.
    """
    header = header | {"checksum": _checksum(header, tensors)}
    metadata = {kind: json.dumps(header)}
    try:
        write_atomically(path, lambda name: save_file(tensors, name, metadata))
    except SafetensorError as error:
        raise OSError(f"{str(path)!r} could not be written: {error}.") from error


class FormatError(ValueError):
    """A file is of a format that cannot be read."""


def read_tensors(
    path: StrPath, kind: str, what: str, formats: Container[int]
) -> tuple[dict, dict[str, torch.Tensor]]:
    """Read back what `write_tensors` wrote, all of it into memory.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        Name of the header.
    what : str
        What such a file is called, for messages.
    formats : sequence of int
        Values of ``header["format"]`` that can be read.

    Returns
    -------
    header : dict of str to JSON value
        Not yet compared with the checksum: see `verify`.
    tensors : dict of str to Tensor
        None a view of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PermissionError
        If it may not be read.
    FormatError
        If it is of another format.
    ValueError
        If it is not whole, or of another kind.
    """
    try:
        with open(path, "rb"):  # safetensors would say that it is not there
            pass
    except PermissionError as error:
        raise PermissionError(f"The {what} {str(path)!r} may not be read.") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no {what} {str(path)!r}.") from error
    # `safe_open` compares the sizes that the file declares with its own.
    with naming(path, what), safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {})[kind])
        found = header["format"]
        if type(found) is not int or found not in formats:
            raise FormatError(found, header.get("version"))
        check_memory(os.path.getsize(path), "It", "")
        names = sorted(file.keys())
        tensors = {name: file.get_tensor(name).clone() for name in names}
    return header, tensors


def verify(header: dict, tensors: dict[str, torch.Tensor]) -> None:
    """Raise ValueError if a file of `read_tensors` is damaged; format 1 has no sum."""
    expected = header.get("checksum")
    if expected is None and header["format"] == 1:
        return
    if expected != _checksum(header, tensors):
        raise ValueError("its checksum is wrong")


@contextmanager
def naming(path: StrPath, what: str) -> Iterator[None]:
    """Make every error of reading a file a ValueError that names it."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:  # of many types: it depends on what is damaged
        raise ValueError(
            f"{str(path)!r} is not a whole {what} ({type(error).__name__}: {error})."
        ) from error


def _checksum(header: dict, tensors: dict[str, torch.Tensor]) -> str:
    counted = {k: v for k, v in header.items() if k not in ("version", "checksum")}
    total = new_hash(json.dumps(counted).encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"\0{name}\0{tensor.dtype}{list(tensor.shape)}".encode())
        flat = tensor.reshape(-1)
        if flat.stride(0) != 1:  # as a single number of an expanded tensor may have
            flat = flat.clone(memory_format=torch.contiguous_format)
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()

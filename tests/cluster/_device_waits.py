"""Finds what would make a GPU wait, without a GPU.

Tensors on the device "meta" have shapes and no values: what asks for a value of theirs
cannot be computed. Other operations are given away by their name, or by tensors that
come from elsewhere.
"""

import sys
import traceback
from collections import Counter
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import sklearn_vlclust

DEVICE = torch.device("meta")
# Operations of ATen of which the CPU reads a result, or the size of one.
READING = {
    "_linalg_check_errors",  # of linalg.solve, cholesky, inv ... without _ex
    "_linalg_eigh",
    "_linalg_svd",
    "_local_scalar_dense",  # item, bool, int, float
    "_unique",
    "_unique2",
    "allclose",
    "bincount",
    "equal",
    "histc",
    "is_nonzero",
    "linalg_eig",
    "linalg_lstsq",
    "masked_select",
    "multinomial",
    "nonzero",
    "nonzero_static",
    "unique_consecutive",
    "unique_dim",
}
# Where a mask or a row number on the CPU is read or copied first.
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class DeviceWaits(TorchDispatchMode):
    """Counts in `found` the operations on the device that would make the CPU wait.

    An entry says what it is and on which line of the library it was asked for.
    """

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        reason = _why_it_waits(function, args, kwargs or {})
        if reason:
            self.found[f"{reason} in {_line_of_the_library()}"] += 1
        result = function(*args, **(kwargs or {}))
        if _name(function) == "lift_fresh" and _on_device([result]):
            line = _line_of_the_library()
            self.found[f"copy of Python numbers in {line}"] += 1
        return result


def _why_it_waits(function, args, kwargs):
    name = _name(function)
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    there = _on_device(given)
    if name == "repeat_interleave" and there and not kwargs.get("output_size"):
        return name
    if name in READING and there:
        return name
    if name in INDEXING and (there or _on_device(given[:1])):
        index = [x for x in args[1] if x is not None]
        if any(x.dtype in (torch.bool, torch.uint8) for x in index):
            return f"{name} of a mask"
        if any(x.device != args[0].device for x in index):
            return f"{name} by an index that is elsewhere"
    if name in ("_to_copy", "copy_"):
        return _why_copy_waits(name, args, kwargs)
    if there and any(x.device != DEVICE and x.dim() for x in given):
        return f"{name} of tensors here and there"
    return None


def _why_copy_waits(name, args, kwargs):
    if name == "copy_":
        target, source = args[0].device, args[1].device
    else:
        source = args[0].device
        target = torch.device(kwargs.get("device") or source)
    if source == target:
        return None
    if source == DEVICE:
        return "copy to the CPU"
    if _is_called_by("to_device"):
        return None  # pinned on a GPU
    return "copy from memory that is not pinned"


def _name(function):
    return function._schema.name.partition("::")[2]


def _on_device(tensors):
    return [x for x in tensors if isinstance(x, torch.Tensor) and x.device == DEVICE]


def _is_called_by(name):
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != name:
        frame = frame.f_back
    return frame is not None


def _line_of_the_library():
    folder = str(Path(sklearn_vlclust.__file__).parent)
    lines = [f for f in traceback.extract_stack() if f.filename.startswith(folder)]
    if not lines:
        return "the test"
    return f"{Path(lines[-1].filename).relative_to(folder)}: {lines[-1].line}"

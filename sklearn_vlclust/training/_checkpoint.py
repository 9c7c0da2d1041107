"""Training state on disk: written every epoch, resumed exactly."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from skorch import NeuralNet

from .._typing import StrPath
from ..persistence._tensor_files import (
    FormatError,
    naming,
    read_tensors,
    verify,
    write_tensors,
)

# Format 1 had no checksum.
FORMAT, READABLE = 2, (1, 2)
KIND, WHAT = "sklearn_vlclust_checkpoint", "checkpoint file"


class Checkpoint:
    """State of a training run in one safetensors file, without pickle.

    Parameters
    ----------
    path : str or Path
        The file.
    identity : dict of str to JSON value
        Identity of the run: class, parameters, seed, fingerprint of the data. A file
        with another identity is refused.
    generator : torch.Generator
        Source of all randomness of the training.
    """

    def __init__(
        self, path: StrPath, identity: dict, generator: torch.Generator
    ) -> None:
        self.path = Path(path)
        self.identity = identity
        self.generator = generator

    def restore(self, net: NeuralNet) -> None:
        """Put `net` and the generator in the state of the file, if there is one.

        Raises
        ------
        ValueError
            If the file is not a whole checkpoint, or is another run's.
        """
        if not self.path.exists():
            return
        header, tensors = read_checkpoint(self.path)
        self._check_identity(header["identity"])
        with naming(self.path, WHAT):
            self._put(header, tensors, net)

    def _put(self, header: dict, tensors: dict, net: NeuralNet) -> None:
        generator = tensors.pop("generator")
        parts: dict[str, dict] = {"module": {}, "criterion": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            parts[part][key] = value
            if value.is_floating_point() and not value.isfinite().all():
                raise ValueError(f"{name} is not finite")
        net.module_.load_state_dict(parts["module"])
        net.criterion_.load_state_dict(parts["criterion"])
        state = net.optimizer_.state_dict()
        state["state"] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition("/")
            state["state"].setdefault(int(index), {})[key] = value
        net.optimizer_.load_state_dict(state)
        # Files hold rows in order; fused steps read weights and moments side by side.
        for weight, moments in net.optimizer_.state.items():
            for name, value in moments.items():
                if value.shape == weight.shape:
                    moments[name] = torch.empty_like(weight).copy_(value)
        net.history.extend(header["history"])
        self.generator.set_state(generator)

    def save(self, net: NeuralNet) -> None:
        """Write the state of `net`; a file that cannot be written is a warning."""
        tensors = {"generator": self.generator.get_state()}
        for part, module in (("module", net.module_), ("criterion", net.criterion_)):
            for name, value in module.state_dict().items():
                tensors[f"{part}/{name}"] = value
        for index, state in net.optimizer_.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimizer/{index}/{name}"] = torch.as_tensor(value)
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        header = {
            "format": FORMAT,
            "identity": self.identity,
            "history": [dict(row, batches=[]) for row in net.history],
        }
        try:
            write_tensors(self.path, KIND, header, tensors)
        except OSError as error:
            # Losing a checkpoint is better than losing the run: continue.
            warnings.warn(
                f"checkpoint={str(self.path)!r} could not be written ({error}); "
                "training goes on, and the previous checkpoint, if any, is kept.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _check_identity(self, found: dict) -> None:
        differing = [
            f"{name}: {found.get(name)!r} in the file, {value!r} now"
            for name, value in self.identity.items()
            if found.get(name) != value
        ]
        if differing:
            raise ValueError(
                f"checkpoint={str(self.path)!r} was written by another fit "
                f"({'; '.join(differing)}). Delete the file or name another one."
            )


def read_checkpoint(path: StrPath) -> tuple[dict, dict[str, torch.Tensor]]:
    """Return header and tensors of a checkpoint file.

    Raises
    ------
    ValueError
        If the file is not a whole checkpoint of a version that can be read.
    PermissionError
        If it may not be read.
    """
    try:
        header, tensors = read_tensors(path, KIND, WHAT, READABLE)
        with naming(path, WHAT):
            verify(header, tensors)
            history, seed = header["history"], header["identity"].get("seed", 0)
            if not all(isinstance(row, dict) for row in history) or not isinstance(
                seed, int
            ):
                raise ValueError("its history or its seed is damaged")
    except FormatError as error:
        raise ValueError(
            f"checkpoint={str(path)!r} has format {error.args[0]}, this version reads "
            f"format {' or '.join(map(str, READABLE))}. Delete it to start anew."
        ) from None
    except ValueError as error:
        raise ValueError(f"checkpoint={error} Delete it to start anew.") from error
    return header, tensors

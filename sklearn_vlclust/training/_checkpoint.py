"""Training state on disk: written every epoch, resumed exactly."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from skorch import NeuralNet

from .._backend._files import write_atomically
from .._typing import StrPath

FORMAT = 1


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
        self.generator.set_state(tensors.pop("generator"))
        parts: dict[str, dict] = {"module": {}, "criterion": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            parts[part][key] = value
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
        metadata = {"sklearn_vlclust_checkpoint": json.dumps(header)}
        try:
            write_atomically(self.path, lambda name: save_file(tensors, name, metadata))
        except (OSError, SafetensorError) as error:
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
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["sklearn_vlclust_checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"checkpoint={str(path)!r} is not a whole checkpoint file "
            f"({type(error).__name__}: {error}). Delete it to start anew."
        ) from error
    if header["format"] != FORMAT:
        raise ValueError(
            f"checkpoint={str(path)!r} has format {header['format']}, this version "
            f"reads format {FORMAT}. Delete it to start anew."
        )
    return header, tensors

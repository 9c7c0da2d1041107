"""The training loop: skorch, with batches sliced from whole tensors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback

from .._typing import Int
from ._checkpoint import Checkpoint


class StopTraining(Exception):
    """Raised by a callback to end training after the current epoch."""


class RandomBatches:
    """Batches of a source in random order, anew every epoch.

    Rows are gathered batch by batch from whole tensors or arrays. A DataLoader that
    collates row by row was measured 2-5 times slower for heads as small as ours.

    Parameters
    ----------
    source : object
        Has ``len()`` and ``batch(index) -> tuple of tensors``, where `index` is a CPU
        int64 tensor of row numbers.
    batch_size : int
        Largest number of rows per batch. Batches have even sizes, so that the last one
        is not tiny.
    generator : torch.Generator
        Source of the order.
    """

    def __init__(
        self, source: Any, batch_size: Int, generator: torch.Generator
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self) -> int:
        return int(-(-len(self.source) // self.batch_size))

    def __iter__(self) -> Iterator[tuple]:
        order = torch.randperm(len(self.source), generator=self.generator)
        for index in order.tensor_split(len(self)):
            yield self.source.batch(index)


class ClusteringNet(NeuralNet):
    """A skorch net whose criterion sees module and batch, and names its loss terms.

    The criterion is a module called as ``criterion(module, *batch)``. It returns a dict
    of scalar tensors: all are recorded, and ``"loss"`` is minimized. Its method
    ``start_epoch(module, epoch)`` is called before every epoch. Its attribute
    `lr_factor`, where it has one, multiplies the learning rate of the epoch.

    Losses stay on the device and are read once per epoch: skorch's ``.item()`` per
    batch makes CUDA wait. Weights are checked for NaN once per epoch as well: a failed
    factorization or an overflow shows up there.
    """

    @property
    def _default_callbacks(self) -> list:
        return []

    def check_data(self, X: Any, y: object = None) -> None:
        """Accept any iterable of batches."""

    def get_split_datasets(
        self, X: Any, y: object = None, **_: Any
    ) -> tuple[Any, None]:
        """Train on everything: there are no labels to validate with."""
        return X, None

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return `dataset`, which yields batches already."""
        return dataset

    def train_step(self, batch: Any, **_: Any) -> dict[str, torch.Tensor]:
        """Take one optimizer step and return the loss terms."""
        self.optimizer_.zero_grad(set_to_none=True)
        losses = self.criterion_(self.module_, *batch)
        losses["loss"].backward()
        self.optimizer_.step()
        return losses

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **_: Any
    ) -> None:
        """Run `step_fn` on every batch and record the mean of each loss term.

        Raises
        ------
        FloatingPointError
            If the weights are not finite at the end of the epoch.
        """
        if iterator is None:
            return
        self.criterion_.start_epoch(self.module_, len(self.history) - 1)
        for group in self.optimizer_.param_groups:
            initial = group.setdefault("initial_lr", group["lr"])
            group["lr"] = initial * getattr(self.criterion_, "lr_factor", 1.0)
        self._set_training(training)
        steps = []
        for batch in iterator:
            losses = step_fn(batch)
            steps.append(torch.stack([value.detach() for value in losses.values()]))
        means = torch.stack(steps).mean(dim=0)
        # A sum is finite if its terms are, and faster than a norm.
        weights = torch.stack([w.detach().sum() for w in self.module_.parameters()])
        *values, weight = torch.cat([means, weights.sum().to(means)[None]]).tolist()
        terms = dict(zip(losses, values))
        if not math.isfinite(weight):
            self._break_off(terms)
        for name, value in terms.items():
            self.history.record(name, value)

    def _break_off(self, terms: dict[str, float]) -> None:
        bad = [f"{name}={x}" for name, x in terms.items() if not math.isfinite(x)]
        lr = self.optimizer_.param_groups[0]["lr"]
        raise FloatingPointError(
            f"Training broke off in epoch {len(self.history)}: weights are no longer "
            f"finite ({', '.join(bad) or 'the last step made them so'}). Give a "
            f"smaller lr than {lr:g}, and no parameters out of the ordinary."
        )


class _AfterEpoch(Callback):
    """Call `hook(net)` after every epoch."""

    def __init__(self, hook: Callable[[NeuralNet], object]) -> None:
        self.hook = hook

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        # In a callback, `predict` works like after the fit, and leaves the
        # running means of batch normalization alone. A step trains in any case.
        net.module_.eval()
        self.hook(net)


def train(
    module: torch.nn.Module,
    criterion: torch.nn.Module,
    batches: RandomBatches,
    *,
    optimizer: type[torch.optim.Optimizer],
    lr: float,
    max_epochs: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    after_epoch: Iterable[Callable[[NeuralNet], object]] = (),
    **optimizer_params: Any,
) -> list[dict]:
    """Train `module` to minimize `criterion`, from a checkpoint where there is one.

    Parameters
    ----------
    module, criterion : torch.nn.Module
        See `ClusteringNet`.
    batches : RandomBatches
        The training data.
    optimizer : type
        A `torch.optim.Optimizer` class.
    lr : float
        Learning rate.
    max_epochs : int
        Number of epochs of the whole training, including resumed ones.
    device : torch.device
        Where module and criterion are moved.
    checkpoint : Checkpoint, default=None
        Restored before the first epoch and written after each.
    after_epoch : sequence of callables
        Called as ``hook(net)`` after every epoch, once its checkpoint is written. A
        hook that raises `StopTraining` ends the training.
    **optimizer_params
        Further arguments of the optimizer.

    Returns
    -------
    history : list of dict
        Per epoch, ``"epoch"`` and the mean of each loss term.

    Raises
    ------
    FloatingPointError
        If the weights are not finite at the end of an epoch. The checkpoint, if any,
        holds the epoch before.
    """
    hooks = ([checkpoint.save] if checkpoint else []) + list(after_epoch)
    net = ClusteringNet(
        module,
        criterion,
        optimizer=optimizer,
        lr=lr,
        train_split=None,
        device=str(device),
        verbose=0,
        callbacks=[(f"hook{i}", _AfterEpoch(hook)) for i, hook in enumerate(hooks)],
        **{f"optimizer__{name}": value for name, value in optimizer_params.items()},
    ).initialize()
    if checkpoint:
        checkpoint.restore(net)
    try:
        net.fit_loop(batches, epochs=max_epochs - len(net.history))
    except StopTraining:
        pass
    except KeyboardInterrupt:
        warnings.warn(
            f"Training was interrupted in epoch {len(net.history)} of {max_epochs}; "
            "the estimator is fitted with what was learned so far.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return [
        {name: value for name, value in row.items() if name != "batches"}
        for row in net.history
        if "loss" in row  # an interrupted epoch has none
    ]

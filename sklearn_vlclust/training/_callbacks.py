"""Callbacks at the end of an epoch: progress bars, user callbacks, scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from .._typing import Int
from ._net import ClusteringNet, StopTraining


def training_phases(criterion: Any, n_epochs: int) -> list[tuple[str, int]]:
    """Return the phases of a training, in order, as pairs of name and epochs.

    A criterion with phases names the phase of an epoch by ``phase(epoch)``, counting
    epochs from 0. Otherwise the training is one phase without a name.
    """
    if not hasattr(criterion, "phase"):
        return [("", n_epochs)]
    names = map(criterion.phase, range(n_epochs))
    return [(name, len(list(epochs))) for name, epochs in groupby(names)]


def name_phases(history: list[dict], phases: list[tuple[str, int]]) -> list[dict]:
    """Return `history` with the phase of each epoch, where there are several."""
    if len(phases) < 2:
        return history
    names = [name for name, n_epochs in phases for _ in range(n_epochs)]
    return [
        {"epoch": row["epoch"], "phase": names[row["epoch"] - 1], **row}
        for row in history
    ]


class ProgressBar:
    """A tqdm bar per phase, with loss and time left; shown only if `verbose`.

    Parameters
    ----------
    name : str
        What is trained.
    phases : list of (str, int)
        See `training_phases`.
    verbose : int
        0 shows nothing.
    """

    def __init__(self, name: str, phases: list[tuple[str, int]], verbose: Int) -> None:
        self.bar: Any = None
        self._ahead = iter(_titles(name, phases))
        self._done = 0  # epochs, all phases together
        if verbose:
            self._open()

    def __call__(self, net: ClusteringNet) -> None:
        """Move the bar to the epochs done."""
        if self.bar is None:
            return
        # A resumed fit starts with epochs that are done.
        for _ in range(self._done, len(net.history) - 1):
            self.bar.initial += 1
            self.bar.n += 1
            self._close_if_full()
        self.bar.set_postfix(loss=f"{net.history[-1]['loss']:.4g}", refresh=False)
        self.bar.update()
        self._close_if_full()
        self._done = len(net.history)

    def close(self) -> None:
        """Leave the bars in place."""
        if self.bar is not None:
            self.bar.leave = self.bar.n > 0  # a phase that never began
            self.bar.close()
            self.bar = None

    def _open(self) -> None:
        from tqdm.auto import tqdm

        title, n_epochs = next(self._ahead, (None, None))
        if title is not None:
            self.bar = tqdm(total=n_epochs, desc=title, unit="epoch")

    def _close_if_full(self) -> None:
        if self.bar.n == self.bar.total:
            self.close()
            self._open()


def _titles(name: str, phases: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Yield title and epochs of each phase; phases of the same name are numbered."""
    total, seen = Counter(phase for phase, _ in phases), Counter[str]()
    for phase, n_epochs in phases:
        seen[phase] += 1
        number = f" {seen[phase]} of {total[phase]}" if total[phase] > 1 else ""
        yield f"{name}, {phase}{number}" if len(phases) > 1 else name, n_epochs


def after_epoch(*hooks: Callable[[ClusteringNet], object]) -> Callable:
    """Return a hook that calls all `hooks`, and ends the training if one is True."""

    def hook(net: ClusteringNet) -> None:
        stops = [hook(net) for hook in hooks]  # call all of them
        if any(stop is True for stop in stops):
            raise StopTraining

    return hook


def notify_callbacks(
    estimator: Any, callbacks: Iterable[Any], n_epochs: int
) -> Callable[[ClusteringNet], bool]:
    """Announce a training to the user's callbacks; return a hook for its epochs.

    The hook calls ``on_epoch_end(estimator, epoch, losses)`` on each, and returns
    whether one of them returned True, to end the training. A callback may also have
    ``on_fit_begin(estimator, n_epochs)``. It is called now, with the number of epochs
    of the whole training, including those that a resumed fit has already done.
    """
    for callback in callbacks:
        if hasattr(callback, "on_fit_begin"):
            callback.on_fit_begin(estimator, n_epochs)

    def hook(net: ClusteringNet) -> bool:
        row = net.history[-1]
        losses = {k: v for k, v in row.items() if k not in ("epoch", "batches")}
        stops = [c.on_epoch_end(estimator, row["epoch"], losses) for c in callbacks]
        return any(stop is True for stop in stops)

    return hook


def notify_sklearn(
    estimator: Any,
    X: Any,
    y: object,
    phases: list[tuple[str, int]],
    snapshot: Callable[[], dict],
) -> tuple[Callable[[ClusteringNet], bool], Callable[[], None]]:
    """Return ``(hook, finish)`` that drive scikit-learn's own callbacks.

    `snapshot` returns the attributes that make a copy of the estimator predict as of
    now, and `X` is what such a copy takes. `y` is passed on, so that a user with labels
    can watch a score; the fit itself never sees it. The hook returns whether a callback
    asks to end the training.
    """
    if not hasattr(estimator, "_init_callback_context"):  # scikit-learn before 1.9
        return lambda net: False, lambda: None
    task = _FitTask(estimator, X, y, phases)

    def hook(net: ClusteringNet) -> bool:
        return task.end_epoch(len(net.history), snapshot)

    return hook, lambda: task.finish(snapshot)


class _FitTask:
    """One fit, as scikit-learn's callbacks see it: a tree of phases and epochs.

    A fit of one phase has epochs only. A task begins when the one before it ends.
    """

    def __init__(
        self, estimator: Any, X: Any, y: object, phases: list[tuple[str, int]]
    ) -> None:
        self._data = {"estimator": estimator, "X": X, "y": y}
        self._has_phases = len(phases) > 1
        self._ahead = iter(phases)
        n_tasks = len(phases) if self._has_phases else phases[0][1]
        self._fit = estimator._init_callback_context(max_subtasks=n_tasks)
        self._fit.call_on_fit_task_begin(**self._data)
        self._phase: Any = None
        self._epoch: Any = None
        self._n_done, self._n_left = 0, 0  # epochs of the fit, of the phase
        self._begin_epoch()

    def end_epoch(self, n_done: int, snapshot: Callable[[], dict]) -> bool:
        """Report `n_done` epochs as done; return whether a callback asks to stop."""
        while self._n_done < n_done - 1:  # before this fit was resumed
            self._end_epoch(None)
            self._begin_epoch()
        stop = self._end_epoch(snapshot)
        if not stop:
            self._begin_epoch()
        return stop

    def finish(self, snapshot: Callable[[], dict]) -> None:
        """End the fit, its phase, and the epoch that was interrupted, if any."""
        if self._epoch is not None:
            self._end(self._epoch, None)
        if self._phase is not None:
            self._end(self._phase, snapshot)
        self._end(self._fit, snapshot)

    def _begin_epoch(self) -> None:
        if not self._n_left:
            name, self._n_left = next(self._ahead, ("", 0))
            if not self._n_left:
                return  # that was the last phase
            if self._has_phases:
                self._phase = self._begin(self._fit, name, self._n_left)
        self._epoch = self._begin(self._phase or self._fit, "epoch", 0)

    def _end_epoch(self, snapshot: Callable[[], dict] | None) -> bool:
        stop, self._epoch = self._end(self._epoch, snapshot), None
        self._n_done += 1
        self._n_left -= 1
        if self._phase is not None and not self._n_left:
            stop |= self._end(self._phase, snapshot)
            self._phase = None
        return stop

    def _begin(self, task: Any, name: str, n_tasks: int) -> Any:
        task = task.subcontext(task_name=name, max_subtasks=n_tasks)
        return task.call_on_fit_task_begin(**self._data)

    def _end(self, task: Any, snapshot: Callable[[], dict] | None) -> bool:
        return task.call_on_fit_task_end(
            **self._data, reconstruction_attributes=snapshot
        )

"""Who is told that an epoch has ended: progress bar, user callbacks, scikit-learn."""

from .._compat import start_fit_task
from ._net import StopTraining


class ProgressBar:
    """One tqdm bar over the epochs, with the loss; nothing unless `verbose`."""

    def __init__(self, name, n_epochs, verbose):
        self.bar = None
        if verbose:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=n_epochs, desc=name, unit="epoch")

    def __call__(self, net):
        """Move the bar to the epochs done."""
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{net.history[-1]['loss']:.4g}", refresh=False)
            self.bar.update(len(net.history) - self.bar.n)

    def close(self):
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()


def notify_callbacks(estimator, callbacks):
    """Return a hook that calls ``on_epoch_end(estimator, epoch, losses)`` on each.

    A callback that returns True ends the training.
    """

    def hook(net):
        row = net.history[-1]
        losses = {k: v for k, v in row.items() if k not in ("epoch", "batches")}
        stops = [c.on_epoch_end(estimator, row["epoch"], losses) for c in callbacks]
        if any(stop is True for stop in stops):
            raise StopTraining

    return hook


def notify_sklearn(estimator, X, y, n_epochs, snapshot):
    """Return ``(hook, finish)`` that drive scikit-learn's own callbacks.

    `snapshot` returns the attributes that make a copy of the estimator predict as of
    now. `y` is passed on, so that a user with labels can watch a score; the fit itself
    never sees it.
    """
    task = start_fit_task(estimator, X, y, n_epochs)

    def hook(net):
        if task.end_epoch(snapshot):
            raise StopTraining

    return hook, task.finish

"""Private or version-dependent names of scikit-learn and torch, used here only."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.cluster._kmeans import _kmeans_single_lloyd
from sklearn.utils import check_array
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_feature_names_in

try:  # scikit-learn >= 1.9, experimental
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.8 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in that gives estimators the same base class list."""


def find_one_dnn_linear():
    """Return torch's private oneDNN product, or None where it does not work.

    Called as ``product(x, weight, bias or None, "none", [], "")``. It is tried once on
    two small products: torch may remove it or change its signature at any time.
    """
    product: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float32, device="cpu")
    weight = torch.tensor([[3.0, 4.0], [5.0, 6.0]], dtype=torch.float32, device="cpu")
    try:
        found = [product(x, weight, bias, "none", [], "") for bias in (None, x[0])]
        works = [row.tolist() for row in found] == [[[11.0, 17.0]], [[12.0, 19.0]]]
    except Exception:  # of any type: it depends on what changed
        return None
    return product if works else None


def lloyd(x, centers, max_iter):
    """Run k-means as :class:`sklearn.cluster.KMeans` does, from given centers.

    That class warns of fewer distinct rows than clusters; to silence it would change
    the filters of warnings, which all threads share.
    """
    x = check_array(x, dtype=[np.float64, np.float32], order="C")
    mean, tolerance = x.mean(axis=0), 1e-4 * x.var(axis=0).mean()
    centers = np.array(centers, dtype=x.dtype, order="C") - mean
    labels, inertia, centers, n_iter = _kmeans_single_lloyd(
        x - mean,
        np.ones(len(x), dtype=x.dtype),
        centers,
        max_iter=max_iter,
        tol=tolerance,
        n_threads=_openmp_effective_n_threads(),
    )
    return SimpleNamespace(
        labels_=labels,
        inertia_=inertia,
        cluster_centers_=centers + mean,
        n_iter_=n_iter,
    )


class _FitTask:
    """One fit, as scikit-learn's callbacks see it: phases, and epochs in them.

    A single phase is no task of its own. A task begins where the one before it ends.
    """

    def __init__(self, estimator, X, y, phases):
        self._data = {"estimator": estimator, "X": X, "y": y}
        self._has_phases = len(phases) > 1
        self._ahead = iter(phases)
        n_tasks = len(phases) if self._has_phases else phases[0][1]
        self._fit = estimator._init_callback_context(max_subtasks=n_tasks)
        self._fit.call_on_fit_task_begin(**self._data)
        self._phase = self._epoch = None
        self._n_done, self._n_left = 0, 0  # epochs, of the fit and of the phase
        self._begin_epoch()

    def end_epoch(self, n_done, snapshot):
        """Tell that `n_done` epochs are; return whether a callback asks to stop."""
        while self._n_done < n_done - 1:  # of the fit that this one goes on with
            self._end_epoch(None)
            self._begin_epoch()
        stop = self._end_epoch(snapshot)
        if not stop:
            self._begin_epoch()
        return stop

    def finish(self, snapshot):
        """End the epoch that was broken off, if any, the phase and the fit."""
        if self._epoch is not None:
            self._end(self._epoch, None)
        if self._phase is not None:
            self._end(self._phase, snapshot)
        self._end(self._fit, snapshot)

    def _begin_epoch(self):
        if not self._n_left:
            name, self._n_left = next(self._ahead, ("", 0))
            if not self._n_left:
                return  # that was the last one
            if self._has_phases:
                self._phase = self._begin(self._fit, name, self._n_left)
        self._epoch = self._begin(self._phase or self._fit, "epoch", 0)

    def _end_epoch(self, snapshot):
        stop, self._epoch = self._end(self._epoch, snapshot), None
        self._n_done += 1
        self._n_left -= 1
        if self._phase is not None and not self._n_left:
            stop |= self._end(self._phase, snapshot)
            self._phase = None
        return stop

    def _begin(self, task, name, n_tasks):
        task = task.subcontext(task_name=name, max_subtasks=n_tasks)
        return task.call_on_fit_task_begin(**self._data)

    def _end(self, task, snapshot):
        return task.call_on_fit_task_end(
            **self._data, reconstruction_attributes=snapshot
        )


class _NoTask:
    def end_epoch(self, n_epochs, snapshot):
        return False

    def finish(self, snapshot):
        pass


def start_fit_task(estimator, X, y, phases):
    """Announce a fit of `phases`, (name, epochs), to the callbacks of `estimator`."""
    if hasattr(estimator, "_init_callback_context"):
        return _FitTask(estimator, X, y, phases)
    return _NoTask()


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "_check_feature_names_in",
    "_fit_context",
    "find_one_dnn_linear",
    "lloyd",
    "start_fit_task",
    "validate_parameter_constraints",
]

"""The private or version-dependent names of scikit-learn, imported here only."""

from sklearn.base import _fit_context
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


class _FitTask:
    """The epochs of one fit, as scikit-learn's callbacks see them."""

    def __init__(self, estimator, X, y, n_epochs):
        self._data = {"estimator": estimator, "X": X, "y": y}
        self._task = estimator._init_callback_context(max_subtasks=n_epochs)
        self._task.call_on_fit_task_begin(**self._data)

    def end_epoch(self, snapshot):
        """Tell the callbacks; return whether one of them asks to stop."""
        epoch = self._task.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(**self._data)
        return epoch.call_on_fit_task_end(
            **self._data, reconstruction_attributes=snapshot
        )

    def finish(self, snapshot):
        self._task.call_on_fit_task_end(
            **self._data, reconstruction_attributes=snapshot
        )


class _NoTask:
    def end_epoch(self, snapshot):
        return False

    def finish(self, snapshot):
        pass


def start_fit_task(estimator, X, y, n_epochs):
    """Announce a fit of `n_epochs` to the callbacks of `estimator`."""
    if hasattr(estimator, "_init_callback_context"):
        return _FitTask(estimator, X, y, n_epochs)
    return _NoTask()


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "_check_feature_names_in",
    "_fit_context",
    "start_fit_task",
    "validate_parameter_constraints",
]

"""The private or version-dependent names of scikit-learn, imported here only."""

import os
from numbers import Integral

from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._repr_html.estimator import _VisualBlock
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in

try:  # scikit-learn >= 1.9, experimental
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.8 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in that gives estimators the same base class list."""


# Where the documentation is; below it are the pages that `make docs` writes. It has no
# public address yet: until it has one, this is the folder they are written to, seen
# from the clone, and VLCLUST_DOCS_URL is for those who put them elsewhere.
DOCS_URL = os.environ.get("VLCLUST_DOCS_URL", "docs/_build/html")


def _shows_result(estimator):
    nested = estimator.get_params(deep=False).values()
    return bool(estimator._result()) and not any(hasattr(v, "fit") for v in nested)


class HTMLReprMixin:
    """How estimators of this library look in a notebook.

    Their diagrams link to pages of this documentation, and say what a fit found.
    """

    _doc_link_module = __name__.partition(".")[0]

    @property
    def _doc_link_template(self):
        return f"{DOCS_URL.rstrip('/')}/api/generated/{{page}}.html"

    def _doc_link_url_param_generator(self):
        return {"page": f"{self._doc_link_module}.{type(self).__name__}"}

    def _result(self):
        """Return what a fit found, in a line; empty before."""
        if not hasattr(self, "n_clusters_") or not hasattr(self, "labels_"):
            return ""
        return (
            f"{_count(self.n_clusters_, 'cluster')}, {_count(self.labels_, 'sample')}"
        )

    @available_if(_shows_result)
    def _sk_visual_block_(self):
        return _VisualBlock(
            "single",
            self,
            names=type(self).__name__,
            name_details=str(self),
            name_caption=self._result(),
        )

    def _get_fitted_attr_html(self, doc_link=""):
        # scikit-learn reads all attributes there are. Properties of an encoder load
        # its network: only what a fit has stored is shown.
        stored = BaseEstimator()
        vars(stored).update(vars(self))
        table = BaseEstimator._get_fitted_attr_html(stored, doc_link)
        table.estimator_class = type(self)
        return table

    def __dir__(self):
        # The same of completion: whether a property has a value is not tried.
        return [
            name
            for name in object.__dir__(self)
            if isinstance(getattr(type(self), name, None), property)
            or hasattr(self, name)
        ]


def _count(things, noun):
    """Return ``3 clusters`` of a number, or of as many things."""
    n = things if isinstance(things, Integral) else len(things)
    return f"{n:,} {noun}{'s' * (n != 1)}"


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
    "HTMLReprMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "_check_feature_names_in",
    "_count",
    "_fit_context",
    "start_fit_task",
    "validate_parameter_constraints",
]

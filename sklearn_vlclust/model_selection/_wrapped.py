"""A clusterer inside a Pipeline, a search of parameters or a FrozenEstimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline


def final_estimator(estimator: Any) -> Any:
    """Return the innermost estimator, of a fitted search that of the best one."""
    while (inner := _inner(estimator)[1]) is not None:
        estimator = inner
    return estimator


def number_parameter(estimator: Any) -> str:
    """Return the name by which `set_params` of `estimator` sets the number.

    Raises
    ------
    TypeError
        If `estimator` is a class, has no such parameter, or cannot be fitted with
        other numbers.
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator is the class {estimator.__name__}: give an instance, "
            f"{estimator.__name__}()."
        )
    outer, path = estimator, ""
    while "n_clusters" not in estimator.get_params(deep=False):
        if isinstance(estimator, FrozenEstimator):
            raise TypeError(
                f"estimator={_shown(outer)} is frozen: it cannot be fitted with other "
                f"numbers. Give {_shown(estimator.estimator)} itself; of frozen "
                "estimators, only a RateReductionClustering is clustered again without "
                "a fit."
            )
        name, inner = _inner(estimator, fitted=False)
        if inner is None:
            raise TypeError(
                f"estimator={_shown(outer)} has no parameter n_clusters: give a "
                "clusterer that has, one as the last step of a Pipeline or in a "
                "search, or None."
            )
        if hasattr(estimator, "refit") and not estimator.refit:
            raise TypeError(
                f"estimator={_shown(estimator)} has refit=False, which leaves no "
                "clusters: give refit=True."
            )
        path, estimator = f"{path}{name}__", inner
    return f"{path}n_clusters"


def check_search(estimator: Any, parameter: str) -> None:
    """Refuse a search over the number itself, which `set_params` would not change.

    Parameters
    ----------
    estimator : estimator
        Perhaps a search of parameters, perhaps inside another estimator.
    parameter : str
        What :func:`number_parameter` returns.

    Raises
    ------
    ValueError
        If `parameter` is among those that are searched.
    """
    *outer, _ = parameter.split("__")
    for depth, name in enumerate(outer):
        inner = "__".join(parameter.split("__")[depth + 1 :])
        for searched in ("param_grid", "param_distributions"):
            grids = getattr(estimator, searched, ())
            grids = [grids] if hasattr(grids, "keys") else grids
            if any(inner in grid for grid in grids):
                raise ValueError(
                    f"estimator={_shown(estimator)} searches {inner!r} itself: take it "
                    f"out of {searched}."
                )
        estimator = estimator.get_params()[name]


def labels_of_fit(estimator: Any, X: Any) -> np.ndarray:
    """Return `labels_` of a fitted estimator or of what is in it, else `predict(X)`."""
    outer = estimator
    while not hasattr(estimator, "labels_"):
        estimator = _inner(estimator)[1]
        if estimator is None:
            return np.asarray(outer.predict(X))
    return np.asarray(estimator.labels_)


def _inner(estimator, fitted=True):
    """Return the name and value of the estimator in another one; None if none is."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1]
    if fitted and hasattr(estimator, "best_estimator_"):
        return "estimator", estimator.best_estimator_
    inner = getattr(estimator, "estimator", None)
    return "estimator", inner if hasattr(inner, "get_params") else None


def _shown(estimator):
    """Return the class of an estimator, and of what is in it, as text."""
    if isinstance(estimator, Pipeline):
        return f"Pipeline of {', '.join(type(s).__name__ for _, s in estimator.steps)}"
    inner = _inner(estimator, fitted=False)[1]
    name = type(estimator).__name__
    return name if inner is None else f"{name}({_shown(inner)})"

"""The curve by which a number of clusters was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .._docs import documented
from .._typing import Axes, Int
from ._drawing import new_axes

_LABELS = {
    "coding_length": "coding length (less is better)",
    "reproducibility": "reproducibility (more is better)",
    "agreement": "agreement of halves (more is better)",
}


@documented()
class CodingLengthDisplay:
    """What each number of clusters scores, and which one was chosen.

    An estimated number is a guess: runner-ups are worth a look. Build it by
    :meth:`from_estimator`.

    Parameters
    ----------
    k_values : array-like of int
        Numbers of clusters, ascending.
    scores : array-like of float
        What each of them scores; NaN leaves a gap.
    n_clusters : int
        The number that was chosen.
    label : str, default="coding length (less is better)"
        What the scores are.
    also : sequence of int, default=()
        Runner-ups, best first.

    Attributes: <ax_, figure_>
    line_ : matplotlib Line2D
        The curve.
    chosen_ : matplotlib Line2D
        The number that was chosen.

    See Also
    --------
    sklearn_vlclust.CodingLengthKSelector : Estimates the number of clusters.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import CodingLengthKSelector
    >>> from sklearn_vlclust.plotting import CodingLengthDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(np.eye(4, 8), 30, axis=0) + 0.1 * rng.normal(size=(120, 8))
    >>> selector = CodingLengthKSelector(k_range=(2, 9), random_state=0).fit(X)
    >>> CodingLengthDisplay.from_estimator(selector).n_clusters
    4
    """

    def __init__(
        self,
        k_values: ArrayLike,
        scores: ArrayLike,
        n_clusters: Int,
        label: str = "coding length (less is better)",
        also: Sequence[int] = (),
    ) -> None:
        self.k_values = k_values
        self.scores = scores
        self.n_clusters = n_clusters
        self.label = label
        self.also = also

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, criterion: str | None = None, ax: Axes | None = None
    ) -> Self:
        """Show how a fitted estimator chose its number of clusters.

        Parameters
        ----------
        estimator : CodingLengthKSelector or clusterer of this library
            Fitted; the latter with ``n_clusters="auto"``.
        criterion : {"reproducibility", "agreement", "coding_length"}, default=None
            Which curve. If None, the one that the estimator chose by.
        <ax>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the estimator was given its number of clusters, or has no such curve.
        """
        curves = read_curves(estimator)
        criterion = criterion or next(iter(curves), None)
        if criterion not in curves:
            raise ValueError(
                f"criterion={criterion!r} is none of the curves of this "
                f"{type(estimator).__name__}: {sorted(curves)}."
            )
        return cls(*curves[criterion]).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the curve.

        Parameters: <ax>

        Returns: <itself>
        """
        from matplotlib.ticker import NullFormatter

        self.ax_ = new_axes(ax, (6, 4))
        self.figure_ = self.ax_.figure
        (self.line_,) = self.ax_.plot(self.k_values, self.scores, marker=".")
        self.chosen_ = self.ax_.axvline(
            self.n_clusters,
            color="0.5",
            linestyle="--",
            label=f"chosen: {self.n_clusters}",
        )
        for k in self.also:
            self.ax_.axvline(k, color="0.8", linestyle=":", label=f"also: {k}")
        self.ax_.set(xlabel="number of clusters", ylabel=self.label, xscale="log")
        self.ax_.xaxis.set_major_formatter("{x:.0f}")
        self.ax_.xaxis.set_minor_formatter(NullFormatter())
        self.ax_.legend()
        return self


def read_curves(estimator):
    """Return the arguments of a display per criterion, first the one that decided.

    Raises
    ------
    ValueError
        If the estimator was given its number of clusters.
    """
    check_is_fitted(estimator)
    curves = getattr(estimator, "scores_", getattr(estimator, "k_scores_", None))
    if not isinstance(curves, dict):
        raise ValueError(
            f"This {type(estimator).__name__} estimated no number of clusters: give a "
            "CodingLengthKSelector, or a clusterer that was fitted with "
            'n_clusters="auto".'
        )
    chosen_by = getattr(estimator, "criterion", "reproducibility")
    k_values = np.asarray(estimator.k_values_)
    also = [k for k, _ in estimator.k_candidates_[1:]]
    return {
        name: (
            k_values,
            np.asarray(curves[name], dtype=float),
            int(estimator.n_clusters_),
            _LABELS[name],
            also,
        )
        for name in sorted(curves, key=lambda name: name != chosen_by)
    }

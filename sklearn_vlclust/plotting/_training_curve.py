"""What training did: loss terms, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .._docs import documented
from .._typing import Axes
from ._drawing import write

_NO_TERMS = ("epoch", "phase")
_MARKED = 60  # epochs: up to this number, each gets a marker


@documented()
class TrainingCurveDisplay:
    """Loss and its terms against epochs.

    Each term has axes of its own, unless some are given: their scales differ. A loss
    that still falls at the end asks for more epochs. Terms that enter later
    begin there, and where a fit has phases (`"phase"` in `history_`), which minimize
    different losses, lines are broken. Build it by :meth:`from_estimator` or
    :meth:`from_history`.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,), int
        Numbers of the epochs.
    losses : dict of str to array-like of shape (n_epochs,)
        Loss terms by name; NaN where a term is not part of the loss. ``"loss"`` is
        the total.
    phases : list of (str, int, int), default=()
        Name, first and last epoch of each phase.
    name : str, default=None
        What was trained.

    Attributes: <ax_, figure_>
    axes_ : dict of str to matplotlib Axes
        The axes of each term; `ax_` is the first.
    lines_ : dict of str to matplotlib Line2D
        The curve of each term.
    phase_lines_ : list of matplotlib Line2D
        Where phases end.
    phase_texts_ : list of matplotlib Text
        Their names.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores against numbers of samples.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust import MCAClustering
    >>> from sklearn_vlclust.plotting import TrainingCurveDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat(np.eye(3, 8), 30, axis=0) + 0.1 * rng.normal(size=(90, 8))
    >>> mca = MCAClustering(3, semantic_space=None, max_iter=5, random_state=0).fit(X)
    >>> list(TrainingCurveDisplay.from_estimator(mca).losses)
    ['loss', 'image_consistency', 'balance']
    """

    def __init__(
        self,
        epochs: Sequence[int] | np.ndarray,
        losses: Mapping[str, ArrayLike],
        phases: Sequence[tuple[str, int, int]] = (),
        name: str | None = None,
    ) -> None:
        self.epochs = epochs
        self.losses = losses
        self.phases = phases
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        terms: Sequence[str] | None = None,
        ax: Axes | None = None,
        yscale: str = "linear",
    ) -> Self:
        """Show how a fitted estimator was trained.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `history_`.
        terms : list of str, default=None
            Terms to show, ``"loss"`` being the total. If None, all.
        <ax, yscale>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the estimator has no history, there is no such term, or one has values
            that `yscale` cannot show.
        """
        check_is_fitted(estimator)
        name = type(estimator).__name__
        if not hasattr(estimator, "history_"):
            raise ValueError(
                f"This {name} has no history_: it is trained in no epochs. Give a "
                "fitted clusterer of this library that trains a network."
            )
        return cls.from_history(
            estimator.history_, terms=terms, name=name, ax=ax, yscale=yscale
        )

    @classmethod
    def from_history(
        cls,
        history: Sequence[dict],
        *,
        terms: Sequence[str] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        yscale: str = "linear",
    ) -> Self:
        """Show any history.

        Parameters
        ----------
        history : list of dict
            As `history_`: ``"epoch"``, loss terms by name and perhaps ``"phase"``.
        <terms>
        name : str, default=None
            What was trained.
        <ax, yscale>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the history is empty, there is no such term, or one has values that
            `yscale` cannot show.
        """
        if not len(history):
            raise ValueError("history is empty: no epoch has ended.")
        known = dict.fromkeys(k for row in history for k in row if k not in _NO_TERMS)
        chosen = list(known) if terms is None else list(terms)
        missing = [term for term in chosen if term not in known]
        if missing or not chosen:
            raise ValueError(f"terms={terms!r}: expected some of {list(known)}.")
        losses = {
            term: np.array([row.get(term, np.nan) for row in history], dtype=float)
            for term in chosen
        }
        epochs = np.array([row["epoch"] for row in history])
        display = cls(epochs, losses, _phases(history), name)
        return display.plot(ax=ax, yscale=yscale)

    def plot(self, *, ax: Axes | None = None, yscale: str = "linear") -> Self:
        """Draw the curves.

        Parameters: <ax>
        yscale : {"linear", "log", "symlog"}, default="linear"
            Scale of the losses. "log" is for values above 0 alone; "symlog" takes
            others, too.

        Returns: <itself>

        Raises
        ------
        ValueError
            If a term has values that `yscale` cannot show.
        """
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        self._check_scale(yscale)
        self.axes_ = self._make_axes(ax)
        self.ax_ = next(iter(self.axes_.values()))
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        marker = "." if len(self.epochs) <= _MARKED else ""
        # The text color is visible in any style.
        total = {"color": plt.rcParams["text.color"], "lw": 2, "zorder": 3}
        for term, values in self.losses.items():
            style = total if term == "loss" else {"lw": 1.2}
            own = self.axes_[term]
            (self.lines_[term],) = own.plot(
                *self._broken(values), marker=marker, label=_label(term), **style
            )
            own.set_yscale(yscale)
            if ax is None:
                own.set_title(_label(term), fontsize="medium", loc="left")
        below: Any = own  # the last one
        below.set_xlabel("epoch")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        self._draw_phases()
        if ax is None:
            self.figure_.suptitle(self.name or "")
        else:
            ax.set(ylabel="loss", title=self.name or "")
            ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        return self

    def _make_axes(self, ax):
        """Return the axes of each term: `ax`, or new ones above each other."""
        if ax is not None:
            return dict.fromkeys(self.losses, ax)
        import matplotlib.pyplot as plt

        n = len(self.losses)
        _, axes = plt.subplots(
            n, figsize=(7, max(4.0, 1.6 * n)), sharex=True, layout="constrained"
        )
        return dict(zip(self.losses, np.atleast_1d(axes)))

    def _check_scale(self, yscale):
        if yscale not in ("linear", "log", "symlog"):
            raise ValueError(
                f"yscale={yscale!r} is none of 'linear', 'log' and 'symlog'."
            )
        below = [t for t, v in self.losses.items() if np.nanmin(v) <= 0]
        if yscale == "log" and below:
            raise ValueError(
                "yscale='log' cannot show values of 0 or below, such as those of "
                f"{', '.join(map(repr, below))}: give yscale='symlog', or leave these "
                "terms out by terms=."
            )

    def _broken(self, values):
        """Return epochs and values with a gap between phases."""
        ends = [last for _, _, last in self.phases[:-1]]
        places = np.searchsorted(self.epochs, ends, side="right")
        epochs = np.insert(np.asarray(self.epochs, dtype=float), places, np.nan)
        return epochs, np.insert(np.asarray(values, dtype=float), places, np.nan)

    def _draw_phases(self):
        self.phase_lines_, self.phase_texts_ = [], []
        n_epochs = max(1, len(self.epochs))
        style = {"fontsize": "small", "alpha": 0.8, "ha": "center", "va": "top"}
        for name, first, last in self.phases:
            if last < self.epochs[-1]:
                self.phase_lines_ += [
                    ax.axvline(last + 0.5, color="0.5", lw=0.8, ls=":")
                    for ax in dict.fromkeys(self.axes_.values())
                ]
            short = (last - first + 1) / n_epochs < 0.02 * len(name)
            self.phase_texts_.append(
                write(
                    self.ax_,
                    name,
                    ((first + last) / 2, 1),
                    (0, -4),
                    xycoords=self.ax_.get_xaxis_transform(),
                    rotation=90 if short else 0,
                    **style,
                )
            )


def _phases(history):
    """Return name, first and last epoch of each phase; [] if they have no names."""
    if not any("phase" in row for row in history):
        return []
    phases = []
    for name, rows in groupby(history, key=lambda row: row.get("phase", "")):
        epochs = [row["epoch"] for row in rows]
        phases.append((name, epochs[0], epochs[-1]))
    return phases


def _label(term):
    return "total" if term == "loss" else term.replace("_", " ")

"""The curve of the number of clusters, as what an inline SVG draws."""

import numpy as np

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 12, 40
# Ticks of the axis of cluster numbers
_NUMBERS = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000]


def draw_curve(display):
    """Return what the template draws of a :class:`CodingLengthDisplay`.

    These are pieces of the line between gaps, ticks of both axes and the chosen number,
    in pixels, and the table of values.
    """
    k = np.asarray(display.k_values)
    scores = np.asarray(display.scores, dtype=float)
    known = np.isfinite(scores)
    y_ticks = _ticks(scores[known].min(), scores[known].max()) if known.any() else [0]
    low, high = min(k[0], display.n_clusters), max(k[-1], display.n_clusters)
    x_ticks = [t for t in _NUMBERS if low <= t <= high]
    x = _scale(low, high, np.log)
    y = _scale(min(y_ticks), max(y_ticks))
    left = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x(k)
    top = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y(scores)
    pieces = np.split(np.arange(len(k)), np.flatnonzero(np.diff(known)) + 1)
    place = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x(np.array([display.n_clusters]))[0]
    return {
        "label": display.label,
        "n_clusters": int(display.n_clusters),
        "also": [int(number) for number in display.also],
        "width": _WIDTH,
        "height": _HEIGHT,
        "box": (_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM),
        "lines": [
            " ".join(f"{left[i]:.1f},{top[i]:.1f}" for i in piece)
            for piece in pieces
            if len(piece) and known[piece[0]]
        ],
        "points": [(f"{left[i]:.1f}", f"{top[i]:.1f}") for i in np.flatnonzero(known)],
        "chosen": f"{place:.1f}",
        "x_ticks": [
            (f"{_LEFT + (_WIDTH - _LEFT - _RIGHT) * p:.1f}", f"{t:.0f}")
            for t, p in zip(x_ticks, x(x_ticks))
        ],
        "y_ticks": [
            (f"{_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * p:.1f}", f"{t:,.6g}")
            for t, p in zip(y_ticks, y(np.array(y_ticks, dtype=float)))
        ],
        "table": [
            (int(number), f"{score:,.6g}" if np.isfinite(score) else "none")
            for number, score in zip(k, scores)
        ],
    }


def _ticks(low, high, about=5):
    """Return evenly spaced round numbers that cover `low` to `high`."""
    span = max(float(high - low), 1e-9 * max(1.0, abs(float(high))))
    step = 10 ** np.floor(np.log10(span / about))
    step *= next(f for f in (1, 2, 5, 10) if span / (f * step) <= about)
    first, last = np.floor(low / step), np.ceil(high / step)
    return [float(t) for t in np.arange(first, last + 1) * step]


def _scale(low, high, of=float):
    """Return a function that maps `low`..`high` to 0..1, linearly in ``of(value)``."""
    start, span = of(low), float(of(high) - of(low)) or 1.0
    make = np.asarray if of is float else of
    return lambda values: (make(np.asarray(values, dtype=float)) - start) / span

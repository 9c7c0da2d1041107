"""Pictures that are blurred, dark, empty or tiny."""

import numpy as np
from PIL import Image

from .findings import OUTLIER, far_below

# Longer side in pixels of the gray picture that is looked at.
SIDE = 256
# Gray values (0 to 255). What is below: the light of a dark picture's brightest 5 %,
# and the standard deviation of an empty one.
_DARK, _EMPTY = 50, 4
# The shorter side of a tiny picture, in pixels and as a share of the usual one.
_TINY, _SMALL = 100, 0.5
_GRAYS = np.arange(256)
# Fewest pictures that show how sharp is usual.
_FEWEST = 30


def measure(picture):
    """Return how good a picture is, as numbers.

    Parameters
    ----------
    picture : PIL image
        Decoded for `SIDE`: one that was larger may be reduced.

    Returns
    -------
    measures : tuple of float
        Shorter side in pixels, gray value below which 95 % of it is, standard deviation
        of the gray values, and sharpness: the logarithm of the mean absolute Laplacian
        over that deviation. Sharpness is NaN for pictures too small to tell.
    """
    gray = picture.convert("L")
    gray.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    share = np.array(gray.histogram()) / (gray.width * gray.height)
    mean = share @ _GRAYS
    deviation = float(np.sqrt(share @ (_GRAYS - mean) ** 2))
    light = int(np.searchsorted(share.cumsum(), 0.95))
    sharpness = np.nan
    if max(gray.size) >= SIDE // 2 and min(gray.size) > 2 and deviation > _EMPTY:
        values = np.asarray(gray, dtype=np.int16)
        around = values[:-2, 1:-1] + values[2:, 1:-1]
        around += values[1:-1, :-2] + values[1:-1, 2:]
        detail = float(np.abs(4 * values[1:-1, 1:-1] - around).mean())
        sharpness = float(np.log(max(detail, 1e-6) / deviation))
    return min(picture.size), light, deviation, sharpness


def find_flaws(quality, most):
    """Return at most `most` images of each flaw, the worst first.

    Parameters
    ----------
    quality : ndarray of shape (n, 4)
        What :func:`measure` returns.
    most : int
        Largest number of images per flaw.

    Returns
    -------
    flaws : dict of str to list of int
        Images that are "blurred" (far less sharp than most, see `far_below`), "dark",
        "empty" (of one color) and "tiny" (beside the others).
    """
    side, light, deviation, sharpness = quality.T
    blur = np.zeros(len(quality))
    known = np.isfinite(sharpness)
    if known.sum() >= _FEWEST:
        blur[known] = far_below(sharpness[known], np.zeros(known.sum(), dtype=int))
    empty = deviation < _EMPTY
    found = {
        "blurred": (blur >= OUTLIER, -blur),
        "dark": ((light < _DARK) & ~empty, light),
        "empty": (empty, deviation),
        "tiny": (side < min(_TINY, _SMALL * np.median(side)), side),
    }
    return {
        flaw: [int(i) for i in np.argsort(order, kind="stable") if holds[i]][:most]
        for flaw, (holds, order) in found.items()
        if holds.any()
    }

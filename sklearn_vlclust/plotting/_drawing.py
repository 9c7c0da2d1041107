"""What several displays draw with: axes, sheets of square pictures, and labels."""

import numpy as np

from ..data.images import ImageSource

CELL, GAP = 160, 8  # pixels: side of a picture, and space between pictures


def new_axes(ax, size):
    """Return `ax`, or the axes of a new figure of `size` inches if it is None."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def full_axes(ax, width, height, margin=0.0):
    """Return `ax`, or axes on the whole of a new figure, in inches, if it is None.

    `margin` is the share of the width that stays empty on either side.
    """
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height))
    return figure.add_axes((margin, 0, 1 - 2 * margin, 1))


def write(ax, text, place, shift, **style):
    """Write at a place in data coordinates, shifted by points; return the artist.

    Dollar signs are not formulas: nouns and file names may have them.
    """
    return ax.annotate(
        text, place, shift, textcoords="offset points", parse_math=False, **style
    )


def paste(rows):
    """Put pictures side by side, row by row; empty places (None) are transparent."""
    step = CELL + GAP
    size = len(rows) * step, max(map(len, rows)) * step, 4
    sheet = np.full(size, (255, 255, 255, 0), dtype=np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            if picture is not None:
                top, left = row * step, column * step
                place = sheet[top : top + CELL, left : left + CELL]
                place[:, :, :3], place[:, :, 3] = picture, 255
    return sheet


def square(image, index):
    """Return the central square of an image as a picture of one cell."""
    from PIL import Image, ImageOps

    picture = ImageSource(image, index).decode(CELL)
    return ImageOps.fit(picture, (CELL, CELL), Image.Resampling.LANCZOS)


def title(cluster, names):
    """Return the names of a cluster; a cluster without names gets its number."""
    if cluster < 0:
        return ("noise",)
    own = () if names is None else names[cluster]
    return own if len(own) else (f"cluster {cluster}",)

"""A contact sheet: one row of pictures per cluster."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._backend._text import counted
from .._docs import documented
from .._typing import Axes, Images, Names, Pictures
from ..data.images import check_images
from ._assignments import check_names, one_each, read_inputs, read_typicality
from ._drawing import CELL, GAP, full_axes, paste, square, title, write

_LABEL = 2  # width of the column of names, in cells
# Largest height of a sheet by its width, and inches of its longer side: an A3 page.
_RATIO, _LONGEST = 1.5, 16.5


@documented()
class ContactSheetDisplay:
    """Clusters of images, one row each, the most typical images first.

    Noise is a row of its own, and clusters without images are left out. Many clusters
    stand in several columns, so that the sheet fits a page. Build it by
    :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    pictures : list of lists of PIL.Image.Image
        The pictures to show of each cluster, in order.
    sizes : list of int
        Number of images of each cluster.
    <shown_names>

    Attributes: <ax_, figure_>
    image_ : matplotlib AxesImage
        All pictures.
    texts_ : list of matplotlib Text
        Names and sizes, two per cluster.

    Examples
    --------
    >>> from sklearn_vlclust.plotting import ContactSheetDisplay
    >>> display = ContactSheetDisplay.from_estimator(mca, paths)  # doctest: +SKIP
    >>> display.figure_.savefig("sheet.png", dpi=100)  # doctest: +SKIP
    """

    def __init__(self, pictures: Pictures, sizes: Sequence[int], names: Names) -> None:
        self.pictures = pictures
        self.sizes = sizes
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        images: Images,
        *,
        embeddings: ArrayLike | None = None,
        n_columns: int = 8,
        ax: Axes | None = None,
    ) -> Self:
        """Show how a fitted clusterer divides images.

        Parameters: <centered, images, embeddings>
        n_columns : int, default=8
            Number of pictures per cluster.
        <ax>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If there is neither an embedder nor embeddings.
        """
        inputs = read_inputs(estimator, images, embeddings)
        labels, typicality = read_typicality(estimator, inputs)
        return cls.from_predictions(
            images,
            labels,
            typicality=typicality,
            names=getattr(estimator, "cluster_names_", None),
            n_columns=n_columns,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        images: Images,
        labels: ArrayLike,
        *,
        typicality: ArrayLike | None = None,
        names: Names | None = None,
        n_columns: int = 8,
        ax: Axes | None = None,
    ) -> Self:
        """Show a division of images.

        Parameters: <images, image_labels>
        typicality : array-like of shape (n_images,), default=None
            Images with high values come first. If None, their order is kept.
        <all_names, n_columns, ax>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the lengths differ, a cluster has no names, or an image cannot be read.
        """
        rows = choose_pictures(images, labels, typicality, names, n_columns)
        return cls(*rows).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the sheet.

        Parameters: <ax>

        Returns: <itself>
        """
        n, n_cells = len(self.pictures), _LABEL + max(map(len, self.pictures))
        n_blocks = next(
            b for b in range(1, n + 1) if -(-n // b) <= _RATIO * b * n_cells
        )
        return self._draw(ax, n_blocks)

    def _draw(self, ax, n_blocks):
        """Draw clusters in so many columns beside each other."""
        step, width = CELL + GAP, max(map(len, self.pictures))
        n_rows = -(-len(self.pictures) // n_blocks)
        rows: list[list] = [[] for _ in range(n_rows)]
        for number, pictures in enumerate(self.pictures):
            row = rows[number % n_rows]
            row += [None] * (_LABEL if row else 0)
            row += [*pictures, *[None] * (width - len(pictures))]
        sheet = paste(rows)
        size = np.array([sheet.shape[1] + _LABEL * step, sheet.shape[0]]) / 100
        self._scale = min(1, _LONGEST / size.max())
        ax = full_axes(ax, *(self._scale * size))
        self.ax_, self.figure_ = ax, ax.figure
        self.image_ = ax.imshow(sheet, interpolation="lanczos")
        self.texts_: list = []
        for number, (size, names) in enumerate(zip(self.sizes, self.names)):
            block, row = divmod(number, n_rows)
            left = block * (width + _LABEL) - _LABEL
            place = left * step + 2 * GAP, row * step + CELL / 2
            self._write(number, place, size, [str(name) for name in names])
        ax.set_xlim(-_LABEL * step, sheet.shape[1])
        ax.set_axis_off()
        return self

    def _write(self, number, place, size, names):
        first = textwrap.fill(names[0] if names else f"cluster {number}", 18)
        others = textwrap.fill(", ".join(names[1:4]), 32, max_lines=2)
        small = "\n".join(filter(None, [others, counted(size, "picture")]))
        large, little = max(7, 13 * self._scale), max(6, 8.5 * self._scale)
        lines: list[tuple[str, int, dict]] = [
            (first, 2, {"fontsize": large, "fontweight": "bold", "va": "bottom"}),
            (small, -5, {"fontsize": little, "alpha": 0.75, "va": "top"}),
        ]
        for text, shift, style in lines:
            self.texts_.append(write(self.ax_, text, place, (0, shift), **style))


def choose_pictures(images, labels, typicality=None, names=None, n_columns=8):
    """Return pictures, sizes and names of each cluster, as the display takes them."""
    images = check_images(images)
    labels = np.asarray(labels)
    typicality = np.zeros(len(labels)) if typicality is None else typicality
    typicality = one_each("typicality", typicality, images, labels)
    clusters = np.unique(labels)
    check_names(names, clusters[-1])
    order = np.argsort(-typicality, kind="stable")
    pictures = [
        [square(images[i], i) for i in order[labels[order] == c][:n_columns]]
        for c in clusters
    ]
    sizes = [int((labels == c).sum()) for c in clusters]
    return pictures, sizes, [title(c, names) for c in clusters]

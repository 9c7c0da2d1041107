"""Clusters to judge by eye: typical images, and images that may not belong."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._backend._text import counted
from .._docs import documented
from .._typing import Axes, Images, Int, Names, Pictures
from ..data.images import check_images
from ._assignments import (
    check_names,
    one_each,
    read_certainty,
    read_inputs,
    read_typicality,
)
from ._drawing import CELL, GAP, full_axes, paste, square, title, write

_SHOWN = 6  # clusters, unless the caller chooses
_BAND = 72  # pixels above a cluster, for its name
_BETWEEN = 48  # pixels between the halves of a cluster
_SCALE = 160  # pixels per inch


@documented()
class ClusterGalleryDisplay:
    """Chosen clusters of images: the most typical ones beside the least certain.

    A :class:`ContactSheetDisplay` gives an overview, with a row of typical images per
    cluster. Here each cluster has its own block; the right half shows its borderline
    images, which the clusterer nearly put elsewhere; without `predict_proba`, those far
    from the center. Build it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    typical, uncertain : list of lists of PIL.Image.Image
        Pictures of each cluster: the most typical first, and the least certain first.
    certainties : list of array-like of float
        Certainty of each of the `uncertain`, between 0 and 1; NaN where unknown.
    sizes : list of int
        Number of images of each cluster.
    names : list of sequences of str
        Names of each cluster, best first.
    n_others : int, default=0
        Number of smaller clusters, which are not shown.

    Attributes: <ax_, figure_>
    images_ : list of matplotlib AxesImage
        The pictures, one artist per cluster.
    texts_ : list of matplotlib Text
        Names, sizes and what either half shows, four per cluster; then, if there are
        others, how many are shown.

    See Also
    --------
    ContactSheetDisplay : All clusters, one row each.

    Examples
    --------
    >>> from sklearn_vlclust.plotting import ClusterGalleryDisplay
    >>> display = ClusterGalleryDisplay.from_estimator(
    ...     mca, paths, clusters=[3, 7]
    ... )  # doctest: +SKIP
    >>> display.figure_.savefig("gallery.png")  # doctest: +SKIP
    """

    texts_: list

    def __init__(
        self,
        typical: Pictures,
        uncertain: Pictures,
        certainties: Sequence[ArrayLike],
        sizes: Sequence[int],
        names: Names,
        n_others: int = 0,
    ) -> None:
        self.typical = typical
        self.uncertain = uncertain
        self.certainties = certainties
        self.sizes = sizes
        self.names = names
        self.n_others = n_others

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        images: Images,
        *,
        embeddings: ArrayLike | None = None,
        clusters: Iterable[Int] | None = None,
        n_pictures: int = 12,
        ax: Axes | None = None,
        n_columns: int = 4,
    ) -> Self:
        """Show clusters of a fitted clusterer.

        Parameters: <centered, images, embeddings>
        clusters : sequence of int, default=None
            Clusters to show, in this order. If None, the six largest.
        n_pictures : int, default=12
            Largest number of pictures of either kind per cluster. In a small cluster,
            each half shows half of its images.
        <ax, n_columns>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If there is neither an embedder nor embeddings, or no such cluster.
        """
        inputs = read_inputs(estimator, images, embeddings)
        labels, typicality = read_typicality(estimator, inputs)
        return cls.from_predictions(
            images,
            labels,
            typicality=typicality,
            certainty=read_certainty(estimator, inputs),
            names=getattr(estimator, "cluster_names_", None),
            clusters=clusters,
            n_pictures=n_pictures,
            ax=ax,
            n_columns=n_columns,
        )

    @classmethod
    def from_predictions(
        cls,
        images: Images,
        labels: ArrayLike,
        *,
        typicality: ArrayLike,
        certainty: ArrayLike | None = None,
        names: Names | None = None,
        clusters: Iterable[Int] | None = None,
        n_pictures: int = 12,
        ax: Axes | None = None,
        n_columns: int = 4,
    ) -> Self:
        """Show clusters of any division of images.

        Parameters: <images, image_labels>
        typicality : array-like of shape (n_images,)
            Images with high values are typical of their cluster.
        certainty : array-like of shape (n_images,), default=None
            Probability that an image belongs to its cluster. If None, the least typical
            images count as the least certain.
        <all_names, clusters, n_pictures, ax, n_columns>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the lengths differ, there is no such cluster or it has no names, or an
            image cannot be read.
        """
        images, labels = check_images(images), np.asarray(labels)
        typicality = one_each("typicality", typicality, images, labels)
        if certainty is None:
            known, certainty = np.full(len(labels), np.nan), typicality
        else:
            known = certainty = one_each("certainty", certainty, images, labels)
        if not isinstance(n_pictures, Integral) or n_pictures < 1:
            raise ValueError(f"n_pictures={n_pictures!r} is no integer above 0.")
        n_clusters = len(np.unique(labels[labels >= 0])) if clusters is None else 0
        clusters = _choose(clusters, labels, names)
        blocks = []
        for cluster in clusters:
            members = np.flatnonzero(labels == cluster)
            half = min(n_pictures, -(-len(members) // 2))
            order = members[np.argsort(-typicality[members], kind="stable")]
            typical, rest = order[:half], order[half:]
            doubtful = rest[np.argsort(certainty[rest], kind="stable")][:n_pictures]
            blocks.append((typical, doubtful))
        display = cls(
            [[square(images[i], i) for i in typical] for typical, _ in blocks],
            [[square(images[i], i) for i in doubtful] for _, doubtful in blocks],
            [known[doubtful] for _, doubtful in blocks],
            [int((labels == c).sum()) for c in clusters],
            [title(c, names) for c in clusters],
            max(0, n_clusters - len(clusters)),
        )
        return display.plot(ax=ax, n_columns=n_columns)

    def plot(self, *, ax: Axes | None = None, n_columns: int = 4) -> Self:
        """Draw the gallery.

        Parameters: <ax>
        n_columns : int, default=4
            Pictures beside each other in either half.

        Returns: <itself>
        """
        sheets = [
            _both_halves(left, right, n_columns)
            for left, right in zip(self.typical, self.uncertain)
        ]
        width = sheets[0].shape[1]
        heading = _BAND // 2 if self.n_others else 0
        height = heading + sum(_BAND + len(sheet) for sheet in sheets)
        ax = full_axes(ax, width / _SCALE, height / _SCALE, margin=0.01)
        self.ax_, self.figure_ = ax, ax.figure
        self.images_, self.texts_ = [], []
        middle, top = n_columns * (CELL + GAP) + _BETWEEN, heading
        for number, sheet in enumerate(sheets):
            top += _BAND
            bottom = top + len(sheet)
            self.images_.append(
                ax.imshow(
                    sheet, extent=(0, width, bottom, top), interpolation="lanczos"
                )
            )
            self._write(number, top, middle)
            top = bottom
        if self.n_others:
            shown = len(sheets)
            text = f"The {shown} largest of {shown + self.n_others} clusters"
            self.texts_.append(write(ax, text, (0, heading), (0, 0), fontsize=9))
        ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        ax.set_axis_off()
        return self

    def _write(self, number, top, middle):
        size, names = self.sizes[number], [str(n) for n in self.names[number]]
        first = textwrap.shorten(names[0], 40, placeholder="…")
        others = textwrap.shorten(", ".join(names[1:4]), 60, placeholder="…")
        span = _span(self.certainties[number])
        quiet: dict = {"fontsize": 9, "alpha": 0.8}
        for x, rise, text, style in (
            (0, 17, first, {"weight": "bold"}),
            (middle, 17, others, quiet),
            (0, 4, f"{counted(size, 'picture')}, most typical", quiet),
            (middle, 4, f"least certain{span}", quiet),
        ):
            self.texts_.append(write(self.ax_, text, (x, top), (0, rise), **style))


def _choose(clusters, labels, names):
    """Return the clusters to show, after a check that all have images and names."""
    found, sizes = np.unique(labels, return_counts=True)
    if clusters is None:
        # Noise is shown only if it is asked for.
        sizes = np.where(found < 0, -1, sizes)
        order = np.argsort(-sizes, kind="stable")[:_SHOWN]
        clusters = [c for c in found[order] if c >= 0] or list(found[:1])
    clusters = [int(c) for c in clusters]
    if not clusters:
        raise ValueError("clusters is empty: give at least one, or None.")
    missing = [c for c in clusters if c not in found]
    if missing:
        raise ValueError(
            f"clusters={clusters} has {missing}, to which no image belongs. There are "
            f"clusters {found[0]} to {found[-1]}."
        )
    check_names(names, max(clusters))
    return clusters


def _span(certainties):
    """Return the range of certainties, such as " (51 to 93 %)"; "" if unknown."""
    known = np.asarray(certainties, dtype=float)
    known = known[~np.isnan(known)]
    if not len(known):
        return ""
    low, high = (f"{100 * value:.0f}" for value in (known.min(), known.max()))
    return f" ({low} %)" if low == high else f" ({low} to {high} %)"


def _both_halves(left, right, n_columns):
    """Return the pictures of a cluster as one array, the halves side by side."""
    n_rows = max(1, -(-max(len(left), len(right)) // n_columns))
    sheets = []
    for half in (left, right):
        places = [*half, *[None] * (n_rows * n_columns - len(half))]
        rows = [places[i * n_columns : (i + 1) * n_columns] for i in range(n_rows)]
        sheets.append(paste(rows))
    height = len(sheets[0])
    return np.hstack([sheets[0], np.zeros((height, _BETWEEN, 4), np.uint8), sheets[1]])

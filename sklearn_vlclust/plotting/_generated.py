"""Real images of each cluster beside generated ones: Figure 4 of GCC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from .._docs import documented
from .._typing import Axes, Images, Names, Pictures, RandomState
from ._assignments import read_inputs, read_typicality
from ._contact_sheet import ContactSheetDisplay, choose_pictures
from ._drawing import CELL, square, write


@documented()
class GeneratedImagesDisplay:
    """One row per cluster: its most typical images and images generated for it.

    Build it by :meth:`from_estimator`.

    Parameters
    ----------
    pictures : list of lists of PIL.Image.Image
        Pictures of each cluster: `n_columns` real ones, a white one (and more where the
        cluster has fewer), and as many generated ones.
    sizes : list of int
        Number of real images of each cluster.
    <shown_names>

    Attributes: <ax_, figure_>
    image_ : matplotlib AxesImage
        All pictures.
    texts_ : list of matplotlib Text
        Names and sizes, two per cluster, and what either half shows.

    Examples
    --------
    >>> from sklearn_vlclust.plotting import GeneratedImagesDisplay
    >>> display = GeneratedImagesDisplay.from_estimator(gcc, X)  # doctest: +SKIP
    >>> display.figure_.savefig("generated.png")  # doctest: +SKIP
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
        n_columns: int = 8,
        random_state: RandomState = None,
        ax: Axes | None = None,
    ) -> Self:
        """Show real images of a fitted clusterer beside ones that it generates.

        Parameters
        ----------
        estimator : GenerativeCalibrationClustering
            Fitted on images.
        <images>
        n_columns : int, default=8
            Number of pictures of either kind per cluster.
        random_state : int, RandomState instance or None, default=None
            Draws the generated ones.
        <ax>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the estimator generates no images.
        """
        from PIL import Image
        from sklearn.utils import check_random_state
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        if not hasattr(estimator, "generate") or estimator.image_shape_ is None:
            raise ValueError(
                f"This {type(estimator).__name__} generates no images: give a "
                "GenerativeCalibrationClustering that was fitted on images."
            )
        rng = check_random_state(random_state)
        inputs = read_inputs(estimator, images)
        labels, typicality = read_typicality(estimator, inputs)
        real, sizes, names = choose_pictures(
            images, labels, typicality, n_columns=n_columns
        )
        white = Image.new("RGB", (CELL, CELL), "white")
        rows = []
        for cluster, pictures in zip(np.unique(labels), real):
            made = estimator.generate(n_columns, int(cluster), random_state=rng)
            gap = [white] * (n_columns - len(pictures) + 1)
            rows.append(pictures + gap + [square(image, 0) for image in made])
        return cls(rows, sizes, names).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the sheet.

        Parameters: <ax>

        Returns: <itself>
        """
        sheet = ContactSheetDisplay(self.pictures, self.sizes, self.names)._draw(ax, 1)
        self.ax_, self.figure_ = sheet.ax_, sheet.figure_
        self.image_, self.texts_ = sheet.image_, sheet.texts_
        height, width = self.image_.get_size()
        style = {"ha": "center", "fontsize": 13}
        for share, text in ((0.25, "real"), (0.75, "generated")):
            place = share * width, 0
            self.texts_.append(write(self.ax_, text, place, (0, 4), **style))
        self.ax_.set_ylim(height, -0.25 * CELL)  # room for these texts
        return self

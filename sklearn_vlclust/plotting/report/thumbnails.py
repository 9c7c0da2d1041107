"""Small pictures of all images in sheets of many, within a given number of bytes."""

from contextlib import closing
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from ...data.images import ImageSource, UnreadableImageError, iter_decoded
from .quality import SIDE, measure

# Sides of a thumbnail in pixels, largest first. The codec's blocks have 16.
SIDES = (160, 128, 112, 96, 80, 64, 48, 32)
# Width of a sheet in pixels: decoded, it takes 2.4 MB.
SHEET = 768
# Bytes of all thumbnails of a report; base64 in HTML takes a third more.
BUDGET = 24 * 2**20
# Images that predict the size of all, and a margin for the error.
_SAMPLE, _MARGIN = 64, 1.1


@dataclass(frozen=True)
class Thumbnails:
    """Central squares of images in square sheets, row by row.

    A browser decodes a sheet when one of its pictures is first shown.

    Attributes
    ----------
    sheets : list of bytes
        WebP files.
    columns : int
        Pictures in a row of a sheet, which has as many rows.
    tiles : ndarray of shape (n,), int
        Place of each image in the sheets, from 0 to ``n - 1``.
    """

    sheets: list[bytes]
    columns: int
    tiles: np.ndarray


def make_thumbnails(images, order=None, budget=BUDGET, n_jobs=None):
    """Return :class:`Thumbnails` of images, and how good each is (see `measure`).

    Images that follow each other in `order` share a sheet. All have one side, such that
    the sheets take at most `budget` bytes.
    """
    order = np.arange(len(images)) if order is None else order
    ordered = [images[i] for i in order]
    tiles = np.empty(len(order), dtype=np.int64)
    tiles[order] = np.arange(len(order))
    sides = SIDES[SIDES.index(_choose_side(ordered, budget)) :]
    for side in sides:
        sheets, quality = _draw_sheets(ordered, side, n_jobs)
        if sum(map(len, sheets)) <= budget:  # else the sample misled
            break
    return Thumbnails(sheets, SHEET // side, tiles), quality[tiles]


def _draw_sheets(images, side, n_jobs):
    def prepare(source):
        picture = source.decode(max(side, SIDE))
        return _square(picture, side), measure(picture)

    columns = SHEET // side
    per_sheet = columns**2
    sheets, measured = [], []
    sheet = Image.new("RGB", (columns * side,) * 2)
    with closing(iter_decoded(images, prepare, n_jobs=n_jobs)) as decoded:
        for i, item in enumerate(decoded):
            if isinstance(item, UnreadableImageError):
                raise item
            square, measures = item
            row, column = divmod(i % per_sheet, columns)
            sheet.paste(square, (column * side, row * side))
            measured.append(measures)
            if (i + 1) % per_sheet == 0 or i + 1 == len(images):
                sheets.append(_encode(sheet))
                sheet = Image.new("RGB", sheet.size)
    return sheets, np.array(measured)


def _square(picture, side):
    """Return the central square of a picture with a given side."""
    shortest = min(picture.size)
    left, top = ((length - shortest) / 2 for length in picture.size)
    return picture.resize(
        (side, side),
        Image.Resampling.BICUBIC,
        (left, top, left + shortest, top + shortest),
        reducing_gap=2,
    )


def _encode(sheet):
    file = BytesIO()
    sheet.save(file, "WEBP", quality=60, method=2)
    return file.getvalue()


def _choose_side(images, budget):
    """Return the largest side that fits, but none that enlarges all images."""
    n = len(images)
    places = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(int))
    pictures = [ImageSource(images[i], int(i)).decode(SIDES[0]) for i in places]
    shortest = max(min(picture.size) for picture in pictures)
    first = next((i for i, side in enumerate(SIDES) if side <= shortest), -1)
    for side in SIDES[first:]:
        sheet = Image.new("RGB", (side, side * len(pictures)))
        for i, picture in enumerate(pictures):
            sheet.paste(_square(picture, side), (0, i * side))
        if _MARGIN * len(_encode(sheet)) * n / len(pictures) <= budget:
            return side
    return SIDES[-1]

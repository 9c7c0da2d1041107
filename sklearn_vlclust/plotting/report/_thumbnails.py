"""Small pictures of all images, within a given number of bytes."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from ...data.images import ImageSource, UnreadableImageError, iter_decoded

# Sides of a thumbnail in pixels, largest first.
SIDES = (192, 176, 160, 144, 128, 112, 104, 96, 88, 80, 72, 64, 56, 48, 40, 32)
# Bytes of all thumbnails of a report; base64 in HTML takes a third more.
BUDGET = 18 * 2**20
# Images that predict the size of all, and a margin for the error.
_SAMPLE, _MARGIN = 64, 1.1


def make_thumbnails(images, budget=BUDGET, n_jobs=None):
    """Return the central square of each image as a small WebP file.

    One file per image, not sheets of many: a browser then decodes only what is on the
    screen alone, and each has its own name for a screen reader. WebP has hardly any
    header.

    They have one side, such that all fit in `budget` bytes; smaller images stay as they
    are.
    """
    sides = SIDES[SIDES.index(_choose_side(images, budget)) :]
    for side in sides:

        def shrink(source, side=side):
            return encode(source.decode(side), side)

        thumbnails = []
        for thumbnail in iter_decoded(images, shrink, n_jobs=n_jobs):
            if isinstance(thumbnail, UnreadableImageError):
                raise thumbnail
            thumbnails.append(thumbnail)
        if sum(map(len, thumbnails)) <= budget:  # else the sample misled
            break
    return thumbnails


def encode(picture, side):
    """Return the central square of a picture as a WebP file, not enlarged."""
    side = min(side, *picture.size)
    square = ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)
    file = BytesIO()
    square.save(file, "WEBP", quality=60, method=2)
    return file.getvalue()


def _choose_side(images, budget):
    n = len(images)
    places = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(int))
    pictures = [ImageSource(images[i], int(i)).decode(SIDES[0]) for i in places]
    for side in SIDES:
        mean = np.mean([len(encode(picture, side)) for picture in pictures])
        if _MARGIN * mean * n <= budget:
            return side
    return SIDES[-1]

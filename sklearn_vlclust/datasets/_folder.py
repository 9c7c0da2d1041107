"""Images in a folder."""

from __future__ import annotations

import mimetypes
import os
import stat
import warnings

import numpy as np
from PIL import Image

from .._typing import StrPath

# Pillow knows many more, and some of them accept nearly any file.
_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "PPM",
    "JPEG2000",
    "AVIF",
    "HEIF",
    "JXL",
    "QOI",
)
# Text may start with the two letters of these: their header must be sound as well.
_SHORT_MAGIC = ("BMP", "PPM")


def list_images(folder: StrPath) -> np.ndarray:
    """List the images in a folder and the folders below it.

    What counts is the content of a file, not its name: files start with the bytes of
    a format that Pillow reads (plugins, pillow-heif for one, count). Whether an image
    is whole is seen when it is decoded. Hidden files and folders (.name) are left
    out; links are followed, each folder once.

    Parameters
    ----------
    folder : path
        The folder.

    Returns
    -------
    paths : ndarray of str
        Sorted; each starts with `folder` as it was given.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    ValueError
        If no image is in it.

    Warns
    -----
    UserWarning
        If files are named like images but are something else.

    Examples
    --------
    >>> from sklearn_vlclust.datasets import list_images
    >>> paths = list_images("photos")  # doctest: +SKIP
    """
    root = os.path.expanduser(os.fspath(folder))
    if not os.path.exists(root):
        raise FileNotFoundError(f"The folder {root!r} does not exist.")
    if not os.path.isdir(root):
        raise NotADirectoryError(f"{root!r} is a file; list_images takes a folder.")
    Image.init()
    images, misnamed = [], []
    for path in _walk(root):
        if _has_image_content(path):
            images.append(path)
        elif _has_image_name(path):
            misnamed.append(path)
    if misnamed:
        warnings.warn(
            f"{len(misnamed)} files in {root!r} are named like images but are empty "
            f"or something else, and left out: {_some(sorted(misnamed))}.",
            stacklevel=2,
        )
    if not images:
        raise ValueError(f"The folder {root!r} holds no images.")
    return np.array(sorted(images))


def _walk(root):
    """Yield the regular files below `root`; a link back up does not loop."""

    def fail(error):
        raise error

    seen = set()
    for folder, below, files in os.walk(root, followlinks=True, onerror=fail):
        status = os.stat(folder)
        # The first of two ways into a folder wins, so their order must be fixed.
        below[:] = sorted(name for name in below if not name.startswith("."))
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in files:
            path = os.path.join(folder, name)
            if not name.startswith(".") and _is_file(path):
                yield path


def _is_file(path):
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:  # a link to nowhere
        return False


def _has_image_content(path):
    with open(path, "rb") as file:
        head = file.read(32)
    for name in _FORMATS:
        _, accept = Image.OPEN.get(name, (None, None))
        # accept returns a text where Pillow was built without the decoder.
        if head and accept is not None and accept(head) is True:
            return name not in _SHORT_MAGIC or _opens(path, name)
    return False


def _opens(path, name):
    try:
        with Image.open(path, formats=[name]):
            return True
    except Exception:  # whatever a decoder makes of a text file
        return False


def _has_image_name(path):
    kind = mimetypes.guess_type(path)[0] or ""
    return kind.startswith("image/") and kind != "image/svg+xml"


def _some(paths, limit=3):
    names = ", ".join(map(repr, paths[:limit]))
    return names + (", ..." if len(paths) > limit else "")

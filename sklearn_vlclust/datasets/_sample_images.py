"""Real pictures for examples and tests: photographs from Tux Paint's stamps."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .._backend._files import is_sealed, once_per_state
from .._typing import StrPath
from ._data_home import get_data_home, install
from ._debian import unpack_packages
from ._folder import list_images

PACKAGE = "tuxpaint-stamps-default"
_STAMPS = Path("/usr/share/tuxpaint/stamps")
_COPYRIGHT = Path("/usr/share/doc", PACKAGE, "copyright")

# Folders of stamps that are photographs, by kind.
_KINDS = {
    "birds": ["animals/birds"],
    "insects": ["animals/insects"],
    "hoofed_animals": [
        f"animals/mammals/{name}" for name in ("bovines", "camel", "deer", "equines")
    ],
    "fruit": ["food/fruit"],
    "vegetables": ["food/vegetables"],
    "balls": ["sports"],
    "string_instruments": ["hobbies/music/string"],
    "tools": ["household/tools"],
    "vehicles": [
        f"vehicles/{name}"
        for name in (".", "auto", "construction", "emergency", "masstransit", "race")
    ],
}
_LEFT_OUT = {"rugby_goal_posts", "sedan_police", "tennis_racket", "trophy_cup"}
_SIDE, _MARGIN = 384, 24


def fetch_sample_images(data_home: StrPath | None = None) -> np.ndarray:
    """Return about 150 photographs of nine kinds of things, cut out on white.

    They are the photographs among the stamps of Tux Paint, a drawing program (Debian
    package `tuxpaint-stamps-default`, GPL-2): birds, insects, hoofed animals,
    fruit, vegetables, balls, string instruments, tools and vehicles. If the package is
    not installed, it is downloaded with `apt-get` and unpacked, which needs no root.
    The pictures are kept in the data folder.

    Parameters
    ----------
    data_home : path, default=None
        Where they are kept; see :func:`get_data_home`.

    Returns
    -------
    paths : ndarray of str
        Sorted; each picture is in the folder of its kind.

    Raises
    ------
    LookupError
        If the pictures cannot be obtained; the message says what to do.

    Examples
    --------
    >>> from sklearn_vlclust.datasets import fetch_sample_images
    >>> paths = fetch_sample_images()  # doctest: +SKIP
    """
    home = get_data_home(data_home)
    target = home / "sample_images"
    if not _is_intact(target):

        def fill(folder):
            root = Path("/") if _STAMPS.is_dir() else _download(folder.parent)
            _write_pictures(root, folder)
            if target.is_dir():
                warnings.warn(
                    f"The pictures in {str(target)!r} were changed: they are made "
                    "again.",
                    stacklevel=4,
                )

        install(target, fill, _is_intact, ".stamps-")
    return list_images(target)


@once_per_state
def _is_intact(folder: Path) -> bool:
    """Whether the pictures are as they were made; old ones have no checksums."""
    return folder.is_dir() and is_sealed(folder) is not False


def _write_pictures(root: Path, folder: Path) -> None:
    """Save the photographs below `root` as JPEG files on white, one folder per kind."""
    for kind, places in _KINDS.items():
        (folder / kind).mkdir(parents=True)
        for place in places:
            stamps = root / _STAMPS.relative_to("/") / place
            for path in sorted(stamps.glob("*.png")):
                # Mirror images, drawings, and what is not a ball.
                if path.stem.endswith("_mirror") or path.stem in _LEFT_OUT:
                    continue
                _on_white(path).save(folder / kind / f"{path.stem}.jpg", quality=90)
    copyright_file = root / _COPYRIGHT.relative_to("/")
    if copyright_file.is_file():
        shutil.copyfile(copyright_file, folder / "COPYRIGHT")


def _on_white(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            stamp = file.convert("RGBA")
    except (OSError, UnidentifiedImageError) as error:
        raise LookupError(f"{path} of {PACKAGE} is damaged: {error}") from error
    box = stamp.getchannel("A").point(lambda a: 255 * (a > 32)).getbbox()
    stamp = stamp.crop(box)
    inner = _SIDE - 2 * _MARGIN
    factor = inner / max(stamp.size)
    width, height = (max(1, round(factor * length)) for length in stamp.size)
    stamp = stamp.resize((width, height), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (_SIDE, _SIDE), "white")
    canvas.paste(stamp, ((_SIDE - width) // 2, (_SIDE - height) // 2), stamp)
    return canvas


def _download(scratch: Path) -> Path:
    """Unpack the Debian package below `scratch`; return the root of its files."""
    try:
        unpack_packages(scratch, PACKAGE)
    except LookupError as error:
        raise LookupError(
            "The sample pictures are not on this machine and cannot be downloaded "
            f"({error}). Install Debian's package (sudo apt-get install {PACKAGE}), or "
            "use pictures of your own."
        ) from error
    return scratch

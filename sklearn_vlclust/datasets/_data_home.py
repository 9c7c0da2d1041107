"""The folder of data that are downloaded or computed once."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .._backend._files import locked, seal
from .._typing import StrPath


def get_data_home(data_home: StrPath | None = None) -> Path:
    """Return the folder of data that are kept between runs; make it if missing.

    Parameters
    ----------
    data_home : path, default=None
        The folder. If None, the environment variable `SKLEARN_VLCLUST_DATA`; if that is
        not set, `sklearn_vlclust` in the user's cache folder: `~/.cache` (or
        `XDG_CACHE_HOME`), `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.

    Returns
    -------
    data_home : Path
        An absolute path.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """
    home = Path(data_home or os.environ.get("SKLEARN_VLCLUST_DATA") or _default_home())
    home = home.expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"The data folder {str(home)!r} cannot be made: {error.strerror}. Set "
            "SKLEARN_VLCLUST_DATA to a folder that can be written."
        ) from error
    return home


def clear_data_home(data_home: StrPath | None = None) -> None:
    """Delete the data folder and everything in it.

    Parameters
    ----------
    data_home : path, default=None
        As in :func:`get_data_home`.
    """
    shutil.rmtree(get_data_home(data_home))


def _default_home() -> Path:
    if sys.platform == "win32":
        caches = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "sklearn_vlclust"


def install(
    target: Path,
    fill: Callable[[Path], None],
    is_intact: Callable[[Path], bool],
    prefix: str,
) -> None:
    """Fill a folder and move it to `target` in one step, one process at a time.

    Parameters
    ----------
    target : Path
        The folder; replaced if it is there and not intact.
    fill : callable
        Writes the files to an empty folder, whose parent is for anything else.
    is_intact : callable
        Whether a folder is as it was installed; then nothing is done.
    prefix : str
        How the names of temporary folders beside `target` start.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.parent):
        if is_intact(target):
            return  # another process was first
        for leftover in target.parent.glob(f"{prefix}*"):  # a process was ended
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as scratch:
            folder = Path(scratch, target.name)
            folder.mkdir()
            fill(folder)
            seal(folder)
            if target.exists():
                os.replace(target, Path(scratch, "damaged"))
            os.rename(folder, target)

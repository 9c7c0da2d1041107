"""The folder of data that are downloaded or computed once."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

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

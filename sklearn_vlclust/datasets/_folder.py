"""Images in a folder."""

from __future__ import annotations

import mimetypes
import os
import stat
import warnings
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Literal, overload

import numpy as np

from .._backend._text import counted
from .._typing import StrPath
from ..data.decoding import opens
from ..data.formats import HEAD, SHORT_MAGIC, format_of, kind_of
from ..data.images import is_images, kind_of_entry, open_at_once, reason_of

# Folders that systems and network drives make: previews, and files that were deleted.
SYSTEM_FOLDERS = {
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "system volume information",
    "__macosx",
    "lost+found",
}
# Names of images that not every system knows.
_IMAGE_NAMES = (".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".webp")
# Files that a warning names, per reason.
_NAMED = 3


def images_in(X: Any) -> Any:
    """Return the images of a folder, or anything else as it is.

    A folder with `.npy` files stands for the embeddings in them.
    """
    is_path = isinstance(X, str | os.PathLike)
    if is_path and is_images(X) and os.path.isdir(os.path.expanduser(X)):
        return list_images(X)
    return X


@overload
def list_images(
    folder: StrPath,
    exclude: StrPath | Iterable[StrPath] = ...,
    return_left_out: Literal[False] = ...,
) -> np.ndarray: ...


@overload
def list_images(
    folder: StrPath,
    exclude: StrPath | Iterable[StrPath] = ...,
    *,
    return_left_out: Literal[True],
) -> tuple[np.ndarray, list[tuple[str, str]]]: ...


def list_images(
    folder: StrPath,
    exclude: StrPath | Iterable[StrPath] = (),
    return_left_out: bool = False,
) -> np.ndarray | tuple[np.ndarray, list[tuple[str, str]]]:
    """List the images in a folder and the folders below it.

    What counts is the content of a file, not its name: files start with the bytes of
    a format that Pillow reads (plugins, pillow-heif for one, count). Whether an image
    is whole is seen when it is decoded. Hidden files and folders (.name) are left
    out, and so are folders that systems make, such as `@eaDir`, `$RECYCLE.BIN` and
    `__MACOSX`; links are followed, each folder once.

    Parameters
    ----------
    folder : path
        The folder.
    exclude : str or sequence of str, default=()
        Patterns such as ``"*.png"``, ``"raw"`` or ``"2019/*"``: files and folders are
        skipped whose name, or path below `folder`, fits one (`*`, `?` and `[...]` as
        in a shell; upper and lower case are the same).
    return_left_out : bool, default=False
        Whether to return the files that were left out as well.

    Returns
    -------
    paths : ndarray of str
        Sorted; each starts with `folder` as it was given.
    left_out : list of (str, str)
        Only with `return_left_out`: path and reason, sorted, of what looks like an
        image but is none that can be read here, or cannot be looked at.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    ValueError
        If no image is in it.

    Warns
    -----
    UserWarning
        If files were left out: how many, for which reasons.

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
    patterns = _read_patterns(exclude)
    images, left_out = [], []
    for path, reason in _walk(root, patterns):
        if reason is None:
            reason = _reason_to_leave_out(path)
        if reason is None:
            images.append(path)
        elif reason:  # of concern
            left_out.append((path, reason))
    left_out.sort()
    if not images:
        why = _summary(root, left_out) if left_out else ""
        skipped = "; some may be excluded" if patterns else ""
        raise ValueError(
            f"The folder {root!r} holds no images{skipped}. {why}".rstrip()
        )
    if left_out:
        warnings.warn(_summary(root, left_out), stacklevel=2)
    paths = np.array(sorted(images))
    return (paths, left_out) if return_left_out else paths


def _read_patterns(exclude):
    patterns = [exclude] if isinstance(exclude, str | os.PathLike) else list(exclude)
    for pattern in patterns:
        if not isinstance(pattern, str | os.PathLike) or not os.fspath(pattern):
            raise ValueError(
                f"exclude holds {pattern!r}; expected patterns such as '*.png'."
            )
    return [os.path.normpath(os.fspath(pattern)).casefold() for pattern in patterns]


def _walk(root, patterns):
    """Yield path and None of each regular file below `root`, or path and reason.

    A link back up does not loop. Whatever the system says of one entry concerns that
    entry only.
    """

    def skips(path, name):
        if name.startswith("."):
            return True
        texts = [name, os.path.relpath(path, root), path] if patterns else []
        return any(fnmatchcase(t.casefold(), p) for t in texts for p in patterns)

    seen = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            # The first of two ways into a folder wins, so their order must be fixed.
            names = sorted(os.listdir(folder))
        except OSError as error:
            yield folder, f"the folder is left out: {reason_of(error)}"
            continue
        below = []
        for name in names:
            path = os.path.join(folder, name)
            if skips(path, name):
                continue
            try:
                mode = os.stat(path).st_mode
            except OSError as error:
                if not _is_named_otherwise(path):
                    yield path, reason_of(error, is_link=os.path.islink(path))
                continue
            if stat.S_ISDIR(mode):
                if name.casefold() not in SYSTEM_FOLDERS:
                    below.append(path)
            elif stat.S_ISREG(mode):
                yield path, None
            elif _has_image_name(path):
                yield path, kind_of_entry(mode)
        folders.extend(reversed(below))


def _reason_to_leave_out(path):
    """Return None for an image, "" for what is of no concern, else the reason."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            head = file.read(HEAD)
        name = format_of(head, path)
        if name and (name not in SHORT_MAGIC or opens(path)):
            return None
    except OSError as error:
        return "" if _is_named_otherwise(path) else reason_of(error)
    kind = kind_of(head, path)
    if kind is not None and kind.is_picture:
        return kind.reason
    if not _has_image_name(path):
        return ""
    if kind is not None:
        return kind.reason
    if not head:
        return "the file is empty (0 bytes)"
    return "it is named like an image, but its content is of no known format"


def _type_of_name(path):
    return mimetypes.guess_type(path)[0] or ""


def _has_image_name(path):
    kind = _type_of_name(path)
    is_image = kind.startswith("image/") and kind != "image/svg+xml"
    return is_image or path.lower().endswith(_IMAGE_NAMES)


def _is_named_otherwise(path):
    """Whether a name says that a file is no image, as that of a text does."""
    return bool(_type_of_name(path)) and not _has_image_name(path)


def _summary(root, left_out):
    """Return a sentence: how many were left out, for which reasons, and some names."""
    by_reason: dict[str, list[str]] = {}
    for path, reason in left_out:
        by_reason.setdefault(reason, []).append(path)
    parts = []
    for reason, paths in by_reason.items():
        format_name, needs, way_out = reason.partition(" pictures need ")
        what = f"{len(paths):,} because {reason}"
        if needs:
            picture = counted(len(paths), f"{format_name} picture", "needs")
            what = f"{picture} {way_out}"
        names = ", ".join(map(repr, paths[:_NAMED])) + ", ..." * (len(paths) > _NAMED)
        parts.append(f"{what} ({names})")
    return f"{counted(len(left_out), 'file')} in {root!r} left out: {'; '.join(parts)}."

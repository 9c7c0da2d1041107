"""Images as links or copies, in one folder per cluster."""

import json
import os
import re
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path

from .._backend._files import file_hash, write_bytes_atomically
from ._errors import OCCUPIED, CommandError
from ._options import Sorting

# What a run has put there, so that the next one can take away that and nothing else.
MANIFEST = "vlclust-images.json"
_PART = ".vlclust-copying"
# Raised where JSON values are of another kind than was written.
_WRONG_KINDS = ValueError, TypeError, KeyError, AttributeError
_LONGEST_NAME = 255  # bytes, of most file systems


def sort_images(rows, folder, how, terminal):
    """Put images into one folder per cluster; nothing that is there is replaced.

    Links and copies of an earlier run are taken away first, if nobody has changed them.
    No link that lies in the folder is followed.

    Parameters
    ----------
    rows : list of dict
        Of `assignments`.
    folder : Path
        Holds the folders of the clusters.
    how : Sorting
        Symbolic links, or copies.
    terminal : Terminal
        Shows a bar.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clear_sorted(folder)
    entries = _plan(rows, folder, how)
    # Before the first file: a run that is killed leaves none that is not in it.
    _write_manifest(folder, entries)
    title = f"{'Linking' if how is Sorting.link else 'Copying'} images"
    with terminal.stage(title, len(entries)) as advance:
        for i, entry in enumerate(entries):
            target = folder / entry["name"]
            target.parent.mkdir(exist_ok=True)
            if how is Sorting.link:
                os.symlink(entry["source"], target)
            else:
                _copy(entry["source"], target, folder / _PART)
                entry["hash"] = file_hash(target)
            advance(i + 1)
    _write_manifest(folder, entries)


def check_sorted(folder):
    """Raise CommandError if images cannot be sorted into `folder`.

    Parameters
    ----------
    folder : Path
        As for `sort_images`.

    Raises
    ------
    CommandError
        If the folder is a link or a file, or its list of images is damaged: then
        nothing tells which files are the user's.
    """
    if os.path.islink(folder) or (
        os.path.lexists(folder) and not os.path.isdir(folder)
    ):
        raise CommandError(f"{str(folder)!r} is no folder: remove it.", OCCUPIED)
    _read_manifest(folder)


def sorted_how(folder):
    """Return how an earlier run has sorted images into `folder`; None if none has."""
    entries = _read_manifest(Path(folder))
    if not entries:
        return None
    return Sorting.link if "link" in entries[0] else Sorting.copy


def clear_sorted(folder):
    """Take away what an earlier run has put into `folder` and nobody has changed."""
    folder = Path(folder)
    check_sorted(folder)
    entries = _read_manifest(folder)
    for entry in entries:
        place, name = entry["name"].split("/")
        with suppress(OSError), _opened(folder / place) as there:
            if _is_as_written(name, there, entry):
                os.unlink(name, dir_fd=there)
    for place in {entry["name"].split("/")[0] for entry in entries}:
        with suppress(OSError):  # not empty, or a link
            os.rmdir(folder / place)
    for name in (_PART, MANIFEST):
        (folder / name).unlink(missing_ok=True)  # a link itself, not what it leads to


def _read_manifest(folder):
    """Return the entries of a manifest that are of this folder; [] without one."""
    file = folder / MANIFEST
    if not os.path.lexists(file):
        return []
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as opened:
            entries = json.load(opened)
        known = [entry for entry in entries if _is_inside(entry["name"])]
    except (OSError, RecursionError, *_WRONG_KINDS) as error:
        raise CommandError(
            f"{str(file)!r} is damaged ({type(error).__name__}: {error}), so nothing "
            "tells which images an earlier run has put there. Remove it to go on: the "
            "images stay.",
            OCCUPIED,
        ) from error
    return known


def _is_inside(name):
    """Whether a name leads to a file in a folder, as "3-crane/a.jpg" does."""
    parts = name.split("/")
    return len(parts) == 2 and not {"", ".", ".."} & set(parts) and "\0" not in name


def _write_manifest(folder, entries):
    text = json.dumps([{**entry, "source": None} for entry in entries]) + "\n"
    write_bytes_atomically(folder / MANIFEST, text.encode())


@contextmanager
def _opened(folder):
    """Yield the descriptor of a folder that is no link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _plan(rows, folder, how):
    """Return name, source, and how each entry can be recognized."""
    taken: dict[str, set[str]] = {}
    entries = []
    for row in rows:
        place = _free_place(folder, _folder_name(row["cluster"], row["name"]))
        if place not in taken:
            there = folder / place
            names = os.listdir(there) if there.is_dir() else []
            taken[place] = {name.casefold() for name in names}
        name = _free_name(os.path.basename(row["path"]), taken[place])
        taken[place].add(name.casefold())
        entry = {"name": f"{place}/{name}", "source": row["path"]}
        if how is Sorting.link:
            entry["link"] = row["path"]
        else:
            status = os.stat(row["path"])
            entry |= {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        entries.append(entry)
    return entries


def _folder_name(cluster, name):
    """Return a name such as "3-crane_wading_bird", whatever the noun holds."""
    words = re.sub(r"\W+", "_", name).strip("_")[:40]
    return f"{cluster}-{words}" if words else str(cluster)


def _free_place(folder, name):
    """Return `name`, or with a number behind if that is a file or a link."""
    candidate, number = name, 1
    while os.path.lexists(folder / candidate) and (
        os.path.islink(folder / candidate) or not os.path.isdir(folder / candidate)
    ):
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _free_name(name, taken):
    """Return `name`, or with a number before its extension if that is taken."""
    stem, extension = os.path.splitext(name)
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        end = f"-{number}{extension}"
        room = _LONGEST_NAME - len(os.fsencode(end))
        candidate = os.fsdecode(os.fsencode(stem)[:room]) + end
    return candidate


def _copy(source, target, part):
    """Copy a file in one step: half a copy has the name `part`, which is no link."""
    with suppress(FileNotFoundError):
        os.unlink(part)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
        with open(source, "rb") as old, open(os.open(part, flags, 0o666), "wb") as new:
            shutil.copyfileobj(old, new, 2**20)
        shutil.copystat(source, part)
        os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def _is_as_written(name, there, entry):
    """Whether a file in the open folder `there` is what an entry says."""
    if "link" in entry:
        return os.readlink(name, dir_fd=there) == entry["link"]
    status = os.stat(name, dir_fd=there, follow_symlinks=False)
    same = (status.st_size, status.st_mtime_ns) == (
        entry.get("size"),
        entry.get("mtime_ns"),
    )
    if not same or not stat.S_ISREG(status.st_mode):
        return False
    if "hash" not in entry:  # of a run that was killed
        return True
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=there)
    return file_hash(file) == entry["hash"]

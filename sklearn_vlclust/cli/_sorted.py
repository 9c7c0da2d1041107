"""Images as links or copies, in one folder per cluster."""

import json
import os
import re
import shutil
from pathlib import Path

from .._backend._files import write_bytes_atomically
from ._options import Sorting

# What a run has put there, so that the next one can take away that and nothing else.
MANIFEST = "vlclust-images.json"
_PART = ".vlclust-copying"
_LONGEST_NAME = 255  # bytes, of most file systems


def sort_images(rows, folder, how, terminal):
    """Put images into one folder per cluster; nothing that is there is replaced.

    Links and copies of an earlier run are taken away first, if nobody has changed them.

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
    manifest = json.dumps([{**e, "source": None} for e in entries]) + "\n"
    # Before the first file: a run that is killed leaves none that is not in it.
    write_bytes_atomically(folder / MANIFEST, manifest.encode())
    title = f"{'Linking' if how is Sorting.link else 'Copying'} images"
    with terminal.stage(title, len(entries)) as advance:
        for i, entry in enumerate(entries):
            target = folder / entry["name"]
            target.parent.mkdir(exist_ok=True)
            if how is Sorting.link:
                os.symlink(entry["source"], target)
            else:
                _copy(entry["source"], target, folder / _PART)
            advance(i + 1)


def clear_sorted(folder):
    """Take away what an earlier run has put into `folder` and nobody has changed."""
    folder = Path(folder)
    try:
        entries = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return
    for entry in entries:
        path = folder / entry["name"]
        # A name from a file that others can write to must not lead elsewhere.
        if path.parent.parent == folder and _is_as_written(path, entry):
            path.unlink()
    for name in {Path(entry["name"]).parts[0] for entry in entries}:
        place = folder / name
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            place.rmdir()
    (folder / MANIFEST).unlink()


def _plan(rows, folder, how):
    """Return name, source, and how each entry can be recognized."""
    taken: dict[str, set[str]] = {}
    entries = []
    for row in rows:
        place = _folder_name(row["cluster"], row["name"])
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
    """Copy a file in one step: half a copy has the name `part`."""
    shutil.copyfile(source, part)
    shutil.copystat(source, part)
    os.replace(part, target)


def _is_as_written(path, entry):
    if "link" in entry:
        return path.is_symlink() and os.readlink(path) == entry["link"]
    if path.is_symlink() or not path.is_file():
        return False
    status = path.stat()
    same = (status.st_size, status.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
    return same

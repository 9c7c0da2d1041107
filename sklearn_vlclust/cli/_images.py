"""The pictures of a folder, without what vlclust wrote there."""

import hashlib
import os

# Marks the folder that a run writes to.
MARKER = "vlclust.json"
# In it, the files that were left out; the terminal shows some of them.
LEFT_OUT = "left_out.csv"
_SHOWN = 10


def list_pictures(folder, out=None, exclude=()):
    """List the images below a folder.

    Folders that vlclust writes to are no input: neither `out` nor the outputs of other
    runs, unless `folder` is inside one.

    Parameters
    ----------
    folder : path
        The folder.
    out : path, default=None
        Where this run writes to.
    exclude : sequence of str, default=()
        Patterns of :func:`~sklearn_vlclust.datasets.list_images`.

    Returns
    -------
    paths : ndarray of str
        Absolute and sorted.
    left_out : list of dict
        ``path`` and ``reason`` of each file that looks like a picture and is left out.

    Raises
    ------
    ValueError
        If there are none.
    """
    import numpy as np

    from ..datasets import list_images

    root = os.path.abspath(os.path.expanduser(folder))
    outputs = {} if out is None else {os.path.realpath(out): True}
    top = os.path.realpath(root)

    def is_output(place):
        """Whether a real path is an output folder, or in one that is below `top`."""
        if place not in outputs:
            above = os.path.dirname(place)
            outputs[place] = place not in (top, above) and (
                os.path.exists(os.path.join(place, MARKER)) or is_output(above)
            )
        return outputs[place]

    places: dict[str, bool] = {}

    def is_input(path):
        place = os.path.dirname(path)
        if place not in places:
            places[place] = not is_output(os.path.realpath(place))
        return places[place]

    paths, left_out = list_images(root, exclude, return_left_out=True)
    inputs = np.array([is_input(path) for path in paths])
    if not inputs.any():
        raise ValueError(
            f"The folder {root!r} holds no images but those that vlclust put there."
        )
    return paths[inputs], [
        {"path": path, "reason": reason} for path, reason in left_out if is_input(path)
    ]


def fingerprint(paths):
    """Return a digest of the paths of pictures, their sizes and times of change."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        status = os.stat(path)
        digest.update(os.fsencode(path))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def show_left_out(rows, write, where):
    """Show the first files that were left out.

    Parameters
    ----------
    rows : list of dict
        ``path`` and ``reason`` of each.
    write : callable
        Takes a line.
    where : str
        Where all of them are.
    """
    for row in rows[:_SHOWN]:
        write(f"Left out: {row['path']}: {row['reason']}")
    if len(rows) > _SHOWN:
        write(f"Left out: {len(rows) - _SHOWN:,} more; all are in {where}")


def is_within(path, folder):
    """Whether `path` is `folder` or lies in it, links resolved."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder

"""The pictures of a folder, without what vlclust wrote there."""

import os

import numpy as np

# Marks the folder that a run writes to.
MARKER = "vlclust.json"


def list_pictures(folder, out=None):
    """List the images below a folder.

    Folders that vlclust writes to are no input: neither `out` nor the outputs of other
    runs, unless `folder` is inside one.

    Parameters
    ----------
    folder : path
        The folder.
    out : path, default=None
        Where this run writes to.

    Returns
    -------
    paths : ndarray of str
        Absolute and sorted.

    Raises
    ------
    ValueError
        If there are none.
    """
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

    paths = list_images(root)
    inputs = np.array([is_input(path) for path in paths])
    if not inputs.any():
        raise ValueError(
            f"The folder {root!r} holds no images but those that vlclust put there."
        )
    return paths[inputs]


def is_within(path, folder):
    """Whether `path` is `folder` or lies in it, links resolved."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder

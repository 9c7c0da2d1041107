"""The folder that a run writes to: whose it is, and where in it things are."""

import json
import os
from pathlib import Path

from .._backend._files import write_bytes_atomically
from ._errors import OCCUPIED, USAGE, CommandError
from ._images import MARKER, is_within

FORMAT = 1
_START = 64  # bytes of a file by which its kind is known


def check_target(path, kind, name, option="--out"):
    """Refuse a place where something else is than vlclust writes there.

    Parameters
    ----------
    path : path
        What the option names.
    kind : re.Pattern of bytes
        How files of the kind start.
    name : str
        What they are called.
    option : str, default="--out"
        For the message.

    Returns
    -------
    found : bool
        Whether such a file is there.

    Raises
    ------
    CommandError
        If there is something else: it may be the user's.
    """
    if not os.path.lexists(path):
        return False
    if os.path.isfile(path):
        with open(path, "rb") as file:
            if kind.match(file.read(_START)):
                return True
    raise CommandError(f"{option} {str(path)!r} is there and not {name}.", OCCUPIED)


class Output:
    """An output folder.

    Parameters
    ----------
    folder : path
        The folder.
    """

    def __init__(self, folder):
        self.folder = Path(os.path.abspath(os.path.expanduser(folder)))
        self.report = self.folder / "report.html"
        self.csv = self.folder / "clusters.csv"
        self.model = self.folder / "model"
        self.images = self.folder / "images"
        self.cache = self.folder / "cache"

    def check(self, source, settings, overwrite):
        """Refuse a folder that this run may not write to.

        It may be new, empty, of a run with the same settings or one that has nothing
        to show yet, or anything if `overwrite`; then only files that vlclust writes
        are replaced.

        Parameters
        ----------
        source : path
            Folder of the pictures.
        settings : dict
            JSON values that say what the run computes.
        overwrite : bool
            Whether the user said so.

        Returns
        -------
        resumed : bool
            Whether a run with the same settings was there and not finished.

        Raises
        ------
        CommandError
            If it is refused.
        """
        if is_within(source, self.folder):
            raise CommandError(
                f"--out {str(self.folder)!r} is, or holds, the folder of the pictures: "
                "name another one.",
                USAGE,
            )
        if self.folder.exists() and not self.folder.is_dir():
            raise CommandError(f"--out {str(self.folder)!r} is a file.", USAGE)
        found = self._read_marker()
        same = found is not None and found.get("settings") == settings
        if not (same or overwrite or self._is_free()):
            raise CommandError(self._refusal(found, settings), OCCUPIED)
        return same and not found["done"]

    def start(self, settings):
        """Make the folder, and note that a run writes to it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_marker(settings, done=False)

    def finish(self, settings):
        """Note that the run is complete, and drop what only a resumed run needs."""
        self._write_marker(settings, done=True)
        for file in self.cache.glob("fit-*.safetensors"):
            file.unlink(missing_ok=True)

    def _is_free(self):
        own = {MARKER, self.cache.name} if self._read_marker() else set()
        return not self.folder.exists() or {*os.listdir(self.folder)} <= own

    def _refusal(self, found, settings):
        what = "is not empty"
        if found is not None:
            there = found.get("settings", {})
            differing = [
                f"{name} {there.get(name)!r} there, {value!r} now"
                for name, value in settings.items()
                if there.get(name) != value
            ]
            what = f"holds another run ({'; '.join(differing)})"
        return (
            f"--out {str(self.folder)!r} {what}. Name another folder, or add "
            "--overwrite, which replaces what vlclust writes and nothing else."
        )

    def _read_marker(self):
        try:
            marker = json.loads((self.folder / MARKER).read_text("utf-8"))
            return marker if {"settings", "done"} <= marker.keys() else None
        except (OSError, ValueError, AttributeError):
            return None

    def _write_marker(self, settings, done):
        marker = {"format": FORMAT, "done": done, "settings": settings}
        text = json.dumps(marker, indent=1) + "\n"
        write_bytes_atomically(self.folder / MARKER, text.encode())

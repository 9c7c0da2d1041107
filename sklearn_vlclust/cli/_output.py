"""The folder that a run writes to: whose it is, and where in it things are."""

import json
import os
import shlex
import warnings
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .._backend._files import file_hash, locked, write_bytes_atomically
from ._errors import OCCUPIED, USAGE, CommandError
from ._images import LEFT_OUT, MARKER, is_within
from ._terminal import to_json

FORMAT = 1
# In model/: what the run returned, which needs no library to be read.
RESULT = "result.json"
# Names of settings that are not those of the options
_OPTIONS = {"folder": "FOLDER", "max_k": "--max-k"}
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
        self.left_out = self.folder / LEFT_OUT
        self.model = self.folder / "model"
        self.images = self.folder / "images"
        self.result = self.model / RESULT
        self.checkpoints = self.folder / "cache"

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

    @property
    def settings(self):
        """Settings of the run that wrote here; {} if there was none."""
        return (self._read_marker() or {}).get("settings", {})

    @property
    def pictures(self):
        """Fingerprint of the pictures of the finished run that wrote here, or None."""
        return (self._read_marker() or {}).get("pictures")

    def finished(self, settings, pictures):
        """Return the result of a finished run, if it is the same and all is in place.

        Parameters
        ----------
        settings : dict
            As in `check`.
        pictures : str
            Fingerprint of the pictures as they are now.

        Returns
        -------
        result : dict or None
            What :meth:`write_result` wrote.
        """
        marker = self._read_marker()
        if marker is None or not marker["done"] or marker["settings"] != settings:
            return None
        if marker.get("pictures") != pictures:
            return None
        self._written = marker.get("files", {})
        here = all(os.path.lexists(self.folder / name) for name in self._written)
        if not here or not all(map(self._is_ours, self._written)):
            return None
        return self.read_result()

    def read_result(self):
        """Return the result of the run that wrote here; None if there is none."""
        try:
            return json.loads(self.result.read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def write_result(self, result):
        """Keep the result of a run."""
        write_bytes_atomically(self.result, to_json(result).encode() + b"\n")

    @contextmanager
    def held(self):
        """Hold the folder, so that no other run writes to it.

        Raises
        ------
        CommandError
            If another run does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder, wait=False))
            except BlockingIOError:
                raise CommandError(
                    f"Another vlclust writes to --out {str(self.folder)!r}: wait until "
                    "it is done, or name another folder.",
                    OCCUPIED,
                ) from None
            yield

    @contextmanager
    def writing(self, source, settings, overwrite, pictures=None):
        """Hold the folder for one run; yield whether it goes on with another one.

        Files of the user's in the places that the run writes to are renamed: FILE.old.

        Parameters
        ----------
        source, settings, overwrite
            As in `check`, whose answer may have changed meanwhile.
        pictures : str, default=None
            Fingerprint of the pictures. Without one, the same run is repeated.

        Raises
        ------
        CommandError
            If another run writes to the folder, or as of `check`.
        """
        with self.held():
            resumed = self.check(source, settings, overwrite)
            self._claim(settings)
            yield resumed
            self._finish(settings, pictures)

    def _claim(self, settings):
        """Note that a run writes to the folder, after files of the user's moved."""
        marker = self._read_marker()
        if marker is None:
            self._written, self._kept = {}, self._checkpoints()
        else:
            # A marker of version 0.1.0 says nothing: all was written by vlclust.
            self._written = marker.get("files", dict.fromkeys(self._places()))
            self._kept = marker.get("kept", [])
        for name in self._places():
            if not self._is_ours(name):
                _move_aside(self.folder / name)
        # None until the run is complete: whatever is there is of this run.
        self._written = dict.fromkeys(self._places())
        self._write_marker(settings, done=False)

    def _finish(self, settings, pictures):
        """Note that the run is complete, and drop what only a resumed run needs."""
        self._written = {
            name: [os.path.getsize(self.folder / name), file_hash(self.folder / name)]
            for name in self._places()
            if (self.folder / name).is_file()
        }
        self._write_marker(settings, done=True, pictures=pictures)
        for name in set(self._checkpoints()) - set(self._kept):
            (self.checkpoints / name).unlink(missing_ok=True)
        with suppress(OSError):  # not there, or not empty
            self.checkpoints.rmdir()

    def _places(self):
        """Return names of the files that are replaced or removed."""
        model = self.model.name
        parts = ["estimator", "selector", "captioner", "search/search"]
        return [
            self.report.name,
            self.csv.name,
            self.left_out.name,
            f"{model}/model.json",
            f"{model}/{RESULT}",
            *(f"{model}/{part}.safetensors" for part in parts),
        ]

    def _checkpoints(self):
        return [file.name for file in self.checkpoints.glob("fit-*.safetensors")]

    def _is_ours(self, name):
        """Whether a file is as a run has written it, or not there."""
        file = self.folder / name
        if not os.path.lexists(file):
            return True
        if name not in self._written or file.is_symlink() or not file.is_file():
            return False
        size_and_hash = self._written[name]
        return size_and_hash is None or (
            os.path.getsize(file) == size_and_hash[0]
            and file_hash(file) == size_and_hash[1]
        )

    def _is_free(self):
        own = {MARKER, self.checkpoints.name} if self._read_marker() else set()
        return not self.folder.exists() or {*os.listdir(self.folder)} <= own

    def _refusal(self, found, settings):
        what = "is not empty"
        if found is not None:
            there = found.get("settings", {})
            differing = {
                name: value
                for name, value in settings.items()
                if there.get(name) != value
            }
            changes = [
                f"{_OPTIONS.get(name, f'--{name}')} {there.get(name)} there, {now} now"
                for name, now in differing.items()
            ]
            what = f"holds another run ({'; '.join(changes)})"
            if found["done"] and differing.keys() == {"k"}:
                command = ["vlclust", "recut", str(self.folder), "--k", differing["k"]]
                what += f"; to change it: {shlex.join(map(str, command))}"
        return (
            f"--out {str(self.folder)!r} {what}. Name another folder, or add "
            "--overwrite, which replaces what vlclust wrote and nothing else."
        )

    def _read_marker(self):
        try:
            marker = json.loads((self.folder / MARKER).read_text("utf-8"))
            files = marker.get("files", {}).values()
            whole = {"settings", "done"} <= marker.keys() and all(
                found is None or len(found) == 2 for found in files
            )
            return marker if whole else None
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def _write_marker(self, settings, done, pictures=None):
        marker = {
            "format": FORMAT,
            "done": done,
            "settings": settings,
            "pictures": pictures,
            "files": self._written,
            "kept": self._kept,
        }
        text = json.dumps(marker, indent=1) + "\n"
        write_bytes_atomically(self.folder / MARKER, text.encode())


def _move_aside(path):
    """Rename a file to its name with ".old" behind, and a number if that is there."""
    number, target = 1, Path(f"{path}.old")
    while os.path.lexists(target):
        number += 1
        target = Path(f"{path}.old{number}")
    os.rename(path, target)
    warnings.warn(
        f"{str(path)!r} is not as vlclust wrote it: it is {target.name!r} now.",
        stacklevel=2,
    )

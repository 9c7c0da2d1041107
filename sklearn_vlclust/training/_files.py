"""Files that are either whole or not there."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(path, write):
    """Call ``write(temporary path)`` and move the result to `path` in one step.

    A reader, or a process that starts after this one was killed, sees the old file or
    the new one, never a part.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        write(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise

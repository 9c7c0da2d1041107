"""Files that are either whole or not there."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_atomically(path, write):
    """Call ``write(temporary path)`` and move the result to `path` in one step.

    A reader, or a process that starts after this one was killed, sees the old file or
    the new one, never a part.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # `tempfile` makes files that nobody else may read, and names may have 255 bytes.
    name = str(path.parent / f".{path.name[:40]}.{secrets.token_hex(8)}")
    try:
        write(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def write_bytes_atomically(path, data):
    """Write bytes to `path` in one step; see :func:`write_atomically`."""
    write_atomically(path, lambda name: Path(name).write_bytes(data))

"""Files that are either whole or not there, written by one process at a time."""

import hashlib
import json
import os
import re
import secrets
import socket
import time
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path

try:
    import fcntl
except ImportError:  # not POSIX: there are no locks
    fcntl = None  # type: ignore[assignment]

# Age in seconds from which a temporary file of another machine counts as abandoned.
_ABANDONED = 24 * 3600
_HOST = hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()
# Checksums of the files of a folder.
SEAL = "vlclust-checksums.json"
# Targets whose leftovers this process has looked for.
_CLEANED: set[str] = set()


def write_atomically(path, write):
    """Call ``write(temporary path)`` and move the result to `path` in one step.

    A reader, or a process that starts after this one was killed, sees the old file or
    the new one, never a part. What killed processes left is taken away first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # Names may have 255 bytes.
    name = f".{path.name[:40]}.{_HOST}-{os.getpid()}.{secrets.token_hex(8)}"
    name = str(path.parent / name)
    try:
        # `write` may make a file that nobody else may read: the mode is by the umask.
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        mode = os.fstat(descriptor).st_mode
        os.close(descriptor)
        write(name)
        with open(name, "rb+") as file:
            os.chmod(name, mode & 0o777)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def write_bytes_atomically(path, data):
    """Write bytes to `path` in one step; see :func:`write_atomically`."""
    write_atomically(path, lambda name: Path(name).write_bytes(data))


def _remove_leftovers(path):
    """Remove temporary files of `path` whose writers are gone."""
    if str(path) in _CLEANED:
        return
    _CLEANED.add(str(path))
    start = re.escape(f".{path.name[:40]}.")
    temporary = re.compile(rf"{start}(\w{{8}})-(\d+)\.[0-9a-f]{{16}}", re.ASCII)
    with suppress(OSError):
        for name in os.listdir(path.parent):
            if found := temporary.fullmatch(name):
                with suppress(OSError):
                    if _is_abandoned(path.parent / name, found[1], int(found[2])):
                        os.unlink(path.parent / name)


def _is_abandoned(path, host, process):
    if host == _HOST and process != os.getpid():
        try:
            os.kill(process, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except OSError:  # another user's
            return False
    return time.time() - path.stat().st_mtime > _ABANDONED


@contextmanager
def locked(path, *, wait=True):
    """Hold the lock of a folder or file that is there; yield its descriptor.

    The system frees the lock when this process ends, however it ends. Where a file
    system has no locks there is none to hold.

    Parameters
    ----------
    path : path
        What no two processes, or threads, should write to at once.
    wait : bool, default=True
        Whether to wait for the process that holds the lock.

    Raises
    ------
    BlockingIOError
        If the lock is held by another process and `wait` is False.
    """
    flags = os.O_RDONLY if os.path.isdir(path) else os.O_RDWR
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise
            except OSError:  # not supported
                pass
        yield descriptor
    finally:
        os.close(descriptor)


def file_hash(path):
    """Return a checksum of the bytes of a file, given by path or descriptor."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, new_hash).hexdigest()


def seal(folder):
    """Write the checksums of all files below a folder into the folder."""
    write_bytes_atomically(folder / SEAL, json.dumps(_hashes(folder)).encode())


def is_sealed(folder):
    """Whether the files below a folder are as they were; None if nothing tells."""
    seal_file = folder / SEAL
    if not seal_file.is_file():
        return None
    try:
        return json.loads(seal_file.read_bytes()) == _hashes(folder)
    except (OSError, ValueError):
        return False


def _hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in files}
    return {name: file_hash(path) for path, name in names.items() if name != SEAL}


def once_per_state(check):
    """Return a check of a folder that is made again only after a file has changed."""
    known = lru_cache(maxsize=16)(lambda folder, state: check(folder))

    @wraps(check)
    def checked(folder):
        return known(folder, tuple(map(_state, sorted(folder.rglob("*")))))

    return checked


def _state(path):
    found = path.stat() if path.exists() else path.lstat()
    times = found.st_mtime_ns, found.st_ctime_ns
    return path, path.is_symlink(), found.st_ino, found.st_size, *times


def new_hash(data=b""):
    """Return a hash object; SHA-256 has instructions of its own in most processors."""
    return hashlib.sha256(data, usedforsecurity=False)

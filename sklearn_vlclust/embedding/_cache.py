"""Embeddings on disk, by content and encoder."""

import errno
import os
import sqlite3
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

# SQLite, because it is in the standard library, survives a kill at any moment and
# lets processes share a file. LMDB maps its file into memory, so that a truncated
# file ends the process (SIGBUS); diskcache pickles and is SQLite underneath.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_KEYS_PER_QUERY = 500


class EmbeddingCache:
    """Rows of float32 in a folder, found by a key of bytes.

    A file that is damaged is replaced by a new one, a row that is damaged counts as
    missing, and a disk that is full ends writing: each with a warning, none loses
    the rows that the caller has. Threads may share an instance, processes a folder.

    Parameters
    ----------
    folder : path
        Made where it does not exist.

    Raises
    ------
    OSError
        If the folder cannot be made or is not a folder.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder).expanduser()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._give_up("made", error)
                self._db: sqlite3.Connection | None = None
                return
            raise type(error)(
                f"cache={os.fspath(folder)!r} cannot be used as a folder: "
                f"{error.strerror}."
            ) from error
        self._lock = threading.RLock()
        self._writable = True
        self._db = None
        self._open()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self) -> None:
        """Close the file; what was put is on disk already."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def get(self, key: bytes) -> np.ndarray | None:
        """Return the row of `key`, or None."""
        blob = self.get_many([key]).get(key)
        return None if blob is None else np.frombuffer(blob, dtype="<f4")

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the rows that are held, as bytes of little-endian float32."""
        found = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, crc, value FROM rows WHERE key IN ({marks})"
            for key, crc, value in self._execute(
                lambda db, query=query, some=some: db.execute(query, some).fetchall()
            ):
                if crc == zlib.crc32(value, zlib.crc32(key)):
                    found[key] = value
                else:
                    warnings.warn(
                        f"A row of the cache in {str(self.folder)!r} is damaged: it is "
                        "computed again.",
                        stacklevel=2,
                    )
        return found

    def put(self, keys: Iterable[bytes], rows: np.ndarray) -> None:
        """Store rows at once: after a kill, all of them or none are there."""
        if not self._writable:
            return
        blobs = [row.astype("<f4").tobytes() for row in rows]
        records = [
            (key, zlib.crc32(blob, zlib.crc32(key)), blob)
            for key, blob in zip(keys, blobs, strict=True)
        ]

        def write(db):
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", records)
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return ()

        self._execute(write)

    def _execute(self, action: Callable[[sqlite3.Connection], Iterable]) -> Iterable:
        with self._lock:
            for _ in range(2):
                if self._db is None:
                    return ()
                try:
                    return action(self._db)
                except sqlite3.DatabaseError as error:
                    if error.sqlite_errorcode & 0xFF in _DAMAGED:
                        self._start_over()
                    else:
                        self._give_up("written or read", error)
                        return ()
        return ()

    def _open(self) -> None:
        files = sorted(self.folder.glob("embeddings-[0-9]*.sqlite"))
        self._file = files[-1] if files else self.folder / "embeddings-0000.sqlite"
        try:
            self._db = sqlite3.connect(
                self._file, timeout=60, isolation_level=None, check_same_thread=False
            )
            # Rows of 2 kB fill small pages badly. A kill loses nothing without
            # syncing; a power cut may, which the checksums find out.
            self._db.execute("PRAGMA page_size = 16384")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, crc INTEGER, "
                "value BLOB)"
            )
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _DAMAGED:
                self._start_over()
            else:
                self._give_up("opened", error)
                self.close()

    def _start_over(self) -> None:
        """Leave a damaged file for one of the next number.

        The name is never used twice: another process may still write to the old
        file, and SQLite finds its journal by name.
        """
        warnings.warn(
            f"The cache file {str(self._file)!r} is damaged or truncated: a new one is "
            "started and its embeddings are computed again.",
            stacklevel=2,
        )
        self.close()
        number = int(self._file.stem.removeprefix("embeddings-")) + 1
        damaged = self._file
        try:
            (self.folder / f"embeddings-{number:04d}.sqlite").touch()
            damaged.unlink(missing_ok=True)
        except OSError as error:
            self._give_up("written", error)
            return
        self._open()

    def _give_up(self, done: str, error: Exception) -> None:
        self._writable = False
        warnings.warn(
            f"The cache in {str(self.folder)!r} cannot be {done} ({error}): going on "
            "without storing embeddings. Free some space or name another folder.",
            stacklevel=2,
        )


def cached_rows(
    cache: EmbeddingCache | None,
    keys: Sequence[bytes] | None,
    n: int,
    compute: Callable[[list[int]], np.ndarray],
    *,
    batch_size: int,
    on_rows: Callable[[int], object] = lambda n_rows: None,
) -> np.ndarray:
    """Rows 0..n-1, from the cache where it holds them, else computed and stored.

    Parameters
    ----------
    cache : EmbeddingCache or None
        None computes all rows.
    keys : sequence of n bytes or None
        The key of each row; not used without a cache.
    n : int
        Number of rows, at least one.
    compute : callable
        Gets a list of at most `batch_size` row numbers, returns their rows as
        float32.
    batch_size : int
        Rows computed, and stored, at once.
    on_rows : callable
        Called with the number of rows as they become ready.

    Returns
    -------
    rows : ndarray of shape (n, d), float32
        A new array.
    """
    found = {} if cache is None else cache.get_many(keys)
    missing = list(range(n)) if not found else []
    rows = None
    if found:
        held = [i for i in range(n) if keys[i] in found]
        missing = [i for i in range(n) if keys[i] not in found]
        blob = b"".join(found[keys[i]] for i in held)
        ready = np.frombuffer(blob, dtype="<f4").reshape(len(held), -1)
        on_rows(len(held))
        if not missing:
            return ready.astype(np.float32)
        rows = np.empty((n, ready.shape[1]), dtype=np.float32)
        rows[held] = ready
    for start in range(0, len(missing), batch_size):
        chunk = missing[start : start + batch_size]
        new = compute(chunk)
        if cache is not None:
            cache.put([keys[i] for i in chunk], new)
        if rows is None:
            rows = np.empty((n, new.shape[1]), dtype=np.float32)
        rows[chunk] = new
        on_rows(len(chunk))
    return rows

"""Embeddings on disk, by content and encoder."""

import errno
import os
import sqlite3
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

# SQLite, because it is in the standard library, survives a kill at any moment and
# lets processes share a file. LMDB maps its file into memory, so a truncated
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
        """Close the file; all rows are on disk already."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def get(self, key: bytes) -> np.ndarray | None:
        """Return the row of `key`, or None."""
        for _, rows in self.read([key]):
            return rows[0]
        return None

    def read(self, keys: Sequence[bytes]) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Yield the keys that are held with their rows, a block at a time."""
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, crc, value FROM rows WHERE key IN ({marks})"
            records = self._execute(partial(_fetch, query=query, keys=some))
            sound = [r for r in records if r[1] == zlib.crc32(r[2], zlib.crc32(r[0]))]
            if len(sound) < len(records):
                warnings.warn(
                    f"{len(records) - len(sound)} rows of the cache in "
                    f"{str(self.folder)!r} are damaged: they are computed again.",
                    stacklevel=2,
                )
            if sound:
                blob = b"".join(value for _, _, value in sound)
                rows = np.frombuffer(blob, dtype="<f4").reshape(len(sound), -1)
                yield [key for key, _, _ in sound], rows

    def put(self, keys: Sequence[bytes], rows: np.ndarray) -> None:
        """Store rows in one transaction: after a kill, all or none are there."""
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

    def _execute(self, action: Callable[[sqlite3.Connection], Sequence]) -> Sequence:
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


def _fetch(db: sqlite3.Connection, query: str, keys: Sequence[bytes]) -> list[tuple]:
    return db.execute(query, keys).fetchall()


def cached_rows(
    cache: EmbeddingCache | None,
    keys: Sequence,
    compute: Callable[[list[int]], np.ndarray],
    *,
    batch_size: int,
    on_rows: Callable[[int], object] = lambda n_rows: None,
) -> np.ndarray:
    """Return the row of each key, from the cache where it holds it, else computed.

    Parameters
    ----------
    cache : EmbeddingCache or None
        Where rows are looked up and stored. If None, all are computed.
    keys : sequence of length n >= 1
        A key per row: bytes if there is a cache, else anything hashable. Equal keys are
        computed once.
    compute : callable
        Gets a list of at most `batch_size` positions in `keys`, returns their rows
        as float32.
    batch_size : int
        Rows computed, and stored, at once.
    on_rows : callable
        Called with the number of rows as they become ready.

    Returns
    -------
    rows : ndarray of shape (n, d), float32
        A new array.
    """
    n = len(keys)
    place = dict(zip(keys, range(n), strict=True))
    on_rows(n - len(place))
    rows = np.empty((n, 0), dtype=np.float32)

    def store(where: list[int], block: np.ndarray) -> None:
        nonlocal rows
        if not rows.shape[1]:
            rows = np.empty((n, block.shape[1]), dtype=np.float32)
        rows[where] = block
        on_rows(len(where))

    held = set()
    if cache is not None:
        for block_keys, block in cache.read(list(place)):
            store([place[key] for key in block_keys], block)
            held.update(block_keys)
    missing = [i for key, i in place.items() if key not in held]
    for start in range(0, len(missing), batch_size):
        chunk = missing[start : start + batch_size]
        new = compute(chunk)
        if cache is not None:
            cache.put([keys[i] for i in chunk], new)
        store(chunk, new)
    return rows if len(place) == n else rows[[place[key] for key in keys]]

"""Embeddings on disk, by content and encoder."""

import errno
import os
import re
import sqlite3
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .._backend._text import counted

# SQLite, because it is in the standard library, survives a kill at any moment and
# lets processes share a file. LMDB maps its file into memory, so a truncated
# file ends the process (SIGBUS); diskcache pickles and is SQLite underneath.

# What keeps a sound file from being used; every other error means that it is damaged.
_CIRCUMSTANCES = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_TABLE = "CREATE TABLE rows (key BLOB PRIMARY KEY, crc INTEGER, value BLOB)"
_SCHEMA = [
    ("index", "sqlite_autoindex_rows_1", "rows", None),
    ("table", "rows", "rows", _TABLE),
]
_NAME = re.compile(r"embeddings-([0-9]+)\.sqlite")
_KEYS_PER_QUERY = 500
# New files that are started in place of damaged ones before giving up.
_MOST_DAMAGED = 3
# Bytes of the longest row that is read where the width is not known.
_LONGEST = 2**20


class EmbeddingCache:
    """Rows of float32 in a folder, found by a key of bytes.

    A file that is damaged, or holds something else, is replaced by a new one, a row
    that is damaged counts as missing, and a disk that is full ends writing: each with
    a warning, none loses the rows that the caller has. Threads may share an instance,
    processes a folder.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    width : int, default=None
        Columns of a row. If given, rows of another width or length than one are
        damaged.

    Raises
    ------
    OSError
        If the folder cannot be made or is not a folder.
    """

    def __init__(self, folder: str | os.PathLike, width: int | None = None):
        self.folder = Path(folder).expanduser()
        self.width = width
        self._lock = threading.RLock()
        self._writable = True
        self._n_damaged = 0
        self._db: sqlite3.Connection | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._give_up("made", error)
                return
            raise type(error)(
                f"cache={os.fspath(folder)!r} cannot be used as a folder: "
                f"{error.strerror}."
            ) from error
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
            # A row of another length is not read: it may be of any size.
            fits = f"<= {_LONGEST}" if self.width is None else f"= {4 * self.width}"
            value = f"CASE WHEN length(value) {fits} THEN value END"
            query = f"SELECT key, crc, {value} FROM rows WHERE key IN ({marks})"
            records = self._execute(partial(_fetch, query=query, keys=some))
            found, rows = self._sound(records)
            if len(found) < len(records):
                warnings.warn(
                    f"The cache in {str(self.folder)!r} has "
                    f"{counted(len(records) - len(found), 'damaged row')}, computed "
                    "again.",
                    stacklevel=2,
                )
            if found:
                yield found, rows

    def _sound(self, records):
        """Return keys and rows of the records that can be an encoder's."""
        held = {key: value for key, crc, value in records if _fits(key, crc, value)}
        size = 4 * self.width if self.width else max(map(len, held.values()), default=4)
        held = {key: value for key, value in held.items() if len(value) == size}
        rows = np.frombuffer(b"".join(held.values()), "<f4")
        rows = rows.reshape(len(held), size // 4)
        if self.width is None:
            good = np.isfinite(rows).all(axis=1)
        else:
            good = np.abs(np.linalg.norm(rows, axis=1) - 1) < 1e-3
        if not good.all():
            rows = rows[good]
        return [key for key, is_good in zip(held, good) if is_good], rows

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
                except (sqlite3.Error, UnicodeError, OverflowError) as error:
                    self._mend("written or read", error)
        return ()

    def _mend(self, done: str, error: Exception) -> None:
        """Start a new file after damage; else go on without storing rows."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        # A damaged header may say that the file is not for writing.
        writable = not self._file.exists() or os.access(self._file, os.W_OK)
        if code not in _CIRCUMSTANCES or (code == sqlite3.SQLITE_READONLY and writable):
            self._start_over()
            return
        self._give_up(done, error)
        if code != sqlite3.SQLITE_FULL or done == "opened":
            self.close()  # each query would fail again, some after a minute

    def _open(self) -> None:
        self._file = self.folder / f"embeddings-{self._newest():04d}.sqlite"
        try:
            self._db = sqlite3.connect(
                self._file, timeout=60, isolation_level=None, check_same_thread=False
            )
            self._db.text_factory = bytes  # any bytes may be there
            # Rows of 2 kB fill small pages badly. A kill loses nothing without
            # syncing; a power cut may, which the checksums find out.
            self._db.execute("PRAGMA page_size = 16384")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
            query = "SELECT type, name, tbl_name, sql FROM sqlite_master"
            found = self._db.execute(query)
            schema = [tuple(x and x.decode() for x in row) for row in found]
            if sorted(schema, key=str) != sorted(_SCHEMA, key=str):
                # A view in place of the table may take forever.
                raise sqlite3.DatabaseError("it holds something else")
        except (sqlite3.Error, UnicodeError) as error:
            self._mend("opened", error)

    def _newest(self) -> int:
        """Return the number of the newest file, or of one that can be made."""
        found = map(_NAME.fullmatch, os.listdir(self.folder))
        newest = max((int(name[1]) for name in found if name), default=0)
        file = self.folder / f"embeddings-{newest:04d}.sqlite"
        # A pipe, say, would never answer.
        return newest if file.is_file() or not os.path.lexists(file) else newest + 1

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
        self._n_damaged += 1
        if self._n_damaged > _MOST_DAMAGED:
            self._give_up("used", OSError("each new file is damaged"))
            return
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
        if not self._writable:
            return
        self._writable = False
        warnings.warn(
            f"The cache in {str(self.folder)!r} cannot be {done} ({error}): going on "
            "without storing embeddings. Free some space or name another folder.",
            stacklevel=2,
        )


def _fits(key: bytes, crc, value) -> bool:
    """Whether a record has the right types and checksum."""
    if not isinstance(value, bytes) or not value or len(value) % 4:
        return False
    return crc == zlib.crc32(value, zlib.crc32(key))


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

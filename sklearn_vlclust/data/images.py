"""Images as input: telling them from embeddings, and decoding them."""

import errno
import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedReader, BytesIO, FileIO
from typing import Any

import numpy as np
from joblib import cpu_count, effective_n_jobs
from PIL import Image

from .as_given import column_of, in_order, refuse_what_is_no_array
from .decoding import (
    LIMITS,
    CannotDecode,
    Limits,
    decode_file,
    open_file,
    to_rgb,
)
from .distributed import is_dask
from .shards import holds_shards

ACCEPTED = (
    "a list or 1-D array of paths, PIL images or uint8 arrays of shape "
    "(height, width, channels), or one uint8 array of shape "
    "(n, height, width, channels); gray ones need no channels"
)

# Reading a lazily opened PIL image moves its file pointer: when one image is given
# twice, two threads must not load it at once.
_PIL_LOAD = threading.Lock()

# Bytes up to which a file is read as a whole and once; and of a larger one, at a time.
_HELD_FILE, _CHUNK = 32 * 2**20, 2**20


class UnreadableImageError(ValueError):
    """An image that cannot be decoded: `name` says which, `reason` says why."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"Cannot read the image {name!r}: {reason}.")
        self.name = name
        self.reason = reason

    def __reduce__(self):
        return type(self), (self.name, self.reason)


def is_images(X: Any) -> bool:
    """Whether `X` holds images; anything else is treated as embeddings.

    This is the one place where the two kinds of input are told apart.

    Parameters
    ----------
    X : object
        The input of an estimator.

    Returns
    -------
    bool
        True for a 4-D array, a 3-D array of uint8 (gray images) and for a collection,
        or one column of a table, that starts with a path, a PIL image, a 3-D array or
        a 2-D array of uint8. A single path is an image as well, and
        :func:`check_images` then says that a list is needed; the path of a `.npy` file,
        or of a folder of such files, stands for embeddings. Dask bags are images, and
        so are dask arrays unless they have two dimensions.
    """
    if isinstance(X, (str, os.PathLike)):
        return not holds_shards(X)
    if isinstance(X, Image.Image):
        return True
    if is_dask(X):
        return getattr(X, "ndim", 1) != 2
    X = column_of(in_order(X))
    ndim = getattr(X, "ndim", None)
    if ndim is not None and ndim != 1:
        return ndim == 4 or (ndim == 3 and _is_uint8(X))
    if ndim is None and not (isinstance(X, Sequence) or hasattr(X, "to_numpy")):
        return False
    return len(X) > 0 and _is_image(X.iloc[0] if hasattr(X, "iloc") else X[0])


def check_images(X: Any) -> Any:
    """Return the images of `X` as a sequence that is read one image at a time.

    Parameters
    ----------
    X : list, Series, ndarray or tensor of images
        See :func:`is_images`. An array is indexed lazily, so that a memmap of any size
        will do.

    Returns
    -------
    images : sequence
        `len(images)` and `images[i]` work.

    Raises
    ------
    TypeError, ValueError
        Where `X` is not images, naming what was given and what is accepted.
    """
    if isinstance(X, (str, os.PathLike)):
        what, hint = "path", ""
        if holds_shards(X):
            hint = ", of embeddings (.npy): there is nothing to embed"
        elif os.path.isdir(X):
            what = "folder"
            hint = (
                ", in which there are no embeddings (.npy files): list its images with "
                "sklearn_vlclust.datasets.list_images(folder)"
            )
        raise TypeError(
            f"X is a single {what}, {os.fspath(X)!r}{hint}. Images are given as "
            f"{ACCEPTED}."
        )
    if isinstance(X, Image.Image):
        raise TypeError(f"X is a single PIL image. Images are given as {ACCEPTED}.")
    X = in_order(X)
    refuse_what_is_no_array(X)
    X = column_of(X)
    if not is_images(X):
        raise ValueError(f"X is not images: got {_describe(X)}, expected {ACCEPTED}.")
    if getattr(X, "ndim", 1) == 3:
        if X.shape[2] in (3, 4):
            raise TypeError(
                f"X is one array of shape {tuple(X.shape)}: is it a single image? "
                f"Images are given as {ACCEPTED}."
            )
        X = X[..., None]
    if getattr(X, "ndim", 1) == 4:
        channels, dtype = X.shape[-1], str(X.dtype).removeprefix("torch.")
        if dtype != "uint8" or channels not in (1, 3, 4) or not all(X.shape):
            raise ValueError(
                f"X is an array of shape {tuple(X.shape)} and dtype {dtype}. An array "
                "of images is uint8 (0 to 255), of shape (n, height, width, channels) "
                "with 1, 3 or 4 channels, and not empty."
            )
        return X
    images = X.to_numpy() if hasattr(X, "to_numpy") else X
    for i, image in enumerate(images):
        if not _is_image(image):
            raise TypeError(
                f"X[{i}] is {_describe(image)}, not an image. Images are given as "
                f"{ACCEPTED}."
            )
    return images


class ImageSource:
    """One image: its content hash and its pixels.

    Parameters
    ----------
    image : path, PIL image or array of shape (height, width, channels)
        The image.
    index : int
        Its place in the input, for error messages.
    limits : Limits
        What it may take; larger ones are unreadable.
    """

    def __init__(self, image, index: int, limits: Limits = LIMITS):
        self._image = image
        self._limits = limits
        self._is_path = isinstance(image, (str, os.PathLike))
        self._bytes: bytes | None = None
        self._rgb: Image.Image | None = None
        self.name = os.fspath(image) if self._is_path else f"X[{index}]"

    def digest(self) -> bytes:
        """Return a hash of the file's bytes, or of the pixels of a decoded image."""
        if self._is_path:
            with self._reasons(), self._open() as file:
                return _blake2b(b"file", iter(lambda: file.read(_CHUNK), b""))
        pixels = np.ascontiguousarray(np.asarray(self.decode()))
        return _blake2b(b"rgb%d,%d" % pixels.shape[:2], [pixels])

    def decode(self, side: int | None = None) -> Image.Image:
        """Return an upright 8-bit RGB image; alpha is laid over white.

        An image of more than 32 megapixels is made a half, a quarter or an eighth as
        wide and as high.

        Parameters
        ----------
        side : int, default=None
            Pixels that either side will be shown with, at most. A JPEG file may then be
            a half, a quarter or an eighth as wide and as high, but has at least ``2 *
            side`` pixels in either direction, so that it looks the same. The decoder
            leaves out what is too fine to be seen: of a photograph of 12 megapixels
            that is most of the time and of the memory.
        """
        if side is not None and self._is_path:
            return self._decode(side)
        if self._rgb is None:
            self._rgb = self._decode()
        return self._rgb

    def size(self) -> tuple[int, int]:
        """Return width and height as they are stored; a file is not decoded."""
        if self._is_path:
            with self._reasons(), self._open() as file:
                return open_file(file, self._limits, self.name)[0].size
        if isinstance(self._image, Image.Image):
            return self._image.size
        return self._image.shape[1::-1]

    def _decode(self, side: int | None = None) -> Image.Image:
        with self._reasons():
            if self._is_path:
                with self._open() as file:
                    return decode_file(file, side, self._limits, self.name)
            if isinstance(self._image, Image.Image):
                rgb = to_rgb(self._image, None, self._limits, loading=_PIL_LOAD)
                return rgb.copy() if rgb is self._image else rgb
            return to_rgb(_from_array(self._image), 1, self._limits)

    @contextmanager
    def _reasons(self):
        """Turn whatever a decoder raises into an error that names the image."""
        try:
            yield
        except UnreadableImageError:
            raise
        except CannotDecode as error:
            raise UnreadableImageError(self.name, str(error)) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            reason = "it has more pixels than its format should have"
            raise UnreadableImageError(self.name, reason) from error
        except MemoryError as error:
            reason = "there is not enough memory to decode it"
            raise UnreadableImageError(self.name, reason) from error
        except Exception as error:  # decoders raise nearly anything on damaged files
            text = (str(error) or type(error).__name__).rstrip(".")
            reason = f"it cannot be decoded ({text})"
            raise UnreadableImageError(self.name, reason) from error

    @contextmanager
    def _open(self):
        """Open the file; a small one is read once and held."""
        if self._bytes is not None:
            yield BytesIO(self._bytes)
            return
        file, before = self._open_file()
        data = None
        with file:
            if before.st_size <= _HELD_FILE:
                data = file.read()
                changed = len(data) != before.st_size
            else:
                buffered = BufferedReader(file)  # closes the file when it goes
                yield buffered
                after = os.fstat(file.fileno())
                changed = before.st_size != after.st_size
                changed = changed or before.st_mtime_ns != after.st_mtime_ns
        if changed:
            raise UnreadableImageError(self.name, "it changed while it was read")
        if data is not None:
            self._bytes = data
            yield BytesIO(data)

    def _open_file(self):
        """Return the file, and its status: a regular one, not empty, within limits."""
        try:
            self._check_kind(os.stat(self._image).st_mode)
            file = FileIO(self._image, opener=open_at_once)
        except OSError as error:
            raise UnreadableImageError(self.name, reason_of(error)) from error
        try:
            status = os.fstat(file.fileno())
            self._check_kind(status.st_mode)
            self._check_size(status.st_size)
        except BaseException:
            file.close()
            raise
        return file, status

    def _check_size(self, n_bytes):
        if not n_bytes:
            raise UnreadableImageError(self.name, "the file is empty (0 bytes)")
        if n_bytes > self._limits.bytes:
            raise UnreadableImageError(
                self.name,
                f"the file has {n_bytes / 1e9:.1f} GB; the limit is "
                f"{self._limits.bytes / 1e9:.1f} GB (max_bytes)",
            )

    def _check_kind(self, mode):
        if not stat.S_ISREG(mode):
            raise UnreadableImageError(self.name, kind_of_entry(mode))


def iter_decoded(
    images: Sequence,
    prepare: Callable[[ImageSource], Any],
    *,
    n_jobs: int | None = None,
    prefetch: int = 128,
    limits: Limits = LIMITS,
) -> Generator[Any, None, None]:
    """Yield `prepare(source)` for each image, in order, from background threads.

    The threads work ahead while the caller uses what was yielded, so that decoding
    runs beside the forward pass.

    Parameters
    ----------
    images : sequence
        As returned by :func:`check_images`.
    prepare : callable
        Called in a thread with the :class:`ImageSource` of each image; decoding
        releases the interpreter lock.
    n_jobs : int, default=None
        Number of threads. If None, one per processor, at most 8; -1 means all
        processors.
    prefetch : int, default=128
        How many images may be ready and waiting; bounds the memory in use.
    limits : Limits
        What one image may take.

    Yields
    ------
    object
        The result, or the :class:`UnreadableImageError` that was raised, unraised.
    """
    n_threads = min(8, cpu_count()) if n_jobs is None else effective_n_jobs(n_jobs)
    waiting: deque[Future] = deque()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="decode")

    def result(future: Future) -> Any:
        try:
            return future.result()
        except UnreadableImageError as error:
            return error

    try:
        for i in range(len(images)):
            source = ImageSource(images[i], i, limits)
            waiting.append(pool.submit(prepare, source))
            if len(waiting) >= max(prefetch, n_threads):
                yield result(waiting.popleft())
        while waiting:
            yield result(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _is_image(item) -> bool:
    if isinstance(item, (str, os.PathLike, Image.Image)):
        return True
    ndim = getattr(item, "ndim", 0)
    return (ndim == 3 and hasattr(item, "dtype")) or (ndim == 2 and _is_uint8(item))


def _is_uint8(X) -> bool:
    return str(getattr(X, "dtype", "")).removeprefix("torch.") == "uint8"


def _describe(X) -> str:
    kind = type(X).__name__
    if hasattr(X, "shape") and hasattr(X, "dtype"):
        return f"{kind} of shape {tuple(X.shape)} and dtype {X.dtype}"
    if isinstance(X, (list, tuple)):
        inside = f" of {type(X[0]).__name__}" if X else ""
        return f"{kind}{inside} of length {len(X)}"
    return f"{kind} of shape {tuple(X.shape)}" if hasattr(X, "shape") else repr(X)[:80]


def _blake2b(start: bytes, parts: Iterable) -> bytes:
    hasher = hashlib.blake2b(start, digest_size=20)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def _from_array(array) -> Image.Image:
    pixels = np.asarray(array.cpu() if hasattr(array, "cpu") else array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"an array of shape {pixels.shape} and dtype {pixels.dtype} is not uint8 "
            "of shape (height, width, 1, 3 or 4)"
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def open_at_once(path, flags):
    """Open a file; one that became a pipe in between does not block."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def kind_of_entry(mode: int) -> str:
    """Say what an entry of a folder is that is no regular file, by its mode."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe, not a regular file",
        stat.S_IFSOCK: "a socket, not a regular file",
    }
    return f"it is {kinds.get(stat.S_IFMT(mode), 'a device, not a regular file')}"


def reason_of(error: OSError, is_link: bool = False) -> str:
    """Say why the system does not give a file or a folder."""
    known = {
        errno.ENOENT: "its link leads nowhere"
        if is_link
        else "the file does not exist",
        errno.ELOOP: "its link leads in a circle",
        errno.ENOTDIR: "its link leads through a file",
        errno.ENAMETOOLONG: "its path, or that of its link, is too long",
        errno.EACCES: "there is no permission to read it",
        errno.EPERM: "there is no permission to read it",
    }
    text = error.strerror or type(error).__name__
    return known.get(error.errno or 0, f"it cannot be opened ({text})")

"""Images as input: telling them from embeddings, and decoding them."""

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
from joblib import cpu_count, effective_n_jobs
from PIL import Image, ImageOps

from .distributed import is_dask
from .shards import holds_shards

ACCEPTED = (
    "a list or 1-D array of paths, PIL images or uint8 arrays of shape "
    "(height, width, channels), or one uint8 array of shape "
    "(n, height, width, channels)"
)

# Reading a lazily opened PIL image moves its file pointer: when one image is given
# twice, two threads must not load it at once.
_PIL_LOAD = threading.Lock()


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
        True for a 4-D array and for a 1-D collection that starts with a path, a
        PIL image or a 3-D array. A single path is an image as well, and
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
    ndim = getattr(X, "ndim", None)
    if ndim is not None and ndim != 1:
        return ndim == 4
    if ndim is None and not (isinstance(X, Sequence) or hasattr(X, "to_numpy")):
        return False
    return len(X) > 0 and _is_image(X.iloc[0] if hasattr(X, "iloc") else X[0])


def check_images(X: Any) -> Any:
    """Return the images of `X` as a sequence that is read one image at a time.

    Parameters
    ----------
    X : list, Series, ndarray or tensor of images
        See :func:`is_images`. A 4-D array is indexed lazily, so that a memmap of
        any size will do.

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
    if not is_images(X):
        raise ValueError(f"X is not images: got {_describe(X)}, expected {ACCEPTED}.")
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
    """One image, read at most once: its content hash and its pixels.

    Parameters
    ----------
    image : path, PIL image or array of shape (height, width, channels)
        The image.
    index : int
        Its place in the input, for error messages.
    """

    def __init__(self, image, index: int):
        self._image = image
        self._is_path = isinstance(image, (str, os.PathLike))
        self._bytes: bytes | None = None
        self._rgb: Image.Image | None = None
        self.name = os.fspath(image) if self._is_path else f"X[{index}]"

    def digest(self) -> bytes:
        """Return a hash of the file's bytes, or of the pixels of a decoded image."""
        if self._is_path:
            return _blake2b(b"file", self._read())
        pixels = np.ascontiguousarray(np.asarray(self.decode()))
        return _blake2b(b"rgb%d,%d" % pixels.shape[:2], pixels)

    def decode(self, side: int | None = None) -> Image.Image:
        """Return an upright 8-bit RGB image; alpha is laid over white.

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

    def _decode(self, side: int | None = None) -> Image.Image:
        # Decoders raise nearly anything on damaged files, hence the broad except.
        try:
            if self._is_path:
                with Image.open(BytesIO(self._read())) as image:
                    if side is not None:
                        image.draft(None, (2 * side, 2 * side))
                    return _to_rgb(image)
            if isinstance(self._image, Image.Image):
                with _PIL_LOAD:
                    self._image.load()
                    self._image.getexif()
                return _to_rgb(self._image)
            return _to_rgb(_from_array(self._image))
        except (UnreadableImageError, MemoryError):
            raise
        except Image.UnidentifiedImageError as error:
            reason = "it is of no known image format, or its start is damaged"
            raise UnreadableImageError(self.name, reason) from error
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise UnreadableImageError(self.name, reason.rstrip(".")) from error

    def _read(self) -> bytes:
        if self._bytes is None:
            try:
                mode = os.stat(self._image).st_mode
                if not stat.S_ISREG(mode):
                    kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
                    raise UnreadableImageError(self.name, f"it is {kind}")
                with open(self._image, "rb") as file:
                    self._bytes = file.read()
            except FileNotFoundError as error:
                reason = "the file does not exist"
                raise UnreadableImageError(self.name, reason) from error
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise UnreadableImageError(self.name, reason) from error
            if not self._bytes:
                raise UnreadableImageError(self.name, "the file is empty (0 bytes)")
        return self._bytes


def iter_decoded(
    images: Sequence,
    prepare: Callable[[ImageSource], Any],
    *,
    n_jobs: int | None = None,
    prefetch: int = 128,
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
            source = ImageSource(images[i], i)
            waiting.append(pool.submit(prepare, source))
            if len(waiting) >= max(prefetch, n_threads):
                yield result(waiting.popleft())
        while waiting:
            yield result(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _is_image(item) -> bool:
    return isinstance(item, (str, os.PathLike, Image.Image)) or (
        getattr(item, "ndim", None) == 3 and hasattr(item, "dtype")
    )


def _describe(X) -> str:
    kind = type(X).__name__
    if hasattr(X, "shape") and hasattr(X, "dtype"):
        return f"{kind} of shape {tuple(X.shape)} and dtype {X.dtype}"
    if isinstance(X, (list, tuple)):
        inside = f" of {type(X[0]).__name__}" if X else ""
        return f"{kind}{inside} of length {len(X)}"
    return f"{kind} of shape {tuple(X.shape)}" if hasattr(X, "shape") else repr(X)[:80]


def _blake2b(*parts) -> bytes:
    hasher = hashlib.blake2b(digest_size=20)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def _from_array(array) -> Image.Image:
    pixels = np.asarray(array.cpu() if hasattr(array, "cpu") else array)
    if pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"an array of shape {pixels.shape} and dtype {pixels.dtype} is not uint8 "
            "of shape (height, width, 1, 3 or 4)"
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _to_rgb(image: Image.Image) -> Image.Image:
    """First frame -> upright -> 8 bits -> no alpha -> RGB."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_8_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        background = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(background, rgba)
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit or float gray; Pillow's own conversion clips at 255."""
    pixels = np.asarray(image)
    limit = 1 if image.mode == "F" else 65535
    if not (pixels.min() >= 0 and pixels.max() <= limit):
        raise ValueError(
            f"its gray values (mode {image.mode}) run from {pixels.min()} to "
            f"{pixels.max()}, expected 0 to {limit}"
        )
    scaled = np.rint(pixels.astype(np.float64) * (255 / limit))
    return Image.fromarray(scaled.astype(np.uint8))

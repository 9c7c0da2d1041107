"""Images of any sizes as one array of pixels, all of one size."""

import os
import tempfile

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from .._backend._text import counted
from .images import ImageSource, UnreadableImageError, check_images, iter_decoded

# Pixels up to which an array is held in memory; above, it is a temporary file.
HELD_BYTES = 2 * 2**30
# Largest number of images whose sizes are read.
SAMPLED_IMAGES = 256


def typical_side(images):
    """Return the median of the shorter sides of (some of) the images, in pixels.

    Parameters
    ----------
    images : list or array of images
        As :func:`~sklearn_vlclust.data.images.check_images` takes them.

    Returns
    -------
    side : int
    """
    images = check_images(images)
    if getattr(images, "ndim", 1) == 4:
        return min(images.shape[1:3])
    n = len(images)
    chosen = np.unique(np.linspace(0, n - 1, min(n, SAMPLED_IMAGES)).astype(int))
    return int(np.median([min(ImageSource(images[i], i).size()) for i in chosen]))


def read_pixels(images, size, n_channels=None, n_jobs=None, verbose=0):
    """Decode images, resize their shorter side, and crop the middle square.

    Parameters
    ----------
    images : list or array of images
        Paths, PIL images or uint8 arrays, of any sizes.
    size : int
        Side of the result in pixels.
    n_channels : {1, 3} or None, default=None
        Channels of the result. If None, 1 if all images are gray, else 3.
    n_jobs : int, default=None
        Threads that decode. If None, one per processor, at most 8.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    pixels : uint8 ndarray of shape (n, n_channels, size, size)
        A temporary memory-mapped file where it is large; the array given, without a
        copy, where nothing is to be done.

    Raises
    ------
    UnreadableImageError
        For the first image that cannot be decoded.
    ValueError
        If images have colors where `n_channels` is 1, or are an array of another
        number of channels than `n_channels`.
    """
    images = check_images(images)
    if getattr(images, "ndim", 1) == 4:
        height, width, channels = images.shape[1:]
        if n_channels and channels != 4 and channels != n_channels:
            raise ValueError(
                f"X has images of {counted(channels, 'channel')}; the fit had "
                f"{n_channels}."
            )
        if (height, width) == (size, size) and channels != 4:
            images = images.cpu() if hasattr(images, "cpu") else images
            return np.asanyarray(images).transpose(0, 3, 1, 2)
        n_channels = 1 if channels == 1 else 3
    pixels = _empty((len(images), 3, size, size))
    gray = n_channels != 3
    decoded = iter_decoded(images, lambda image: _square(image, size), n_jobs=n_jobs)
    progress = tqdm(
        decoded,
        "Reading images",
        len(images),
        unit="image",
        leave=False,
        disable=not verbose,
    )
    for i, result in enumerate(progress):
        if isinstance(result, UnreadableImageError):
            raise result
        pixels[i] = result.transpose(2, 0, 1)
        if gray and not (result == result[:, :, :1]).all():
            if n_channels == 1:
                raise ValueError(f"X[{i}] has colors; the fit had gray images.")
            gray = False
    return pixels[:, :1] if gray else pixels


def _square(source, size):
    """Middle square of an image: uint8 array of shape (size, size, 3)."""
    image = source.decode()
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _empty(shape):
    """Return an array; a large one is in a temporary file that goes with it."""
    n_bytes = int(np.prod(shape))
    if n_bytes <= HELD_BYTES:
        return np.empty(shape, dtype=np.uint8)
    try:
        with tempfile.TemporaryFile(prefix="vlclust-") as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is said now
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise OSError(
            f"No room for {n_bytes / 2**30:.1f} GiB of pixels in the temporary folder "
            f"({error}). Set TMPDIR to another one, or give a smaller image_size."
        ) from error

"""From the bytes of a picture to upright 8-bit RGB, in bounded memory."""

import re
import struct
import threading
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from .formats import HEAD, RAW, Kind, format_of, is_tga, kind_of, readable_formats
from .metadata import ORIENTATION, RawFile, orientation_of, without_metadata
from .strips import Strips, strips_of


class Limits(NamedTuple):
    """What one image may take; checked before it is decoded.

    Attributes
    ----------
    pixels : int
        Largest width times height.
    bytes : int
        Largest file, and the most memory that its decoding may take.
    """

    pixels: int = 500_000_000
    bytes: int = 2**30


LIMITS = Limits()
# Images with more pixels than this are halved until they have no more than half of it:
# no encoder sees the difference.
LARGE = 32_000_000
# The shorter side that is left of them, at least.
_LEAST_SIDE = 1024
# Bytes of a decoded picture that is not worth counting.
_SMALL = 2**20

# Bytes per pixel of decoded images; 4 for all others.
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Formats whose decoder holds the picture in other forms as well, as bytes per pixel.
_DECODER_BYTES = {
    "WEBP": 12,
    "AVIF": 8,
    "HEIF": 8,
    "JXL": 8,
    "JPEG2000": 16,
    "QOI": 8,
}
_ROWS_PER_STRIP = 278  # tag of TIFF
# Formats whose EXIF counts, where the decoder hands it on.
_TURNED_BY_EXIF = {"WEBP", "AVIF"}

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class CannotDecode(Exception):
    """The image cannot be decoded; the text says why, as in "it is ..."."""


class _Room:
    """Memory of pictures that are decoded at the same time, in bytes."""

    def __init__(self, size: int):
        self._size, self._used = size, 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, n_bytes: int):
        """Wait until there is room; a picture on its own may have any size."""
        if n_bytes < _SMALL:
            yield
            return
        with self._changed:
            self._changed.wait_for(
                lambda: not self._used or self._used + n_bytes <= self._size
            )
            self._used += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._used -= n_bytes
                self._changed.notify_all()


_ROOM = _Room(LIMITS.bytes)


def decode_file(file, side: int | None = None, limits: Limits = LIMITS, path: str = ""):
    """Return the picture in a file as an upright 8-bit RGB image.

    Parameters
    ----------
    file : binary file
        Where the picture starts.
    side : int, default=None
        See :meth:`~sklearn_vlclust.data.images.ImageSource.decode`.
    limits : Limits
        What the image may take.
    path : str, default=""
        Its name tells some raw files of cameras from pictures.

    Raises
    ------
    CannotDecode
        If it cannot be decoded.
    """
    image, orientation = open_file(file, limits, path)
    with image:
        width, height = image.size
        if side is not None:
            image.draft(None, (2 * side, 2 * side))
        elif image.format == "JPEG" and (factor := _reduction(image.size)) > 1:
            image.draft(None, (width // factor, height // factor))
        return to_rgb(image, orientation, limits, _decoder_bytes(image, width * height))


def open_file(file, limits: Limits = LIMITS, path: str = ""):
    """Open a picture without decoding it, and without its metadata.

    Returns
    -------
    image : PIL image
        Not loaded; its size is the one that is stored.
    orientation : int
        1 to 8.

    Raises
    ------
    CannotDecode
        If it is no picture, or larger than the limits.
    """
    file.seek(0)
    head = file.read(HEAD)
    common = head.startswith((b"\xff\xd8\xff", b"\x89PNG"))
    kind = None if common else kind_of(head, path)
    if kind is not None and kind.name == RAW:
        raise CannotDecode(kind.reason)
    try:
        file, orientation = without_metadata(file, head)
    except RawFile:
        raise CannotDecode(Kind(RAW).reason) from None
    known = None if common else format_of(head, path)
    if known == "JXL":  # its plugin decodes when it opens
        _check_size(_jxl_size(file), limits)
    image, problem = _open(file, head, path)
    if image is None:
        if kind is not None and known is None:
            raise CannotDecode(kind.reason)
        if known := known or format_of(head, path):
            raise CannotDecode(f"it starts as a {known} file, but {problem}")
        raise CannotDecode("it is of no known image format, or its start is damaged")
    _check_size(image.size, limits)
    if orientation is None:
        orientation = 1
        if image.format in _TURNED_BY_EXIF:
            info = image.info
            orientation = orientation_of(info.get("exif"), info.get("xmp"))
    return image, orientation


def opens(path: str) -> bool:
    """Return whether a decoder knows the start of a file, of any size."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        try:
            return _open(file, head, path)[0] is not None
        except Exception:  # whatever a decoder makes of a text file
            return False


def _open(file, head, path):
    """Return the picture, or None and what is wrong with it.

    As `Image.open` does, but for its limit, which is not ours.
    """
    problem = "is damaged or of a kind that Pillow does not decode"
    for name in readable_formats():
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(head) is not True:
            continue
        if name == "TGA" and not is_tga(path):
            continue
        file.seek(0)
        try:
            # JPEG's own factory looks for further pictures, which are left out.
            return (JpegImageFile if name == "JPEG" else factory)(file, ""), ""
        except (SyntaxError, IndexError, TypeError, struct.error):
            pass
        except (ValueError, OSError) as error:
            problem = f"cannot be decoded ({error})"
    return None, problem


def to_rgb(
    image,
    orientation: int | None,
    limits: Limits = LIMITS,
    extra_bytes: int = 0,
    loading=None,
):
    """Return an open picture as upright 8-bit RGB: bits -> alpha -> RGB -> turn.

    What is large is made smaller, strip by strip: of PNG and TIFF files whose rows can
    be had apart, only strips are decoded. The image is not changed; others are loaded.

    Parameters
    ----------
    image : PIL image
        The picture, loaded or not.
    orientation : int or None
        1 to 8; if None, what the image itself knows.
    limits : Limits
        What it may take.
    extra_bytes : int, default=0
        Memory that its decoder needs besides.
    loading : lock, default=None
        Held while the pixels are loaded.
    """
    _check_size(image.size, limits)
    factor = _reduction(image.size)
    n_pixels = image.width * image.height
    n_result = 8 * n_pixels // factor**2  # bytes, upright and as it lies
    needed = n_pixels * _PIXEL_BYTES.get(image.mode, 4) + extra_bytes
    strips = None
    if n_pixels > LARGE and getattr(image, "tile", None):
        strips = strips_of(image)
    if strips is not None:
        in_strips = strips.n_bytes(factor) + n_result // 2
        if in_strips < needed:
            needed = in_strips
        else:
            strips = None
    if needed > limits.bytes:
        raise CannotDecode(
            f"decoding its {_mega(n_pixels)} would take {needed / 1e9:.1f} GB of "
            f"memory; the limit is {limits.bytes / 1e9:.1f} GB (max_bytes)"
            f"{'' if strips else _way_out(image)}"
        )
    with _ROOM.take(needed + n_result):
        # The tiles of a JPEG file tell nothing.
        deep = image.format != "JPEG" and ";16" in str(getattr(image, "tile", ""))
        with loading or nullcontext():
            if strips is None:
                _load(image)
            if orientation is None:
                orientation = _own_orientation(image)
            if strips is not None:
                result = _convert(strips, factor)
        if strips is None:
            transparent = "transparency" in image.info
            if image.mode == "RGB" and factor == 1 and not transparent:
                result = image
            else:
                result = _convert(_Loaded(image), factor)
        if deep and image.mode != "I;16":
            result = _brightened(result)
        return result.transpose(_TURN[orientation]) if orientation > 1 else result


def _way_out(image):
    """Say how a picture can be saved so that it takes less memory."""
    if image.format == "JPEG" and image.info.get("progressive"):
        return "; it would take less as a JPEG file that is not progressive"
    if image.format == "PNG" and image.info.get("interlace"):
        return "; it would take less as a PNG file that is not interlaced"
    if image.format == "TIFF":
        return "; it would take less as a TIFF file in tiles, with its colors together"
    return "; it would take less as a JPEG file"


def _load(image):
    if image.format == "TIFF" and getattr(image, "tile", None):
        # Else Pillow would apply its own limit here.
        image.im = Image.new(image.mode, image.size).im
    image.load()


def _own_orientation(image):
    """Return the orientation of an image that the user has opened."""
    exif = image.info.get("exif")
    if exif is None:
        try:
            turned = image.getexif().get(ORIENTATION)
        except Exception:  # damaged metadata: nearly anything
            turned = None
        if turned in _TURN:
            return turned
    return orientation_of(exif, image.info.get("xmp"))


def _reduction(size):
    """Return by how much a picture of `size` is divided: 1 unless it is large."""
    width, height = size
    factor = 1
    if width * height > LARGE:
        while (
            width * height > LARGE // 2 * factor**2
            and min(size) >= 2 * factor * _LEAST_SIDE
        ):
            factor *= 2
    return factor


def _decoder_bytes(image, n_pixels):
    """Return the memory that a decoder needs beside the picture that it returns."""
    if image.format == "JPEG" and image.info.get("progressive"):
        areas = [h * v for _, h, v, _ in image.layer]  # of the samples of each color
        return 2 * n_pixels * sum(areas) // max(areas)
    if image.format == "TIFF":
        rows = min(image.height, image.tag_v2.get(_ROWS_PER_STRIP, image.height))
        return 4 * image.width * rows * ("tile_offsets" not in image.tag_v2.named())
    return n_pixels * _DECODER_BYTES.get(image.format, 0)


def _check_size(size, limits):
    n_pixels = size[0] * size[1]
    if n_pixels > limits.pixels:
        raise CannotDecode(
            f"its {size[0]:,} x {size[1]:,} pixels are {_mega(n_pixels)}; the limit is "
            f"{_mega(limits.pixels)} (max_pixels)"
        )


def _mega(n_pixels):
    return f"{n_pixels / 1e6:,.0f} megapixels"


def _convert(source, factor):
    """Return the strips of a picture as one RGB image, `factor` times smaller."""
    width, height = source.size
    scale = _gray_scale(source)
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top, strip in source.strips(factor):
        rgb = _strip_to_rgb(strip, scale)
        if factor > 1:
            rgb = rgb.reduce(factor)
        if rgb.size == result.size:  # there is one strip
            return rgb
        result.paste(rgb, (0, top // factor))
    return result


class _Loaded(Strips):
    """The rows of a picture that is in memory."""

    def strips(self, multiple):
        width, height = self.size
        rows = self._n_rows(multiple)
        if rows >= height:
            yield 0, self._image
            return
        for top in range(0, height, rows):
            yield top, self._image.crop((0, top, width, min(top + rows, height)))


def _strip_to_rgb(image, scale):
    if scale is not None:
        image = _to_8_bits(image, scale)
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        background = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(background, rgba)
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, rgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
        return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    return image.convert("RGB")


def _gray_scale(source):
    """Return the value that is white in a picture of more than 8 bits; else None.

    Integers have as many bits as their brightest needs, an even number and 8 or more:
    cameras and scanners keep 10, 12 or 14 bits in files of 16. Floats run to 1 or 255.
    """
    if source.mode != "F" and not source.mode.startswith("I"):
        return None
    low, high = _finite_range(source)
    if source.mode == "F":
        limit = next((w for w in (1.0, 255.0) if high <= 1.001 * w), 255.0)
        sound = low >= -0.001 * limit and high <= 1.001 * limit
        expected = "0 to 1 or to 255"
    else:
        n_bits = int(high).bit_length()
        limit = 2 ** max(8, n_bits + n_bits % 2) - 1
        sound, expected = low >= 0, "0 or more"
    if not sound:
        raise CannotDecode(
            f"its gray values (mode {source.mode}) run from {low} to {high}, expected "
            f"{expected}"
        )
    return limit


def _brightened(image):
    """Return colors that were cut to the upper 8 of 16 bits, when those are not used.

    The same rule as for gray: 10, 12 or 14 bits in a file of 16.
    """
    n_bits = max(high for _, high in image.getextrema()).bit_length()
    limit = 2 ** (n_bits + n_bits % 2) - 1
    if not 0 < limit < 255:
        return image
    return image.point([min(255, v * 255 // limit) for v in range(256)] * 3)


def _finite_range(source):
    low, high = np.inf, -np.inf
    for _, strip in source.strips(1):
        values = np.asarray(strip)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, values.min()), max(high, values.max())
    if low > high:
        raise CannotDecode("none of its gray values is a finite number")
    return low, high


def _to_8_bits(image, limit):
    """Scale gray of more bits; Pillow's own conversion clips at 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=limit)
    scaled = np.rint(values * (255 / limit)).clip(0, 255)
    return Image.fromarray(scaled.astype(np.uint8))


_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4)}
_JXL_RATIOS[7] = (2, 1)


def _jxl_size(file):
    """Return width and height from the header of a JPEG XL file."""
    file.seek(0)
    data = file.read(1 << 20)
    match = re.search(rb"(?:^|jxlc|jxlp.{4})\xff\n", data, re.DOTALL)
    if match is None:
        raise CannotDecode("it is a JPEG XL file whose start is damaged")
    bits = int.from_bytes(data[match.end() : match.end() + 16], "little")

    def take(n):
        nonlocal bits
        value, bits = bits & ((1 << n) - 1), bits >> n
        return value

    small = take(1)

    def side():
        return 8 * (take(5) + 1) if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratio = _JXL_RATIOS.get(take(3))
    width = side() if ratio is None else height * ratio[0] // ratio[1]
    return width, height

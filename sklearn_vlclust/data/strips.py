"""Large PNG and TIFF files, some rows at a time.

Pillow decodes a whole picture. But the rows of a PNG file follow one another in one
compressed stream, and a TIFF file has strips or tiles, each compressed on its own: so
Pillow is given one small picture after the other, made of the same compressed pixels.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

# Pixels that are decoded at a time, about.
STRIP = 4_000_000
_READ = 2**16
# Bytes per pixel that are in memory at a time: packed, unpacked, decoded, converted.
_BYTES = 20


class Strips:
    """The rows of an open picture that is not loaded.

    Attributes
    ----------
    mode, size, info
        Of the picture, as Pillow has them.
    """

    def __init__(self, image):
        self.mode, self.size, self.info = image.mode, image.size, image.info
        self._image = image

    def strips(self, multiple: int) -> Iterator[tuple[int, Image.Image]]:
        """Yield the first row of each strip, and the strip.

        Parameters
        ----------
        multiple : int
            The rows of a strip are a multiple of this; the last may have fewer.
        """
        raise NotImplementedError

    def n_bytes(self, multiple: int) -> int:
        """Return the memory that the strips take, one after the other."""
        return _BYTES * self.size[0] * self._n_rows(multiple)

    def _n_rows(self, multiple):
        least = math.lcm(multiple, self._unit)
        return max(1, STRIP // (self.size[0] * least)) * least

    @property
    def _unit(self):
        """Rows that cannot be had apart."""
        return 1


def strips_of(image: Any) -> Strips | None:
    """Return the strips of an open picture; None where it can be read whole only."""
    if image.format == "PNG" and _PngStrips.can_read(image):
        return _PngStrips(image)
    if image.format == "TIFF" and _TiffStrips.can_read(image):
        return _TiffStrips(image)
    return None


class _PngStrips(Strips):
    """Rows of 8 or 16 bits per color, not interlaced.

    The filters of PNG predict each byte from the pixel at its left and the row above,
    which for the first row of a strip is put before it. Of 16 bits the upper 8 are
    decoded, as by Pillow: each byte is predicted from bytes of its own place only.
    """

    # Stored, and as Pillow opens them.
    _MODES = {
        ("L", "L"),
        ("LA", "LA"),
        ("LA", "RGBA"),
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
    }

    def __init__(self, image):
        super().__init__(image)
        self.mode, _, self._depth = str(image.tile[0][3]).partition(";")

    @classmethod
    def can_read(cls, image):
        found = cls(image)
        return (
            not image.info.get("interlace")
            and not getattr(image, "is_animated", False)
            and (found.mode, image.mode) in cls._MODES
            and found._depth in ("", "16B")
        )

    def strips(self, multiple):
        width, height = self.size
        bits = 16 if self._depth else 8
        n_channels = len(self.mode)
        stride = 1 + width * n_channels * bits // 8
        unpack = zlib.decompressobj()
        packed = self._packed()
        above = bytes(1 + width * n_channels)
        for top in range(0, height, self._n_rows(multiple)):
            n_rows = min(self._n_rows(multiple), height - top)
            rows = _take(unpack, packed, n_rows * stride)
            if bits == 16:
                rows = _upper_bytes(rows, n_rows, stride)
            strip = Image.frombytes(
                self.mode,
                (width, n_rows + 1),
                zlib.compress(above + rows, 0),
                "zip",
                self.mode,
            )
            above = b"\0" + strip.crop((0, n_rows, width, n_rows + 1)).tobytes()
            strip = strip.crop((0, 1, width, n_rows + 1))
            if "transparency" in self.info:
                strip.info["transparency"] = self.info["transparency"]
            yield top, strip

    def _packed(self):
        """Yield the compressed pixels, in pieces."""
        file = self._image.fp
        place = self._image.tile[0][2] - 8  # of the first chunk of pixels
        while True:
            file.seek(place)
            head = file.read(8)
            length = int.from_bytes(head[:4])
            if head[4:] != b"IDAT":
                return
            place += 12 + length
            while length:
                piece = file.read(min(_READ, length))
                if not piece:
                    return
                length -= len(piece)
                yield piece


def _take(unpack, packed, size):
    """Return the next `size` bytes of what is unpacked."""
    parts = []
    while size:
        held = unpack.unconsumed_tail or next(packed, b"")
        if not held:
            raise OSError("image file is truncated")
        parts.append(unpack.decompress(held, size))
        size -= len(parts[-1])
    return b"".join(parts)


def _upper_bytes(rows, n_rows, stride):
    """Return filtered rows of 16 bits as rows of 8."""
    return b"".join(
        rows[i : i + 1] + rows[i + 1 : i + stride : 2]
        for i in range(0, n_rows * stride, stride)
    )


# Tags of TIFF.
_HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANES, _TILE_WIDTH = 274, 277, 284, 322
_STRIP_TAGS, _TILE_TAGS = (273, 279, 278), (324, 325, 323)  # offsets, bytes, rows
# Values of _COMPRESSION and _PHOTOMETRIC.
_NONE, _OLD_JPEG, _YCBCR = 1, 6, 6
# Codes of `struct` for types of tags: bytes, integers, and pairs of these.
_CODES = {1: "B", 3: "H", 4: "I", 5: "II", 7: "s", 16: "I"}


class _TiffStrips(Strips):
    """Strips or rows of tiles, in files that keep the colors of a pixel together."""

    @classmethod
    def can_read(cls, image):
        tags = image.tag_v2
        known = {*_kept(tags), *_STRIP_TAGS, *_TILE_TAGS} - {_ORIENTATION}
        if (
            tags.get(_PLANES, 1) != 1
            or tags.get(_COMPRESSION, _NONE) == _OLD_JPEG
            or not known >= {*tags}
        ):
            return False
        n_rows, per_row, offsets, sizes = cls(image)._table
        n_parts = -(-image.height // n_rows) * per_row if n_rows > 0 else 0
        return n_rows < image.height and len(offsets) == len(sizes) == n_parts

    @cached_property
    def _table(self):
        """Rows of a part, parts side by side, and the places and sizes of all."""
        tags = self._image.tag_v2
        tiled = _TILE_TAGS[0] in tags
        offset, size, rows = _TILE_TAGS if tiled else _STRIP_TAGS
        n_rows, offsets = tags.get(rows, self.size[1]), _all(tags.get(offset, ()))
        sizes = _all(tags.get(size, ()))
        if tiled:
            return n_rows, -(-self.size[0] // tags[_TILE_WIDTH]), offsets, sizes
        if (
            len(offsets) == 1
            and tags.get(_COMPRESSION, _NONE) == _NONE
            and tags.get(_PHOTOMETRIC) != _YCBCR
        ):
            # Where each row starts is known.
            bits = _all(tags.get(_BITS, 1))
            n_bits = sum(bits) if len(bits) > 1 else bits[0] * tags.get(_SAMPLES, 1)
            stride = -(-self.size[0] * n_bits // 8)
            places = range(offsets[0], offsets[0] + stride * self.size[1], stride)
            return 1, 1, places, [stride] * self.size[1]
        return n_rows, 1, offsets, sizes

    @property
    def _unit(self):
        return self._table[0]

    def strips(self, multiple):
        n_rows, per_row, offsets, sizes = self._table
        height = self.size[1]
        step = self._n_rows(multiple)
        for top in range(0, height, step):
            first = top // n_rows * per_row
            last = -(-min(top + step, height) // n_rows) * per_row
            parts = list(zip(offsets[first:last], sizes[first:last]))
            strip = TiffImageFile(self._file(parts, min(step, height - top)))
            # Else Pillow would apply its own limit here.
            strip.im = Image.new(strip.mode, strip.size).im
            strip.load()
            yield top, strip

    def _file(self, parts, height):
        """Return a TIFF file of some strips or tiles."""
        file, tags = self._image.fp, self._image.tag_v2
        data = []
        for place, size in parts:
            file.seek(place)
            data.append(file.read(size))
            if len(data[-1]) < size:
                raise OSError("image file is truncated")
        order = "<" if tags.prefix == b"II" else ">"
        offset, size, rows = _TILE_TAGS if _TILE_TAGS[0] in tags else _STRIP_TAGS
        kept = _kept(tags)
        kept[_HEIGHT] = 4, height
        kept[rows] = 4, self._table[0]
        kept[size] = 4, [len(part) for part in data]
        places = [0] * len(data)
        kept[offset] = 4, places
        start = 8 + len(_directory(order, kept))
        for i, part in enumerate(data):
            places[i] = start
            start += len(part)
        head = tags.prefix + struct.pack(f"{order}HI", 42, 8)
        return BytesIO(b"".join([head, _directory(order, kept), *data]))


def _kept(tags):
    """Return type and value of the tags that are the same for a part of a picture."""
    kinds = {
        tag: tags.tagtype.get(tag) for tag in {*tags} - {*_STRIP_TAGS, *_TILE_TAGS}
    }
    return {tag: (kind, tags[tag]) for tag, kind in kinds.items() if kind in _CODES}


def _directory(order, tags):
    """Return the directory of a TIFF file at place 8, for type and value of each tag.

    Values of more than four bytes follow it.
    """
    entries, values = [], []
    place = 8 + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        if _CODES[kind] == "s":
            packed, count = value, len(value)
        else:
            numbers = _all(value)
            count = len(numbers)
            if _CODES[kind] == "II":
                numbers = [x for n in numbers for x in (n.numerator, n.denominator)]
            packed = struct.pack(f"{order}{len(numbers)}{_CODES[kind][0]}", *numbers)
        kind = 4 if kind == 16 else kind
        entry = struct.pack(f"{order}HHI", tag, kind, count)
        if len(packed) <= 4:
            entry += packed.ljust(4, b"\0")
        else:
            entry += struct.pack(f"{order}I", place)
            values.append(packed + b"\0" * (len(packed) % 2))
            place += len(values[-1])
        entries.append(entry)
    head = struct.pack(f"{order}H", len(entries))
    return b"".join([head, *entries, bytes(4), *values])


def _all(value):
    return list(value) if isinstance(value, tuple | list) else [value]

"""Pictures without their metadata: decoders see pixels, we read the orientation.

Nothing that is written about a picture (EXIF, XMP, ICC, GPS, comments, previews) may
decide whether its pixels are read. So the decoder is given a file in which there is
none, and of the metadata the orientation alone is read, and believed if it is sound.
"""

import io
import re
import struct
import zlib
from bisect import bisect_right
from itertools import accumulate

ORIENTATION = 0x0112
# Metadata beyond this many bytes are not looked at.
_MOST = 1 << 20

# Tags of a TIFF file that say how its pixels are stored.
_PIXEL_TAGS = {
    *range(256, 260),  # width, height, bits, compression
    *(262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320),
    *range(322, 326),  # tiles
    *(332, 338, 339, 347),
    *range(512, 522),  # JPEG of TIFF 6
    *range(529, 533),  # YCbCr
}
_SUBFILE, _PHOTOMETRIC, _SUB_IFDS, _DNG = 254, 262, 330, 50706
_SENSOR_VALUES = {32803, 34892}  # values of _PHOTOMETRIC


class RawFile(Exception):
    """The TIFF file is the raw file of a camera; what it shows is a preview."""


def without_metadata(file, head: bytes):
    """Return a picture without its metadata, and its orientation.

    Parameters
    ----------
    file : binary file
        The picture.
    head : bytes
        What it starts with.

    Returns
    -------
    file : binary file
        What to give to the decoder: `file` itself where metadata do no harm.
    orientation : int or None
        1 to 8, as EXIF counts; None where the decoder has to be asked.

    Raises
    ------
    RawFile
        If it is a raw file in TIFF format.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    if head.startswith(_PNG_START):
        return _png(file)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(file)
    if head[4:8] == b"ftyp":
        return _isobmff(file), None
    return file, None


def orientation_of(exif: bytes | None, xmp: bytes | str | None = None) -> int:
    """Return the orientation that metadata name, 1 to 8; 1 if they do not, or badly."""
    found = 0
    try:
        block = re.sub(rb"^Exif\0.", b"", exif or b"", flags=re.DOTALL)
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for i in range(count):
            entry = start + 2 + 12 * i
            tag, kind, n = struct.unpack_from(f"{order}HHI", block, entry)
            if tag == ORIENTATION and n == 1:
                found = _integer(order, kind, block, entry + 8)
                break
    except (KeyError, struct.error):
        pass
    if not found and xmp:
        text = xmp.encode() if isinstance(xmp, str) else xmp
        match = re.search(rb'tiff:Orientation(?:="|>)([1-8])', text)
        found = int(match[1]) if match else 0
    return found if 1 <= found <= 8 else 1


def _integer(order, kind, block, place):
    """Return a value of an EXIF entry; 0 unless it is a whole number."""
    code = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 16: "Q"}.get(kind)
    return struct.unpack_from(order + code, block, place)[0] if code else 0


class _Parts(io.RawIOBase):
    """Parts of a file and bytes of our own, one after the other, as a file.

    Parameters
    ----------
    file : binary file
        The file.
    parts : list of bytes or (int, int)
        Bytes as they are, or from where to where in `file`.
    """

    def __init__(self, file, parts):
        self._file, self._parts = file, parts
        sizes = [len(p) if isinstance(p, bytes) else p[1] - p[0] for p in parts]
        self._starts = [0, *accumulate(sizes)]
        self._place = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        base = (0, self._place, self._starts[-1])[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer):
        i = bisect_right(self._starts, self._place) - 1
        if i >= len(self._parts):
            return 0
        part, inside = self._parts[i], self._place - self._starts[i]
        size = min(len(buffer), self._starts[i + 1] - self._place)
        if isinstance(part, bytes):
            data = part[inside : inside + size]
        else:
            self._file.seek(part[0] + inside)
            data = self._file.read(size)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


class _TiffParts(_Parts):
    """Parts of a TIFF file; libtiff, which minds no metadata, may read all of it."""

    def fileno(self):
        return self._file.fileno()


def _joined(file, parts):
    if isinstance(file, io.BytesIO):  # a small file, which is faster copied
        held = file.getbuffer()
        slices = [p if isinstance(p, bytes) else held[p[0] : p[1]] for p in parts]
        return io.BytesIO(b"".join(slices))
    return io.BufferedReader(_Parts(file, parts), 1 << 16)


def _size(file):
    return file.seek(0, io.SEEK_END)


def _reader(file):
    """Return what reads `size` bytes at a place of a file."""
    if isinstance(file, io.BytesIO):
        data = file.getvalue()  # not a copy
        return lambda place, size: data[place : place + size]
    return lambda place, size: _at(file, place, size)


def _at(file, place, size):
    file.seek(place)
    return file.read(size)


def _jpeg(file):
    """Keep the segments that decoders need: none of APPn but JFIF and Adobe's."""
    end, place = _size(file), 2
    at = _reader(file)
    parts: list = []
    exif = xmp = None
    kept_from = 0
    while True:
        head = at(place, 4)
        marker = head[1] if len(head) == 4 and head[0] == 0xFF else 0
        if marker == 0xFF:  # a byte that fills a gap
            place += 1
            continue
        size = head[2] << 8 | head[3] if marker else 0
        # Pixels, the end, or damage, which is left to the decoder.
        if marker < 0xC0 or 0xD0 <= marker <= 0xDA or size < 2:
            break
        if place + 2 + size > end:
            break
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            body = at(place + 4, size - 2)
            if marker == 0xE1 and body.startswith(b"Exif\0"):
                exif = exif or body
            elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/"):
                xmp = xmp or body
            kept = (marker == 0xE0 and body.startswith(b"JFIF\0") and size >= 16) or (
                marker == 0xEE and body.startswith(b"Adobe") and size >= 14
            )
            if not kept:
                parts.append((kept_from, place))
                kept_from = place + 2 + size
        place += 2 + size
    orientation = orientation_of(exif, xmp) if exif or xmp else 1
    if not parts:
        return file, orientation
    return _joined(file, [*parts, (kept_from, end)]), orientation


_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB\x60\x82"


def _png(file):
    """Keep the chunks that decoders need, and the transparent color."""
    end, place = _size(file), len(_PNG_START)
    parts: list = [_PNG_START]
    exif = xmp = None
    while True:
        head = _at(file, place, 8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        stop = place + 12 + length
        if kind == b"IEND":
            parts.append(_PNG_END)
            break
        if not kind.isalpha() or stop > end:  # damage is left to the decoder
            parts.append((place, end))
            break
        if kind[:1].isupper() or kind == b"tRNS":
            if isinstance(parts[-1], tuple) and parts[-1][1] == place:
                place = parts.pop()[0]
            parts.append((place, stop))
        elif kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt") and length <= _MOST:
            body = _at(file, stop - 4 - length, length)
            if kind == b"eXIf":
                exif = exif or body
            elif body.startswith(b"XML:com.adobe.xmp\0"):
                xmp = xmp or body
            elif body.startswith(b"Raw profile type exif\0"):  # of ImageMagick
                exif = exif or _raw_profile(body[22:], packed=kind == b"zTXt")
        place = stop
    return _joined(file, parts), orientation_of(exif, xmp)


def _raw_profile(body, packed):
    try:
        if packed:
            body = zlib.decompressobj().decompress(body[1:], _MOST)
        return bytes.fromhex(b"".join(body.split(b"\n")[3:]).decode("ascii"))
    except (ValueError, zlib.error):
        return None


def _tiff(file):
    """Keep the first picture, and the tags that say how its pixels are stored."""
    end, head = _size(file), _at(file, 0, 16)
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in head[2:4]
    number, width = ("Q", 20) if big else ("H", 12)
    try:
        (place,) = struct.unpack_from(
            f"{order}{'Q' if big else 'I'}", head, 4 + 4 * big
        )
        size = struct.calcsize(number)
        (count,) = struct.unpack(order + number, _at(file, place, size))
        block = _at(file, place + size, width * min(count, _MOST // width))
        entries = [block[i : i + width] for i in range(0, len(block), width)]
        value_at = 12 if big else 8
        tags: dict[int, int] = {}
        kept = []
        for entry in entries:
            tag, kind = struct.unpack_from(f"{order}HH", entry)
            tags.setdefault(tag, _integer(order, kind, entry, value_at))
            if tag in _PIXEL_TAGS:
                kept.append(entry)
    except struct.error:
        return file, 1  # damage is left to the decoder
    if (
        _DNG in tags
        or tags.get(_PHOTOMETRIC) in _SENSOR_VALUES
        or (tags.get(_SUBFILE, 0) & 1 and _SUB_IFDS in tags)
    ):
        raise RawFile
    new = struct.pack(order + number, len(kept)) + b"".join(kept)
    new += bytes(8 if big else 4)  # no further pictures
    if place + len(new) > end:
        return file, 1
    turned = tags.get(ORIENTATION, 1)
    parts = [(0, place), new, (place + len(new), end)]
    reader = io.BufferedReader(_TiffParts(file, parts), 1 << 16)
    return reader, turned if 1 <= turned <= 8 else 1


def _isobmff(file):
    """Take the EXIF item out of the table of an AVIF or HEIF file.

    Such a file says how it is turned in a property of its own; EXIF does not count.
    """
    head = _at(file, 0, _MOST)
    new = re.sub(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", rb"\1free", head, flags=re.DOTALL)
    file.seek(0)
    return file if new == head else _joined(file, [new, (len(head), _size(file))])

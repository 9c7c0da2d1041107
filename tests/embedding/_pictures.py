"""Files of pictures, made byte by byte."""

import struct
import zlib

import numpy as np

ORIENTATION = 0x0112
TURNED = (ORIENTATION, 3, 1, b"\0\6\0\0")  # orientation 6, of an upright phone photo
PNG_START = b"\x89PNG\r\n\x1a\n"


def exif(*entries):
    """Return an EXIF block with entries (tag, type, count, value)."""
    body = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(">HHL", tag, kind, count) + value
    return b"Exif\0\0" + body + b"\0\0\0\0"


def chunk(kind, data):
    """Return a chunk of a PNG file."""
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(pixels, before=(), after=(), color=2):
    """Return a PNG file, with chunks before and after the pixels.

    Pixels are of 8 bits, or of 16 if they are uint16.
    """
    height, width = pixels.shape[:2]
    depth = 8 * pixels.dtype.itemsize
    raw = pixels.astype(f">u{depth // 8}")
    rows = b"".join(b"\0" + row.tobytes() for row in raw)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(rows))]
    return b"".join([PNG_START, *parts, *after, chunk(b"IEND", b"")])


def black_png(width, height, depth=8, color=6, bytes_per_pixel=4, n_rows=None):
    """Return a black PNG file, small whatever its size; `n_rows` of it are there."""
    rows = zlib.compressobj()
    row = b"\0" * (1 + width * bytes_per_pixel)
    packed = [rows.compress(row) for _ in range(n_rows or height)]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = b"".join([*packed, rows.flush()])
    return b"".join(
        [PNG_START, chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


def gradient(height=48, width=64):
    """Return RGB pixels that tell each corner from the others."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x % 256, 5 * y % 256, 2 * x + y], axis=2).astype(np.uint8)

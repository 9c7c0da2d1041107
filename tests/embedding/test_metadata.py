"""Nothing that is written about a picture decides whether its pixels are read."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.data.images import ImageSource
from tests.embedding._pictures import ORIENTATION, TURNED, chunk, exif, gradient, png

PICTURE = Image.fromarray(gradient())
UPRIGHT = np.asarray(PICTURE)
TURNED_UPRIGHT = np.rot90(UPRIGHT, -1)
pytestmark = pytest.mark.filterwarnings("error")  # no remark of Pillow reaches the user

# Blocks in which the orientation is sound and something else is not.
ODD = {
    "resolution is text": exif(TURNED, (0x011A, 2, 4, b"72\0\0")),
    "negative width": exif(TURNED, (0x0100, 8, 1, struct.pack(">h", -5) + b"\0\0")),
    "interoperability is float": exif(TURNED, (0xA005, 11, 1, b"\x3f\xc0\0\0")),
    "gps is nowhere": exif(TURNED, (0x8825, 4, 1, b"\xff\xff\xff\xff")),
    "exif leads to itself": exif(TURNED, (0x8769, 4, 1, b"\0\0\0\x08")),
    "more entries than there are": exif(TURNED).replace(b"\x08\0\1", b"\x08\xff\xff"),
    "orientation is a long": exif((ORIENTATION, 4, 1, b"\0\0\0\6")),
}
# Blocks that say nothing that can be believed.
WORTHLESS = {
    "no header": b"Exif\0\0garbage",
    "no Exif": b"garbage",
    "cut": exif(TURNED)[:19],
    "orientation 0": exif((ORIENTATION, 3, 1, b"\0\0\0\0")),
    "orientation 9": exif((ORIENTATION, 3, 1, b"\0\x09\0\0")),
    "orientation is text": exif((ORIENTATION, 2, 2, b"6\0\0\0")),
    "two orientations": exif((ORIENTATION, 3, 2, b"\0\6\0\6")),
    "empty": b"",
}


def decode(content, tmp_path, name="picture"):
    path = tmp_path / name
    path.write_bytes(content)
    return np.asarray(ImageSource(str(path), 0).decode()).astype(int)


def saved(format, **options):
    file = io.BytesIO()
    PICTURE.save(file, format, **options)
    return file.getvalue()


def assert_same(pixels, expected):
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).mean() < 4  # of 255: JPEG and lossy WebP


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "MPO"])
@pytest.mark.parametrize("kind", ODD)
def test_orientation_is_read_alone(tmp_path, format, kind):
    content = saved(format, exif=ODD[kind])
    assert_same(decode(content, tmp_path), TURNED_UPRIGHT)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kind", WORTHLESS)
def test_what_cannot_be_believed_is_ignored(tmp_path, format, kind):
    content = saved(format, exif=WORTHLESS[kind])
    assert_same(decode(content, tmp_path), UPRIGHT)


@pytest.mark.parametrize("kind", [*ODD, *WORTHLESS])
def test_images_that_the_user_opened(kind):
    block = {**ODD, **WORTHLESS}[kind]
    with warnings.catch_warnings(action="ignore"):  # where the user opens it
        image = Image.open(io.BytesIO(saved("JPEG", exif=block)))
    with image:
        pixels = np.asarray(ImageSource(image, 0).decode()).astype(int)
    assert_same(pixels, TURNED_UPRIGHT if kind in ODD else UPRIGHT)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("options", [{"icc_profile": b"x"}, {"xmp": b"\xff<x:xmp"}])
def test_profiles_and_xmp(tmp_path, format, options):
    assert_same(decode(saved(format, **options), tmp_path), UPRIGHT)


HUGE = zlib.compress(bytes(80 << 20))  # more than Pillow unpacks of a text
BROKEN = chunk(b"tEXt", b"Comment\0x")[:-1] + b"\0"


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + HUGE),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + HUGE),
        chunk(b"iCCP", b"profile\0\0" + HUGE),
        BROKEN,
        chunk(b"pHYs", b"\0"),
        chunk(b"cHRM", b"\0") + chunk(b"gAMA", b""),
        chunk(b"acTL", b"\0") + chunk(b"fcTL", b"\0"),
        chunk(b"eXIf", b"garbage"),
    ],
)
@pytest.mark.parametrize("place", ["before", "after"])
def test_chunks_of_png(tmp_path, extra, place):
    content = png(gradient(), **{place: [extra]})
    np.testing.assert_array_equal(decode(content, tmp_path), UPRIGHT)


def test_orientation_in_chunks_of_png(tmp_path):
    block = exif(TURNED)
    text = b"\nexif\n %d\n" % len(block) + block.hex().encode() + b"\n"
    raw = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    for extra in (chunk(b"eXIf", block[6:]), raw):
        content = png(gradient(), after=[extra])
        np.testing.assert_array_equal(decode(content, tmp_path), TURNED_UPRIGHT)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_tags_of_tiff(tmp_path, compression):
    content = bytearray(saved("TIFF", compression=compression))
    (start,) = struct.unpack_from("<I", content, 4)
    # A table of the same length at the end, with tags that lead nowhere.
    (count,) = struct.unpack_from("<H", content, start)
    entries = [content[start + 2 + 12 * i :][:12] for i in range(count)]
    entries += [
        struct.pack("<HHII", tag, kind, n, value)
        for tag, kind, n, value in [
            (ORIENTATION, 3, 1, 6),
            (0x8825, 4, 1, 2**32 - 1),  # GPS
            (0x8769, 4, 1, start),  # EXIF
            (0x011A, 2, 4, 0x3237),  # a resolution that is text
            (0x8773, 7, 2**31, 8),  # a profile larger than the file
        ]
    ]
    entries.sort(key=lambda entry: entry[:2][::-1])
    struct.pack_into("<I", content, 4, len(content))
    content += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    assert_same(decode(bytes(content), tmp_path), TURNED_UPRIGHT)


def test_avif_is_turned_by_its_own_property(tmp_path):
    content = saved("AVIF", exif=exif(TURNED), quality=95)
    assert_same(decode(content, tmp_path), TURNED_UPRIGHT)
    # EXIF of an AVIF file does not count, so that it may be damaged.
    damaged = content.replace(b"MM\0*\0\0\0\x08", b"garbage!")
    assert_same(decode(damaged, tmp_path), TURNED_UPRIGHT)


def test_a_preview_table_that_is_damaged(tmp_path):
    content = saved("MPO", save_all=True, append_images=[PICTURE])
    place = content.index(b"MPF\0") + 4
    assert_same(
        decode(content[:place] + b"XXXX" + content[place + 4 :], tmp_path), UPRIGHT
    )

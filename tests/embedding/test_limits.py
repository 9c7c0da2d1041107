"""The memory of one image is bounded, and looked at before it is decoded."""

import io
import os
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.data import decoding, images, strips
from sklearn_vlclust.data.decoding import Limits
from sklearn_vlclust.data.images import ImageSource, UnreadableImageError, iter_decoded
from sklearn_vlclust.embedding import OfflineEmbedder
from tests.embedding._pictures import black_png, gradient

pytestmark = pytest.mark.filterwarnings("error")

PEAK = """
import resource, sys
from sklearn_vlclust.data.images import ImageSource, UnreadableImageError
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
for path in sys.argv[1:]:
    source = ImageSource(path, 0)
    try:
        source.digest()
        result = source.decode().size
    except UnreadableImageError as error:
        result = error.reason
    print(peak() - before, result, sep="|")
"""


def test_peak_of_memory(tmp_path):
    """Each file takes more than those before it."""
    names = ("s.jpg", "p.jpg", "a.png", "a.tif")
    sparse, phone, png, tiff = (tmp_path / name for name in names)
    Image.new("RGB", (64, 64)).save(sparse)
    os.truncate(sparse, 5 << 30)
    Image.new("RGB", (16_320, 12_240), "teal").save(phone)  # 200 megapixels
    png.write_bytes(black_png(10_000, 9_001))
    # One strip that is not compressed.
    Image.new("RGB", (10_000, 9_001)).save(tiff, strip_size=2**30)
    command = [sys.executable, "-W", "error", "-c", PEAK, sparse, phone, png, tiff]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    peaks, results = zip(*(line.split("|") for line in done.stdout.splitlines()))
    assert "5.4 GB" in results[0] and "max_bytes" in results[0]
    assert results[1:] == ("(4080, 3060)", "(2500, 2251)", "(2500, 2251)")
    assert int(peaks[0]) < 50 and max(map(int, peaks)) < 300  # megabytes


def header_of_bmp(width, height):
    pixels = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + pixels


def header_of_gif(width, height):
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08\0;"


def header_of_jxl(width, height):
    bits = (height - 1) << 3 | 3 << 1  # no multiple of 8, in 30 bits
    bits |= (width - 1) << 38 | 3 << 36
    return b"\xff\x0a" + bits.to_bytes(20, "little")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", black_png(65_000, 65_000, n_rows=1)),
        ("a.bmp", header_of_bmp(65_000, 65_000)),
        ("a.gif", header_of_gif(65_000, 65_000)),
        ("a.ppm", b"P6 65000 65000 255 "),
    ],
)
def test_sizes_that_are_declared_are_not_believed(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for read in (lambda s: s.decode(), lambda s: s.decode(100), lambda s: s.size()):
        with pytest.raises(UnreadableImageError, match="4,225 megapixels") as info:
            read(ImageSource(str(tmp_path / name), 0))
        assert "attack" not in str(info.value) and "max_pixels" in str(info.value)


def test_size_of_jxl(tmp_path):
    file = io.BytesIO(header_of_jxl(70_001, 50_003))
    assert decoding._jxl_size(file) == (70_001, 50_003)
    pytest.importorskip("pillow_jxl")
    for size in ((64, 48), (640, 480), (501, 77), (1920, 1080)):
        file = io.BytesIO()
        images.ImageSource(np.zeros((1, 1, 3), np.uint8), 0).decode()  # registers
        Image.new("RGB", size, "red").save(file, "JXL")
        assert decoding._jxl_size(file) == size


def test_large_files_are_read_where_they_are(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    Image.fromarray(gradient()).save(path)
    expected, digest = ImageSource(path, 0).decode(), ImageSource(path, 0).digest()
    monkeypatch.setattr(images, "_HELD_FILE", 10)
    source = ImageSource(path, 0)
    assert source.digest() == digest
    np.testing.assert_array_equal(np.asarray(source.decode()), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "I;16", "F", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_strips_look_like_the_whole(tmp_path, monkeypatch, mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(gradient(300, 400))
    if mode in ("I;16", "F"):
        picture = picture.convert("L")
    if mode == "RGBA":
        picture.putalpha(picture.convert("L"))
    picture.convert(mode).save(tmp_path / "a.tif", exif=exif)
    whole = ImageSource(tmp_path / "a.tif", 0).decode()
    monkeypatch.setattr(strips, "STRIP", 5000)
    apart = ImageSource(tmp_path / "a.tif", 0).decode()
    np.testing.assert_array_equal(np.asarray(apart), np.asarray(whole))
    monkeypatch.setattr(decoding, "LARGE", 60_000)
    monkeypatch.setattr(decoding, "_LEAST_SIDE", 50)
    reduced = ImageSource(tmp_path / "a.tif", 0).decode()
    assert reduced.size == (whole.width // 2, whole.height // 2)
    np.testing.assert_allclose(reduced, whole.reduce(2), atol=1)


def test_limits_are_parameters(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(gradient()).save(path)
    n_bytes = os.path.getsize(path)
    ImageSource(path, 0, Limits(64 * 48, 4 * 64 * 48 + n_bytes)).decode()
    with pytest.raises(UnreadableImageError, match="limit is 0 megapixels"):
        ImageSource(path, 0, Limits(64 * 48 - 1)).decode()
    with pytest.raises(UnreadableImageError, match="GB"):
        ImageSource(path, 0, Limits(bytes=n_bytes - 1)).decode()
    embedder = OfflineEmbedder(max_pixels=1000)
    with pytest.raises(UnreadableImageError, match="max_pixels"):
        embedder.transform([path])
    with pytest.raises(ValueError, match="'max_bytes' parameter"):
        OfflineEmbedder(max_bytes=0).transform([path])


def test_pillow_is_left_as_it_is(tmp_path):
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    (tmp_path / "a.png").write_bytes(black_png(10_000, 9_001, 8, 0, 1))
    assert ImageSource(tmp_path / "a.png", 0).decode().size == (2500, 2251)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_large_images_wait_for_each_other(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(gradient()).save(path)
    room = decoding._Room(20 * 64 * 48)  # of one, but not of two
    monkeypatch.setattr(decoding, "_SMALL", 0)
    monkeypatch.setattr(decoding, "_ROOM", room)
    most = 0
    load = decoding._load

    def watched(image):
        nonlocal most
        most = max(most, room._used)
        load(image)

    monkeypatch.setattr(decoding, "_load", watched)
    sizes = list(iter_decoded([path] * 40, lambda s: s.decode().size, n_jobs=8))
    assert sizes == [(64, 48)] * 40
    assert 0 < most <= 20 * 64 * 48 and not room._used


def test_a_file_that_changes_is_told(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(gradient()).save(path)
    monkeypatch.setattr(images, "_HELD_FILE", 10)
    decode = images.decode_file

    def grown(file, *others):
        with open(path, "ab") as more:
            more.write(b"more")
        return decode(file, *others)

    monkeypatch.setattr(images, "decode_file", grown)
    with pytest.raises(UnreadableImageError, match="it changed while it was read"):
        ImageSource(path, 0).decode()


def test_small_files_that_change_are_told(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(gradient()).save(path)
    status = os.fstat

    def grown(descriptor):
        found = status(descriptor)
        with open(path, "ab") as more:
            more.write(b"more")
        return found

    monkeypatch.setattr(images.os, "fstat", grown)
    with pytest.raises(UnreadableImageError, match="it changed while it was read"):
        ImageSource(path, 0).decode()

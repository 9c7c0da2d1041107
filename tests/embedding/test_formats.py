"""Formats: what is decoded, as a viewer shows it, and names for what is not."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.data import formats
from sklearn_vlclust.data.images import ImageSource, UnreadableImageError
from sklearn_vlclust.datasets import list_images
from tests.embedding._pictures import chunk, gradient, png

GRAY = np.asarray(Image.fromarray(gradient()).convert("L"))


def decode(path):
    return np.asarray(ImageSource(str(path), 0).decode()).astype(int)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("n_bits", [8, 10, 12, 14, 16])
def test_gray_of_any_depth_in_16_bits(tmp_path, n_bits, suffix):
    values = np.rint(GRAY / GRAY.max() * (2**n_bits - 1)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"gray.{suffix}")
    expected = GRAY / GRAY.max() * 255
    assert np.abs(decode(tmp_path / f"gray.{suffix}")[:, :, 0] - expected).max() <= 1


def test_colors_of_12_bits_in_16(tmp_path):
    path = tmp_path / "deep.png"
    path.write_bytes(png(gradient().astype(np.uint16) * 16))
    # Pillow cuts them to 4 bits.
    assert np.abs(decode(path) - gradient()).max() <= 17
    path.write_bytes(png(gradient().astype(np.uint16) * 257))
    np.testing.assert_array_equal(decode(path), gradient())


@pytest.mark.parametrize("white", [1, 255])
def test_floats(tmp_path, white):
    values = GRAY.astype(np.float32) * (white / 255)
    expected = GRAY.copy()
    values[3, 3], expected[3, 3] = np.nan, 0
    values[4, 4], expected[4, 4] = np.inf, 255
    Image.fromarray(values).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(decode(tmp_path / "float.tif")[:, :, 0], expected)
    Image.fromarray(values * np.nan).save(tmp_path / "float.tif")
    with pytest.raises(UnreadableImageError, match="none of its gray values is a fini"):
        decode(tmp_path / "float.tif")


def test_32_bits(tmp_path):
    Image.fromarray(GRAY.astype(np.int32) << 22).save(tmp_path / "long.tif")
    assert np.abs(decode(tmp_path / "long.tif")[:, :, 0] - GRAY).max() <= 1


def test_transparent_palettes(tmp_path):
    # Two colors of a palette, of which one is transparent by half.
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([200, 0, 0, 0, 0, 100])
    image.save(tmp_path / "palette.png", transparency=bytes([128, 255]))
    np.testing.assert_array_equal(
        decode(tmp_path / "palette.png")[0], [[227, 127, 127], [0, 0, 100]]
    )
    gray = np.array([[7, 8]], np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png", transparency=7)
    assert decode(tmp_path / "gray.png")[0].tolist() == [[255] * 3, [8] * 3]


def test_transparent_color_of_16_bits(tmp_path):
    pixels = gradient().astype(np.uint16) * 257
    color = struct.pack(">HHH", *pixels[-1, -1].tolist())
    (tmp_path / "a.png").write_bytes(png(pixels, before=[chunk(b"tRNS", color)]))
    expected = gradient()
    expected[-1, -1] = 255
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    "suffix", ["ico", "tga", "pcx", "dds", "sgi", "qoi", "jp2", "icns", "avif"]
)
def test_what_pillow_opens_is_read(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(gradient()).resize((64, 64)).save(path)
    assert 80 < decode(path).mean() < 140
    if suffix != "sgi":
        assert list(list_images(tmp_path)) == [str(path)]


def test_lab(tmp_path):
    from PIL import ImageCms

    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    lab = ImageCms.profileToProfile(
        Image.fromarray(gradient()), *profiles, outputMode="LAB"
    )
    lab.save(tmp_path / "lab.tif")
    assert np.abs(decode(tmp_path / "lab.tif") - gradient()).mean() < 3


BOX = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.nef", b"MM\0*\0\0\0\x08", "raw file of a camera"),
        ("a", b"II*\0\x10\0\0\0CR\2\0", "raw file of a camera"),
        ("a", BOX + b"crx \0\0\0\0", "raw file of a camera"),
        ("a", b"FUJIFILMCCD-RAW 0201", "raw file of a camera"),
        ("a.ico", b"\0\0\1\0\1\0", "ICO"),
        ("a.pcx", b"\x0a\5\1\x08" + bytes(9), "PCX"),
        ("a.dds", b"DDS |" + bytes(9), "DDS"),
        ("a", b"gimp xcf file", "XCF"),
        ("a.jpg", b"%PDF-1.7", "PDF document, not a picture"),
        ("a.jpg", b'<?xml version="1.0"?>\n<svg xmlns=""/>', "SVG drawing, not a pic"),
        ("a.jpg", b"<!DOCTYPE html><p>404", "web page .HTML., not a picture"),
        ("a.jpg", BOX + b"isom\0\0\2\0", "video, not a picture"),
        ("a.jpg", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ],
)
def test_others_are_named(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    with pytest.raises(UnreadableImageError, match=reason):
        decode(tmp_path / name)
    with pytest.warns(UserWarning, match="1 file .* left out"):
        paths, left_out = list_images(tmp_path, return_left_out=True)
    assert list(paths) == [str(tmp_path / "b.png")]
    ((path, why),) = left_out
    assert path == str(tmp_path / name) and why


def test_previews_of_raw_files_are_not_taken_for_them(tmp_path):
    """A DNG file starts with a small TIFF picture."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.tif", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(UnreadableImageError, match="raw file of a camera"):
        decode(tmp_path / "a.tif")


@pytest.fixture
def no_plugins(monkeypatch):
    """Make Pillow forget the plugins."""
    readable = formats.readable_formats()
    kept = tuple(name for name in readable if name not in ("HEIF", "JXL"))
    monkeypatch.setattr(formats, "readable_formats", lambda: kept)


@pytest.mark.parametrize(
    ("content", "kind", "package"),
    [
        (BOX + b"heic\0\0\0\0mif1heic", "HEIC", "pillow-heif"),
        (BOX + b"mif1\0\0\0\0mif1heic", "HEIC", "pillow-heif"),
        (b"\xff\x0a\0\0", "JPEG XL", "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "pillow-jxl-plugin"),
    ],
)
def test_missing_plugins_are_named_and_counted(
    tmp_path, no_plugins, content, kind, package
):
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    for i in range(12):
        (tmp_path / f"{i}.heic").write_bytes(content)
    message = f"12 {kind} pictures need `pip install {package}`"
    with pytest.warns(UserWarning, match=message):
        paths, left_out = list_images(tmp_path, return_left_out=True)
    assert len(paths) == 1 and len(left_out) == 12
    (tmp_path / "b.png").unlink()
    with pytest.raises(ValueError, match=f"holds no images.*{message}"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    ("plugin", "suffix"), [("pillow_heif", "heic"), ("pillow_jxl", "jxl")]
)
def test_plugins_are_registered(tmp_path, plugin, suffix):
    pytest.importorskip(plugin)
    formats.readable_formats()  # as the first picture does
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(gradient()).save(path, quality=95)
    assert np.abs(decode(path) - gradient()).mean() < 4
    assert list(list_images(tmp_path)) == [str(path)]


def test_a_sound_picture_of_a_kind_that_pillow_does_not_decode(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "TIFF")
    # 64 bits per sample
    content = file.getvalue().replace(
        struct.pack("<HHH", 8, 8, 8), b"\x40\0\x40\0\x40\0"
    )
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UnreadableImageError, match="starts as a TIFF file, but"):
        decode(tmp_path / "a.tif")

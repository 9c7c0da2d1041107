"""Large PNG and TIFF files, read some rows at a time, look as they do whole."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin
from sklearn.datasets import load_sample_image

from sklearn_vlclust.data import decoding, strips
from sklearn_vlclust.data.images import ImageSource, UnreadableImageError
from tests.embedding._pictures import black_png, chunk, png


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, 301, 211))


@pytest.fixture
def small_is_large(monkeypatch):
    """Every picture is read in strips, and is a quarter as wide."""

    def use(in_strips):
        monkeypatch.setattr(decoding, "LARGE", 10_000)
        monkeypatch.setattr(decoding, "_LEAST_SIDE", 50)
        monkeypatch.setattr(strips, "STRIP", 5000)
        monkeypatch.setattr(decoding, "strips_of", in_strips)

    return use


def both(path, use):
    """Return pixels that are read in strips, and those that are read whole."""
    found = []

    def watched(image):
        found.append(strips.strips_of(image))
        return found[-1]

    use(watched)
    apart = np.asarray(ImageSource(path, 0).decode())
    assert found[0] is not None
    use(lambda image: None)
    return apart, np.asarray(ImageSource(path, 0).decode())


def with_alpha(picture, mode):
    if mode.endswith("A"):
        picture = picture.copy()
        picture.putalpha(picture.convert("L"))
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_png(photograph, tmp_path, small_is_large, mode):
    exif = Image.Exif()
    exif[0x0112] = 6
    with_alpha(photograph, mode).save(tmp_path / "a.png", exif=exif)
    apart, whole = both(tmp_path / "a.png", small_is_large)
    assert apart.shape == (76, 53, 3)
    np.testing.assert_array_equal(apart, whole)


@pytest.mark.parametrize(("color", "n_channels"), [(2, 3), (6, 4), (4, 2)])
@pytest.mark.parametrize("scale", [16, 257])
def test_png_of_16_bits(photograph, tmp_path, small_is_large, color, n_channels, scale):
    pixels = np.asarray(with_alpha(photograph, "RGBA"))[:, :, -n_channels:]
    pixels = pixels.astype(np.uint16) * scale + np.arange(301)[:, None].astype("u2") % 7
    (tmp_path / "a.png").write_bytes(png(pixels, color=color))
    apart, whole = both(tmp_path / "a.png", small_is_large)
    np.testing.assert_array_equal(apart, whole)


def test_png_with_a_transparent_color(photograph, tmp_path, small_is_large):
    picture = photograph.copy()
    picture.paste((7, 100, 9), (20, 30, 80, 90))
    picture.save(tmp_path / "a.png", transparency=(7, 100, 9))
    apart, whole = both(tmp_path / "a.png", small_is_large)
    np.testing.assert_array_equal(apart, whole)
    assert (whole == 255).all(axis=2).any()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_filters_of_png(tmp_path_factory, data):
    """Bytes at random, by filters at random, in chunks of any size."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    depth, color, n = data.draw(
        st.sampled_from([(8, 0, 1), (8, 2, 3), (16, 2, 6), (16, 6, 8), (8, 4, 2)])
    )
    width, height = data.draw(st.integers(60, 90)), data.draw(st.integers(60, 90))
    rows = rng.integers(0, 256, (height, 1 + n * width), dtype=np.uint8)
    rows[:, 0] = rng.integers(0, 5, height)
    packed = zlib.compress(rows.tobytes(), data.draw(st.integers(0, 9)))
    step = data.draw(st.integers(40, 20_000))
    pieces = [packed[i : i + step] for i in range(0, len(packed), step)]
    empty = png(np.zeros((1, 1), np.uint8), color=color)
    header = empty[16:29].replace(b"\0\0\0\1\0\0\0\1", b"", 1)
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([depth]) + header[1:]
    path = tmp_path_factory.mktemp("filters") / "a.png"
    path.write_bytes(
        empty[:8]
        + chunk(b"IHDR", header)
        + b"".join(chunk(b"IDAT", piece) for piece in pieces)
        + chunk(b"IEND", b"")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "LARGE", 1000)
        patch.setattr(decoding, "_LEAST_SIDE", 20)
        patch.setattr(strips, "STRIP", 700)
        apart = np.asarray(ImageSource(path, 0).decode())
        patch.setattr(decoding, "strips_of", lambda image: None)
        np.testing.assert_array_equal(apart, ImageSource(path, 0).decode())


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"]
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16", "F", "P", "CMYK"])
def test_tiff(photograph, tmp_path, small_is_large, compression, mode, monkeypatch):
    if compression == "jpeg" and mode in ("RGBA", "I;16", "F", "P"):
        pytest.skip("libtiff has no such files")
    picture = photograph.convert("L") if mode in ("I;16", "F") else photograph
    monkeypatch.setattr(TiffImagePlugin, "STRIP_SIZE", 2000)
    picture = (
        with_alpha(picture, mode)
        if mode != "I;16"
        else Image.fromarray(np.asarray(picture).astype(np.uint16) * 16)
    )
    picture.save(tmp_path / "a.tif", compression=compression)
    apart, whole = both(tmp_path / "a.tif", small_is_large)
    np.testing.assert_array_equal(apart, whole)


def tiles(pixels, side, order):
    """Return an uncompressed TIFF file in tiles."""
    height, width, n_channels = pixels.shape
    down, across = -(-height // side), -(-width // side)
    whole = np.zeros((down * side, across * side, n_channels), pixels.dtype)
    whole[:height, :width] = pixels
    depth = 8 * pixels.itemsize
    data = [
        whole[i : i + side, j : j + side].astype(pixels.dtype.newbyteorder(order))
        for i in range(0, down * side, side)
        for j in range(0, across * side, side)
    ]
    tags = {
        256: (4, width),
        257: (4, height),
        258: (3, [depth] * n_channels),
        259: (3, 1),
        262: (3, 2),
        277: (3, n_channels),
        322: (4, side),
        323: (4, side),
        325: (4, [data[0].nbytes] * len(data)),
    }
    tags[324] = 4, [0] * len(data)
    start = 8 + len(strips._directory(order, tags))
    tags[324] = 4, [start + i * data[0].nbytes for i in range(len(data))]
    head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    parts = [tile.tobytes() for tile in data]
    return b"".join([head, strips._directory(order, tags), *parts])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_in_tiles(photograph, tmp_path, small_is_large, order, dtype):
    pixels = np.asarray(photograph).astype(dtype) * (257 if dtype == np.uint16 else 1)
    (tmp_path / "a.tif").write_bytes(tiles(pixels, 48, order))
    apart, whole = both(tmp_path / "a.tif", small_is_large)
    np.testing.assert_array_equal(apart, whole)
    expected = photograph.reduce(4)
    np.testing.assert_array_equal(whole, np.asarray(expected))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_cut_files(photograph, tmp_path, small_is_large, suffix):
    path = tmp_path / f"a.{suffix}"
    photograph.save(path)
    small_is_large(strips.strips_of)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UnreadableImageError, match=r"a\.(png|tif)"):
        ImageSource(path, 0).decode()


def test_what_cannot_be_read_in_strips_is_said(photograph, tmp_path):
    """The refusal says how to save the picture."""
    large = photograph.resize((4000, 3000))
    limits = decoding.Limits(bytes=40_000_000)
    large.save(tmp_path / "a.tif", compression="tiff_lzw", strip_size=2**30)
    with pytest.raises(UnreadableImageError, match="as a TIFF file in tiles"):
        ImageSource(tmp_path / "a.tif", 0, limits).decode()
    large.save(tmp_path / "a.jpg", progressive=True)
    with pytest.raises(UnreadableImageError, match="JPEG file that is not progressive"):
        ImageSource(tmp_path / "a.jpg", 0, limits).decode()
    content = bytearray(black_png(4000, 3000, 8, 2, 3))
    content[28] = 1
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match="PNG file that is not interlaced"):
        ImageSource(tmp_path / "a.png", 0, limits).decode()

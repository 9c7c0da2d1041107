"""Every kind of image decodes to upright 8-bit RGB, or says why it does not."""

import os
import pickle
import struct
import threading
import time
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sklearn_vlclust.data.images import (
    ImageSource,
    UnreadableImageError,
    iter_decoded,
)
from sklearn_vlclust.embedding import check_images, is_images


def decode(image):
    decoded = ImageSource(image, 0).decode()
    assert decoded.mode == "RGB"
    return np.asarray(decoded)


def gradient(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x % 256, 5 * y % 256, 2 * x + y], axis=2).astype(np.uint8)


def encoded(format, mode="RGB"):
    buffer = BytesIO()
    Image.fromarray(gradient()).convert(mode).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = Image.fromarray(gradient())
    # Pillow's own inverse of each EXIF orientation.
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "image.png"), gradient())
    with Image.open(tmp_path / "image.png") as image:
        np.testing.assert_array_equal(decode(image), gradient())


def test_damaged_exif_does_not_matter(tmp_path):
    image = Image.fromarray(gradient())
    image.save(tmp_path / "image.jpg", exif=b"Exif\0\0no tags at all")
    assert decode(tmp_path / "image.jpg").shape == (48, 64, 3)


@pytest.mark.parametrize("dtype_mode", ["I;16", "I;16B", "I"])
def test_16_bit_gray_is_scaled_not_clipped(tmp_path, dtype_mode):
    values = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    if dtype_mode == "I":
        image = Image.fromarray(values.astype(np.int32))
    else:
        order = ">u2" if dtype_mode.endswith("B") else "<u2"
        size = values.shape[::-1]
        image = Image.frombytes(dtype_mode, size, values.astype(order).tobytes())
    image.save(tmp_path / "gray.tif")
    expected = np.rint(values / 257).astype(np.uint8)
    for given_image in (image, tmp_path / "gray.tif"):
        np.testing.assert_array_equal(decode(given_image)[:, :, 1], expected)


def test_16_bit_color_png(tmp_path):
    values = (gradient().astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(decode(tmp_path / "deep.png"), gradient())


def test_float_gray(tmp_path):
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "ramp.tif")
    expected = np.arange(256).reshape(16, 16)
    np.testing.assert_array_equal(decode(tmp_path / "ramp.tif")[:, :, 0], expected)
    Image.fromarray(ramp * 1000).save(tmp_path / "wide.tif")
    with pytest.raises(UnreadableImageError, match=r"wide.tif.*0\.0 to 1000\.0"):
        decode(tmp_path / "wide.tif")


def test_cmyk(tmp_path):
    Image.fromarray(gradient()).convert("CMYK").save(
        tmp_path / "print.jpg", quality=100, subsampling=0
    )
    with Image.open(tmp_path / "print.jpg") as image:
        assert image.mode == "CMYK"
    error = decode(tmp_path / "print.jpg").astype(int) - gradient()
    assert np.abs(error).mean() < 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "YCbCr", "HSV"])
def test_other_modes(mode):
    image = Image.fromarray(gradient()).convert("RGB")
    image = image.convert("P").convert(mode) if mode == "PA" else image.convert(mode)
    assert decode(image).shape == (48, 64, 3)


def test_transparent_parts_become_white(tmp_path):
    pixels = np.zeros((2, 3, 4), dtype=np.uint8)
    pixels[0, :, 3] = 255
    pixels[1, :, :] = (200, 0, 0, 128)
    expected = [[0, 0, 0], [227, 127, 127]]
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    for image in (tmp_path / "alpha.png", pixels):
        np.testing.assert_array_equal(decode(image)[:, 0], expected)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.putpixel((0, 0), 1)
    palette.save(tmp_path / "palette.gif", transparency=0)
    decoded = decode(tmp_path / "palette.gif")
    np.testing.assert_array_equal(decoded[0], [[50, 60, 70], [255, 255, 255]])


@pytest.mark.parametrize("format", ["gif", "webp", "png", "tiff"])
def test_first_frame_of_an_animation(tmp_path, format):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    path = tmp_path / f"film.{format}"
    options = {"lossless": True} if format == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert (decode(path) == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"no picture at all", "no known image format, or its start is damaged"),
        (b"<html>404</html>", "a web page .HTML., not a picture"),
        (encoded("JPEG")[:800], "truncated"),
        (encoded("JPEG")[:10], "Truncated"),
        (encoded("JPEG")[:5], "starts as a JPEG file, but is damaged"),
        (encoded("PNG")[:80], "truncated"),
        (encoded("TIFF")[:3000], "truncated"),
    ],
)
def test_unreadable_files_are_named_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"broken\.jpg.*({reason})") as info:
        decode(path)
    assert info.value.name == str(path)
    again = pickle.loads(pickle.dumps(info.value))
    assert (again.name, again.reason) == (info.value.name, info.value.reason)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"nope\.jpg.*does not exist"):
        decode(tmp_path / "nope.jpg")
    with pytest.raises(UnreadableImageError, match="it is a folder"):
        decode(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableImageError, match="not a regular file"):
        decode(tmp_path / "pipe.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damage_never_raises_anything_else(tmp_path_factory, format, data):
    content = bytearray(encoded(format))
    cut = data.draw(st.integers(0, len(content)))
    for _ in range(data.draw(st.integers(0, 5))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "image"
    path.write_bytes(content[:cut])
    with suppress(UnreadableImageError):
        assert decode(path).ndim == 3


def test_digest_follows_content_not_name(tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    first.write_bytes(encoded("PNG"))
    second.write_bytes(encoded("PNG"))
    assert ImageSource(first, 0).digest() == ImageSource(second, 1).digest()
    second.write_bytes(encoded("PNG", "L"))
    assert ImageSource(first, 0).digest() != ImageSource(second, 1).digest()
    # The same bytes in another shape are another image.
    pixels = gradient()
    turned = pixels.reshape(64, 48, 3)
    assert ImageSource(pixels, 0).digest() != ImageSource(turned, 0).digest()
    assert (
        ImageSource(pixels, 0).digest()
        == ImageSource(Image.fromarray(pixels), 0).digest()
    )


IMAGES = np.zeros((2, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "X",
    [
        ["a.jpg"],
        (Path("a.jpg"),),
        np.array(["a.jpg", "b.jpg"]),
        np.array(["a.jpg"], dtype=object),
        pd.Series(["a.jpg", "b.jpg"], index=[7, 8]),
        pl.Series(["a.jpg"]),
        [Image.new("RGB", (2, 2))],
        IMAGES,
        list(IMAGES),
        torch.from_numpy(IMAGES),
    ],
)
def test_images_are_told_from_embeddings(X):
    assert is_images(X)
    assert len(check_images(X)) == len(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 4)), r"ndarray of shape \(3, 4\) and dtype float64"),
        ([[1.0, 2.0]], "list of list of length 1"),
        (np.zeros(3), r"ndarray of shape \(3,\)"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        ([], "list of length 0"),
        (None, "None"),
        (7, "7"),
        (torch.zeros(3, 4), r"Tensor of shape \(3, 4\)"),
        (pd.DataFrame({"a": ["a.jpg"], "b": 1}), r"DataFrame of shape \(1, 2\)"),
    ],
)
def test_anything_else_is_named_with_what_is_accepted(X, message):
    assert not is_images(X)
    with pytest.raises(ValueError, match=rf"{message}.*list or 1-D array of paths"):
        check_images(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("photo.jpg", "a single path, 'photo.jpg'"),
        (".", "a single folder.*list_images"),
        (Image.new("RGB", (2, 2)), "a single PIL image"),
        (["a.jpg", 3.0], r"X\[1\] is 3\.0"),
        (["a.jpg", None], r"X\[1\] is None"),
        (IMAGES.astype(float), "dtype float64.*uint8"),
        (IMAGES.transpose(0, 3, 1, 2), r"shape \(2, 3, 4, 5\).*channels"),
        (torch.zeros(2, 4, 5, 3), "dtype float32.*uint8"),
        (IMAGES[:0], r"shape \(0, 4, 5, 3\).*not empty"),
    ],
)
def test_nearly_images(X, message):
    assert is_images(X)
    with pytest.raises((TypeError, ValueError), match=message):
        check_images(X)


def test_array_of_another_dtype_in_a_list():
    with pytest.raises(UnreadableImageError, match=r"X\[0\].*float64 is not uint8"):
        decode(np.zeros((3, 4, 3)))


def test_order_is_kept_and_memory_bounded():
    n_alive, most_alive, lock = 0, 0, threading.Lock()
    rng = np.random.default_rng(0)
    delays = rng.uniform(0, 0.004, 60)

    def prepare(source):
        nonlocal n_alive, most_alive
        i = int(np.asarray(source.decode())[0, 0, 0])
        with lock:
            n_alive += 1
            most_alive = max(most_alive, n_alive)
        time.sleep(delays[i])
        return i

    images = np.arange(60, dtype=np.uint8).reshape(-1, 1, 1, 1)
    order = []
    for i in iter_decoded(images, prepare, n_jobs=4, prefetch=8):
        order.append(i)
        with lock:
            n_alive -= 1
    assert order == list(range(60))
    assert most_alive <= 9


def test_stops_when_the_caller_stops():
    started = []
    decoded = iter_decoded(
        np.zeros((500, 2, 2, 3), np.uint8), started.append, n_jobs=2, prefetch=6
    )
    next(decoded)
    decoded.close()
    assert len(started) <= 7
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def test_one_lazy_image_many_times(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG"))
    expected = decode(path)
    with Image.open(path) as image:
        for pixels in iter_decoded(
            [image] * 64, lambda source: np.asarray(source.decode()), n_jobs=8
        ):
            np.testing.assert_array_equal(pixels, expected)

"""Images of any sizes as one array of pixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from sklearn_vlclust.data import pixels as pixels_module
from sklearn_vlclust.data.images import UnreadableImageError
from sklearn_vlclust.data.pixels import read_pixels, typical_side


@pytest.fixture
def mixed(tmp_path):
    """Paths of one wide, one tall and one square image, each with a white middle."""
    paths = []
    for i, (width, height) in enumerate([(60, 30), (20, 50), (40, 40)]):
        pixels = np.zeros((height, width, 3), dtype=np.uint8)
        side = min(width, height)
        top, left = (height - side) // 2, (width - side) // 2
        pixels[top : top + side, left : left + side] = 255, 200, 100
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def test_mixed_sizes_become_the_middle_square(mixed):
    pixels = read_pixels(mixed, 16)
    assert pixels.shape == (3, 3, 16, 16) and pixels.dtype == np.uint8
    for channel, value in enumerate((255, 200, 100)):
        # Smoothing blends the outermost pixels with those beside the square.
        assert (pixels[:, channel, 2:-2, 2:-2] == value).all()
    assert typical_side(mixed) == 30
    opened = [Image.open(path) for path in mixed]
    for images in (opened, np.array([str(path) for path in mixed])):
        assert typical_side(images) == 30
    assert typical_side([np.asarray(image) for image in opened]) == 30


def test_gray_images_have_one_channel(tmp_path):
    gray = np.random.default_rng(0).integers(0, 256, (4, 9, 9), dtype=np.uint8)
    images = [Image.fromarray(image) for image in gray]
    np.testing.assert_array_equal(read_pixels(images, 9)[:, 0], gray)
    assert read_pixels(images, 9, n_channels=3).shape == (4, 3, 9, 9)
    color = np.zeros((9, 9, 3), dtype=np.uint8)
    color[0, 0] = 255, 0, 0
    assert read_pixels([*images, color], 9).shape == (5, 3, 9, 9)
    with pytest.raises(ValueError, match=r"X\[4\] has colors; the fit had gray"):
        read_pixels([*images, color], 9, n_channels=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_of_the_right_size_are_not_copied(channels):
    X = np.random.default_rng(0).integers(0, 256, (5, 8, 8, channels), dtype=np.uint8)
    pixels = read_pixels(X, 8)
    assert np.shares_memory(pixels, X)
    np.testing.assert_array_equal(pixels.transpose(0, 2, 3, 1), X)
    np.testing.assert_array_equal(read_pixels(torch.from_numpy(X), 8), pixels)
    assert read_pixels(X, 4).shape == (5, channels, 4, 4)
    with pytest.raises(ValueError, match=rf"{channels} channels?; the fit had"):
        read_pixels(X, 8, n_channels=4 - channels)


def test_alpha_is_laid_over_white():
    X = np.zeros((2, 8, 8, 4), dtype=np.uint8)
    X[:, :, :, 0] = 255
    X[1, :, :, 3] = 255  # the first is transparent, the second is red
    pixels = read_pixels(X, 8)
    assert pixels.shape == (2, 3, 8, 8)
    assert (pixels[0] == 255).all() and (pixels[1, 1:] == 0).all()


def test_large_arrays_are_temporary_files(mixed, monkeypatch):
    held = read_pixels(mixed, 16)
    monkeypatch.setattr(pixels_module, "HELD_BYTES", 100)
    pixels = read_pixels(mixed, 16)
    assert isinstance(pixels, np.memmap)
    np.testing.assert_array_equal(pixels, held)


def test_unreadable_images_are_named(mixed):
    mixed[1].write_bytes(b"no image")
    with pytest.raises(UnreadableImageError, match=r"1\.png.*no known image format"):
        read_pixels(mixed, 16)
    with pytest.raises(UnreadableImageError, match=r"1\.png.*no known image format"):
        typical_side(mixed)

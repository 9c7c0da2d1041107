"""Large JPEG files are decoded at a part of their size, and look the same."""

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from sklearn_vlclust.data.images import ImageSource, UnreadableImageError

SIDE = 40
CLOSE = 2  # of 255, in the mean; WebP of a thumbnail loses 4 and more
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(load_sample_image("china.jpg"))  # 640 x 427


def both(path):
    """Return the picture as it is decoded as a whole, and reduced."""
    return ImageSource(path, 0).decode(), ImageSource(path, 0).decode(SIDE)


def shown(picture):
    square = ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(square, dtype=float)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_photograph_looks_the_same(photograph, tmp_path, mode, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "photograph.jpg"
    photograph.convert(mode).save(path, quality=95, exif=exif, progressive=mode == "L")
    whole, reduced = both(path)
    assert whole.size == ((640, 427) if orientation < 5 else (427, 640))
    assert reduced.size == ((160, 107) if orientation < 5 else (107, 160))
    assert reduced.mode == "RGB"
    assert np.abs(shown(whole) - shown(reduced)).mean() < CLOSE


def test_a_camera_s_file_with_a_preview(photograph, tmp_path):
    path = tmp_path / "photograph.mpo"
    preview = ImageOps.invert(photograph).resize((320, 213))
    photograph.save(path, "MPO", save_all=True, append_images=[preview], quality=95)
    whole, reduced = both(path)
    assert reduced.size == (160, 107)
    assert np.abs(shown(whole) - shown(reduced)).mean() < CLOSE


@pytest.mark.parametrize("name", ["small.jpg", "large.png", "small.png"])
def test_other_files_are_decoded_as_they_are(photograph, tmp_path, name):
    # A half would have less than twice the side it is shown with.
    small = photograph.resize((4 * SIDE, 4 * SIDE - 1))
    (small if name.startswith("small") else photograph).save(tmp_path / name)
    whole, reduced = both(tmp_path / name)
    np.testing.assert_array_equal(np.asarray(reduced), np.asarray(whole))


def test_pictures_of_the_caller_stay_whole(photograph, tmp_path):
    path = tmp_path / "photograph.jpg"
    photograph.save(path)
    with Image.open(path) as picture:  # not loaded yet
        assert ImageSource(picture, 0).decode(SIDE).size == (640, 427)
        assert picture.size == (640, 427)


def test_errors_name_the_file(photograph, tmp_path):
    path = tmp_path / "photograph.jpg"
    with pytest.raises(UnreadableImageError, match=r"photograph.jpg.*not exist"):
        ImageSource(path, 0).decode(SIDE)
    photograph.save(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UnreadableImageError, match=r"photograph.jpg.*truncated"):
        ImageSource(path, 0).decode(SIDE)

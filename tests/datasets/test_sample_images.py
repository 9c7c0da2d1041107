from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.datasets import fetch_sample_images

STAMPS = Path("usr", "share", "tuxpaint", "stamps")
not_installed = pytest.mark.skipif(
    Path("/", STAMPS).is_dir(), reason="the package is installed"
)


@not_installed
def test_stamps_become_pictures_on_white(tmp_path, serve_packages):
    stamps = tmp_path / "package" / STAMPS / "animals" / "birds"
    stamps.mkdir(parents=True)
    stamp = np.zeros((50, 100, 4), dtype=np.uint8)
    stamp[10:40, 20:80] = 200, 0, 0, 255  # the rest is transparent
    for name in ("crow", "crow_mirror"):
        Image.fromarray(stamp).save(stamps / f"{name}.png")
    (stamps / "crow.txt").write_text("a crow")
    serve_packages(tmp_path / "package")
    (path,) = fetch_sample_images(tmp_path / "home")
    assert path.endswith("birds/crow.jpg")
    with Image.open(path) as picture:
        pixels = np.asarray(picture, dtype=int)
    assert pixels.shape == (384, 384, 3)
    assert (pixels[:90] > 250).all() and (pixels[:, :16] > 250).all()
    red = np.array([200, 0, 0])
    np.testing.assert_allclose(pixels[192, 40:340], np.tile(red, (300, 1)), atol=8)


def test_what_is_there_is_not_fetched_again(tmp_path):
    folder = tmp_path / "sample_images" / "birds"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "crow.jpg")
    assert list(fetch_sample_images(tmp_path)) == [str(folder / "crow.jpg")]


@not_installed
def test_without_apt_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match="apt-get install tuxpaint-stamps-default"):
        fetch_sample_images(tmp_path)
    assert not any(tmp_path.glob("*stamps*"))  # nothing is left behind


@not_installed
def test_pictures_that_were_changed_are_made_again(tmp_path, serve_packages):
    stamps = tmp_path / "package" / STAMPS / "animals" / "birds"
    stamps.mkdir(parents=True)
    Image.new("RGBA", (20, 20), "red").save(stamps / "crow.png")
    serve_packages(tmp_path / "package")
    (tmp_path / ".stamps-killed").mkdir()
    (path,) = fetch_sample_images(tmp_path)
    expected = Path(path).read_bytes()
    damages = [expected[:-9], b"", expected + b"x"]
    for damage in damages:
        Path(path).write_bytes(damage)
        with pytest.warns(UserWarning, match="were changed: they are made again"):
            assert list(fetch_sample_images(tmp_path)) == [path]
        assert Path(path).read_bytes() == expected
    foreign = tmp_path / "sample_images" / "birds" / "foreign.jpg"
    foreign.write_bytes(expected)
    with pytest.warns(UserWarning, match="were changed"):
        assert list(fetch_sample_images(tmp_path)) == [path]
    assert not list(tmp_path.glob(".stamps-*"))

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.datasets import _sample_images as module
from sklearn_vlclust.datasets import list_images
from sklearn_vlclust.datasets._sample_images import fetch_sample_images


def test_stamps_become_pictures_on_white(tmp_path):
    stamps = tmp_path / "usr" / "share" / "tuxpaint" / "stamps" / "animals" / "birds"
    stamps.mkdir(parents=True)
    stamp = np.zeros((50, 100, 4), dtype=np.uint8)
    stamp[10:40, 20:80] = 200, 0, 0, 255  # the rest is transparent
    for name in ("crow", "crow_mirror"):
        Image.fromarray(stamp).save(stamps / f"{name}.png")
    (stamps / "crow.txt").write_text("a crow")
    module._write_pictures(tmp_path, tmp_path / "out")
    (path,) = list_images(tmp_path / "out")
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


def test_without_apt_the_error_says_what_to_do(tmp_path, monkeypatch):
    if module._STAMPS.is_dir():
        pytest.skip("the package is installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match="apt-get install tuxpaint-stamps-default"):
        fetch_sample_images(tmp_path)
    assert not any(tmp_path.glob("*stamps*"))  # nothing is left behind


def test_pictures_that_were_changed_are_made_again(tmp_path, monkeypatch):
    stamps = tmp_path / "stamps" / "animals" / "birds"
    stamps.mkdir(parents=True)
    Image.new("RGBA", (20, 20), "red").save(stamps / "crow.png")
    monkeypatch.setattr(module, "_STAMPS", tmp_path / "stamps")
    for kind, places in module._KINDS.items():
        monkeypatch.setitem(module._KINDS, kind, places[:1])
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

"""Messages read well whatever a number is."""

import pytest

from sklearn_vlclust._backend._text import counted
from sklearn_vlclust.datasets import list_images
from tests.embedding._pictures import gradient


@pytest.mark.parametrize(
    ("n", "words", "expected"),
    [
        (1, ["image"], "1 image"),
        (0, ["image"], "0 images"),
        (1670, ["distinct row"], "1,670 distinct rows"),
        (2, ["entry"], "2 entries"),
        (1, ["HEIC picture", "needs"], "1 HEIC picture needs"),
        (2, ["HEIC picture", "needs"], "2 HEIC pictures need"),
    ],
)
def test_counted(n, words, expected):
    assert counted(n, *words) == expected


@pytest.mark.parametrize("n", [1, 2])
def test_pictures_that_need_a_plugin(tmp_path, monkeypatch, n):
    from PIL import Image

    from sklearn_vlclust.data import formats

    monkeypatch.setattr(formats, "readable_formats", lambda: ("JPEG", "PNG"))
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    for i in range(n):
        (tmp_path / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    expected = f"{counted(n, 'HEIC picture', 'needs')} `pip install pillow-heif`"
    with pytest.warns(UserWarning, match=expected):
        assert len(list_images(tmp_path)) == 1

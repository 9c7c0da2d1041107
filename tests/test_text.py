"""Messages read well whatever a number is."""

import pytest

from sklearn_vlclust.datasets import list_images
from tests.embedding._pictures import gradient


@pytest.mark.parametrize(
    ("n", "expected"), [(1, "1 HEIC picture needs"), (2, "2 HEIC pictures need")]
)
def test_pictures_that_need_a_plugin(tmp_path, monkeypatch, n, expected):
    from PIL import Image

    from sklearn_vlclust.data import formats

    monkeypatch.setattr(formats, "readable_formats", lambda: ("JPEG", "PNG"))
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    for i in range(n):
        (tmp_path / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    with pytest.warns(UserWarning, match=f"{expected} `pip install pillow-heif`"):
        assert len(list_images(tmp_path)) == 1

"""Images are found by content, whatever they are called."""

import errno
import os
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.datasets import clear_data_home, get_data_home, list_images

FORMATS = ["jpeg", "png", "gif", "webp", "bmp", "tiff", "ppm", "avif", "jpeg2000"]


def save(path, format="png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 7), "teal").save(path, format)


@pytest.mark.parametrize("format", FORMATS)
def test_formats_under_any_name(tmp_path, format):
    for name in ("image.dat", "no_suffix", "sub/deep/er.txt"):
        save(tmp_path / name, format)
    expected = sorted(
        str(tmp_path / name) for name in ("image.dat", "no_suffix", "sub/deep/er.txt")
    )
    paths = list_images(tmp_path)
    assert list(paths) == expected
    assert paths.dtype.kind == "U"


def test_files_that_are_no_images(tmp_path):
    save(tmp_path / "real.png")
    contents = {
        "text.txt": b"P1 looks like a bitmap",
        "letter": b"BM dear sir",
        "table.csv": b"a,b\n1,2\n",
        "zip.zip": b"PK\3\4",
        "drawing.svg": b"<svg/>",
        "zero": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_images(tmp_path)) == [str(tmp_path / "real.png")]


def test_files_that_only_have_the_name_are_reported(tmp_path):
    save(tmp_path / "real.png")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.png").write_bytes(b"<html>404</html>")
    with pytest.warns(UserWarning, match=r"2 files .*empty\.jpg.*page\.png"):
        assert list(list_images(tmp_path)) == [str(tmp_path / "real.png")]


def test_truncated_images_are_listed(tmp_path):
    # They are images; the one who decodes them says what is wrong with each.
    save(tmp_path / "cut.jpg", "jpeg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:50])
    assert len(list_images(tmp_path)) == 1


def test_hidden_files_are_left_out(tmp_path):
    for name in ("a.png", "._a.png", ".thumbnails/a.png", "b/.c/d.png"):
        save(tmp_path / name)
    assert list(list_images(tmp_path)) == [str(tmp_path / "a.png")]


def test_links(tmp_path):
    save(tmp_path / "in/a/one.png")
    save(tmp_path / "elsewhere/two.png")
    (tmp_path / "in/up").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/a/self").symlink_to(tmp_path / "in/a", target_is_directory=True)
    (tmp_path / "in/out").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "in/file.png").symlink_to(tmp_path / "elsewhere/two.png")
    (tmp_path / "in/broken.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "in/pipe.png")
    names = [
        str(Path(p).relative_to(tmp_path / "in")) for p in list_images(tmp_path / "in")
    ]
    assert names == ["a/one.png", "file.png", "out/two.png"]


def test_relative_folder_and_home(tmp_path, monkeypatch):
    save(tmp_path / "photos/a.png")
    monkeypatch.chdir(tmp_path)
    assert list(list_images("photos")) == [os.path.join("photos", "a.png")]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(list_images("~/photos")) == [str(tmp_path / "photos/a.png")]


def test_folders_that_do_not_do(tmp_path):
    with pytest.raises(ValueError, match=rf"{tmp_path}.*holds no images"):
        list_images(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        list_images(tmp_path / "nowhere")
    save(tmp_path / "a.png")
    with pytest.raises(NotADirectoryError, match=r"a\.png.*takes a folder"):
        list_images(tmp_path / "a.png")


def test_real_folder():
    default = Path(__file__).parents[3] / "shared" / "data"
    data = Path(os.environ.get("VLCLUST_TEST_DATA", default)) / "images" / "pacs_photo"
    if not data.is_dir():
        pytest.skip(f"no {data}; set VLCLUST_TEST_DATA")
    paths = list_images(data)
    assert len(paths) == 1670
    assert (np.sort(paths) == paths).all()


def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_VLCLUST_DATA", str(tmp_path / "env"))
    assert get_data_home() == tmp_path / "env"
    assert get_data_home(tmp_path / "given") == tmp_path / "given"
    assert (tmp_path / "given").is_dir()
    (tmp_path / "given" / "file").write_text("x")
    clear_data_home(tmp_path / "given")
    assert not (tmp_path / "given").exists()
    monkeypatch.delenv("SKLEARN_VLCLUST_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert get_data_home().is_relative_to(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="SKLEARN_VLCLUST_DATA"):
        get_data_home(tmp_path / "file" / "below")


def left_out(folder, **options):
    """Return the images of a folder, and names and reasons of what is left out."""
    with warnings.catch_warnings(action="ignore"):
        paths, others = list_images(folder, return_left_out=True, **options)
    return (
        [os.path.relpath(path, folder) for path in paths],
        {os.path.relpath(path, folder): reason for path, reason in others},
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("x.jpg", "circle"),
        ("../photos/x.jpg", "circle"),
        ("a.png/x.jpg", "through a file"),
        ("n" * 300, "too long"),
        ("gone.jpg", "leads nowhere"),
    ],
)
@pytest.mark.parametrize("name", ["x.jpg", "folder"])
def test_a_link_that_leads_astray_is_left_out(tmp_path, target, reason, name):
    folder = tmp_path / "photos"
    save(folder / "a.png")
    save(folder / "z" / "b.png")
    os.symlink(target.replace("x.jpg", name), folder / name)
    with pytest.warns(UserWarning, match=f"1 file .*left out.*{reason}"):
        assert len(list_images(folder)) == 2
    paths, others = left_out(folder)
    assert paths == ["a.png", os.path.join("z", "b.png")]
    assert list(others) == [name] and reason in others[name]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("where", ["stat", "listdir", "open"])
def test_whatever_the_system_says_concerns_one_entry(
    tmp_path, monkeypatch, number, where
):
    save(tmp_path / "a.png")
    save(tmp_path / "bad" / "b.png")
    save(tmp_path / "c.png")
    name = "bad" if where == "listdir" else os.path.join("bad", "b.png")
    function = getattr(os, where)

    def failing(path, *args, **options):
        if os.fspath(path) == str(tmp_path / name):
            raise OSError(number, os.strerror(number), path)
        return function(path, *args, **options)

    monkeypatch.setattr(os, where, failing)
    paths, others = left_out(tmp_path)
    assert paths == ["a.png", "c.png"]
    assert list(others) == [name] and others[name]


def test_things_that_are_named_like_images(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    save(tmp_path / "folder.jpg" / "b.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.JPG").write_bytes(b"")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "gone.txt").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as there:
        there.bind("socket.png")
    paths, others = left_out(tmp_path)
    assert paths == ["a.png", os.path.join("folder.jpg", "b.png")]
    assert others == {
        "empty.JPG": "the file is empty (0 bytes)",
        "pipe.jpg": "it is a pipe, not a regular file",
        "socket.png": "it is a socket, not a regular file",
    }


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", ".thumbnails", "lost+found"],
)
def test_folders_of_systems_are_skipped(tmp_path, name):
    save(tmp_path / "a.png")
    save(tmp_path / "below" / name / "deep" / "b.png")
    assert left_out(tmp_path) == (["a.png"], {})
    # Who names one wants it.
    assert len(list_images(tmp_path / "below" / name)) == 1


@pytest.mark.parametrize(
    ("exclude", "kept"),
    [
        ("*.PNG", ["b.gif"]),
        (["raw"], ["a.png", "b.gif"]),
        ("2019/raw", ["a.png", "b.gif"]),
        ("2019/", ["a.png", "b.gif"]),
        (["A.*", Path("2019")], ["b.gif"]),
        ("9", ["2019/raw/c.png", "a.png", "b.gif"]),
        ([], ["2019/raw/c.png", "a.png", "b.gif"]),
    ],
)
def test_exclude(tmp_path, exclude, kept):
    save(tmp_path / "a.png")
    save(tmp_path / "b.gif", "gif")
    save(tmp_path / "2019" / "raw" / "c.png")
    (tmp_path / "2019" / "raw" / "empty.png").write_bytes(b"")
    paths, others = left_out(tmp_path, exclude=exclude)
    assert paths == kept
    assert bool(others) == ("2019/raw/c.png" in kept)


def test_exclude_of_another_kind(tmp_path):
    save(tmp_path / "a.png")
    for exclude in ([3], [""]):
        with pytest.raises(ValueError, match="exclude holds"):
            list_images(tmp_path, exclude=exclude)
    with pytest.raises(ValueError, match="holds no images; some may be excluded"):
        list_images(tmp_path, exclude="*")


def test_names_that_are_no_text(tmp_path):
    save(tmp_path / "a.png")
    name = os.fsdecode(b"\xff\n=1.png")
    os.rename(tmp_path / "a.png", os.path.join(tmp_path, name))
    (tmp_path / "b\udcfe.jpg").write_bytes(b"")
    paths, others = left_out(tmp_path)
    assert paths == [name] and list(others) == ["b\udcfe.jpg"]

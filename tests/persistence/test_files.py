"""Files that are written in one step."""

import os
import stat

import pytest

from sklearn_vlclust._backend._files import write_atomically, write_bytes_atomically


def write(text):
    def function(name):
        with open(name, "w") as file:
            file.write(text)

    return function


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "new" / "file", write("a"))
    finally:
        os.umask(before)
    path = tmp_path / "new" / "file"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_text() == "a"


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "\udcff" * 200])
def test_longest_names(tmp_path, name):
    write_atomically(tmp_path / name, write("a"))
    write_atomically(tmp_path / name, write("b"))
    assert (tmp_path / name).read_text() == "b"
    assert len(os.listdir(tmp_path)) == 1


def test_the_old_file_stays_where_writing_fails(tmp_path):
    path = tmp_path / "file"
    write_bytes_atomically(path, b"old")

    def fail(name):
        write("half")(name)
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_atomically(path, fail)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]

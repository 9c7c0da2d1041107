"""Output folders that others have prepared, or that two runs share."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from sklearn_vlclust._backend._files import write_bytes_atomically
from sklearn_vlclust.cli._assignments import to_csv
from sklearn_vlclust.cli._errors import OCCUPIED, CommandError
from sklearn_vlclust.cli._options import Sorting
from sklearn_vlclust.cli._output import Output
from sklearn_vlclust.cli._sorted import check_sorted, sort_images
from sklearn_vlclust.cli._terminal import Terminal

SETTINGS = {"k": 3}
MANIFEST = "vlclust-images.json"


@pytest.fixture
def images(tmp_path):
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "user").mkdir()
    (tmp_path / "a.jpg").write_text("jpg")
    return tmp_path / "out" / "images"


def sort(images, how=Sorting.link):
    source = images.parents[1] / "a.jpg"
    rows = [{"path": str(source), "cluster": 0, "probability": 1.0, "name": "dog"}]
    sort_images(rows, images, how, Terminal())


def entry_of(name, path):
    status = path.lstat()
    entry = {"name": name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    return entry | ({"link": os.readlink(path)} if path.is_symlink() else {})


@pytest.mark.parametrize(
    "name",
    ["../notes", "x/../../notes", "linked/notes", "./notes", "0-dog/../../notes"],
)
def test_names_that_lead_out_delete_nothing(images, name):
    victims = [images.parent / "notes", images.parents[1] / "user" / "notes"]
    os.symlink(images.parents[1] / "user", images / "linked")
    (images / "x").mkdir()
    for victim in victims:
        victim.write_text("mine")
    entries = [entry_of(name, victim) for victim in victims]
    entries += [entry_of(str(victim), victim) for victim in victims]
    (images / MANIFEST).write_text(json.dumps(entries))
    sort(images)
    assert [victim.read_text() for victim in victims] == ["mine", "mine"]


@pytest.mark.parametrize("name", [".vlclust-copying", "0-dog"])
@pytest.mark.parametrize("how", Sorting)
def test_links_in_the_folder_are_not_followed(images, name, how):
    user = images.parents[1] / "user"
    target = user if name == "0-dog" else user / "thesis"
    if target != user:
        target.write_text("mine")
    before = {path: path.read_text() for path in user.iterdir()}
    os.symlink(target, images / name)
    for _ in range(2):
        sort(images, how)
    assert {path: path.read_text() for path in user.iterdir()} == before
    placed = [path for path in images.glob("0-dog*/a.jpg") if "user" not in str(path)]
    assert len(placed) == 1 and placed[0].is_symlink() == (how is Sorting.link)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", "[[]]", "null", "5", '[{"name": 5}]', '[{"a": 1}]', "[" * 10**5],
)
def test_a_damaged_list_is_named_and_left(images, content):
    sort(images)
    (images / MANIFEST).write_text(content)
    for action in (check_sorted, sort):
        with pytest.raises(CommandError, match=rf"{MANIFEST}.*is damaged") as error:
            action(images)
        assert error.value.code == OCCUPIED
    assert (images / MANIFEST).read_text() == content
    assert (images / "0-dog" / "a.jpg").is_symlink()


def test_a_list_that_is_a_link_or_a_pipe_is_not_read(images):
    sort(images)
    os.rename(images / MANIFEST, images / "elsewhere")
    os.symlink("elsewhere", images / MANIFEST)
    with pytest.raises(CommandError, match="is damaged"):
        check_sorted(images)
    os.unlink(images / MANIFEST)
    os.mkfifo(images / MANIFEST)
    with pytest.raises(CommandError, match="is damaged"):
        check_sorted(images)
    shutil.rmtree(images)
    os.symlink(images.parents[1] / "user", images)
    with pytest.raises(CommandError, match="is no folder"):
        check_sorted(images)


def test_a_copy_that_was_changed_but_looks_the_same_stays(images):
    sort(images, Sorting.copy)
    copy = images / "0-dog" / "a.jpg"
    status = copy.stat()
    copy.write_text("abc")
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    sort(images, Sorting.copy)
    assert copy.read_text() == "abc" and (images / "0-dog" / "a-2.jpg").exists()
    sort(images, Sorting.copy)
    assert len(list(images.glob("0-dog/*"))) == 2  # its own copy has gone


def run(output, *names, done=True):
    """Write files as a run does."""
    with output.writing(output.folder.parent / "photos", SETTINGS, True):
        for name in names:
            write_bytes_atomically(output.folder / name, b"of the run")
        if not done:
            raise KeyboardInterrupt


PLACES = ["report.html", "clusters.csv", "model/captioner.safetensors"]


@pytest.mark.filterwarnings("ignore:.*not as vlclust wrote it")
def test_files_of_the_user_are_moved_not_replaced(tmp_path):
    output = Output(tmp_path / "out")
    for name in [*PLACES, "cache/fit-mine.safetensors", "notes"]:
        write_bytes_atomically(output.folder / name, b"mine")
    with pytest.warns(UserWarning, match=r"report\.html.* is 'report\.html\.old' now"):
        run(output, *PLACES)
    for name in PLACES:
        assert (output.folder / name).read_bytes() == b"of the run"
        assert (output.folder / f"{name}.old").read_bytes() == b"mine"
    for name in ("cache/fit-mine.safetensors", "notes"):
        assert (output.folder / name).read_bytes() == b"mine"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(output, *PLACES)
    (output.folder / "clusters.csv").write_text("of the run, edited")
    with pytest.warns(UserWarning, match=r"'clusters\.csv\.old2' now"):
        run(output, *PLACES)


def test_a_run_that_was_ended_owns_what_it_wrote(tmp_path):
    output = Output(tmp_path / "out")
    names = [*PLACES, "cache/fit-1.safetensors"]
    with pytest.raises(KeyboardInterrupt):
        run(output, *names, done=False)
    assert (output.folder / names[-1]).exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(output, *PLACES)
    assert not list(output.folder.rglob("*.old*"))
    assert not (output.folder / names[-1]).exists()


def test_two_runs_at_once(tmp_path):
    output = Output(tmp_path / "out")
    with output.writing(tmp_path / "photos", SETTINGS, True):
        with pytest.raises(CommandError, match="Another vlclust writes to") as error:
            run(Output(tmp_path / "out"), *PLACES)
        assert error.value.code == OCCUPIED
    run(Output(tmp_path / "out"), *PLACES)


@pytest.mark.parametrize(
    "name",
    [
        "=1",
        " =1",
        "\ufeff=1",
        "\u200b+1",
        "\n=1",
        "\r\n@a",
        "\u00a0-1",
        "＝1",
        "＋1",
        "－1",
        "＠a",
        "﹣1",
        "−1",
        "\u2060\u200e=1",
        "\tx",
        "\nx",
        "\x00=1",
    ],
)
def test_no_name_is_a_formula(name):
    row = {"path": "/a", "cluster": 0, "probability": 1.0, "name": name}
    text = to_csv([row])
    assert text.split(",", 6)[-1].strip('"').startswith("'")


@pytest.mark.parametrize("name", ["dog", "", " dog", "3-dog", "a=b", "été", "\u200bx"])
def test_other_names_stay_as_they_are(name):
    row = {"path": "/a", "cluster": 0, "probability": 1.0, "name": name}
    assert to_csv([row]).endswith(f",{name}\r\n")


def test_what_killed_writers_left_goes_at_the_next_start(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from sklearn_vlclust._backend._files import write_atomically\n"
        "def write(name):\n"
        "    open(name, 'w').write('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(sys.argv[1], write)\n"
    )
    path = tmp_path / "model.safetensors"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(os.listdir(tmp_path)) == 1
    (tmp_path / ".model.safetensors.mine").write_text("mine")
    write_bytes_atomically(path, b"whole")
    assert {*os.listdir(tmp_path)} == {path.name, ".model.safetensors.mine"}


MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize(
    "value",
    ["My $ales", "a`touch pwned`b", '"; touch pwned; "', "$(shell touch pwned)"],
)
def test_make_passes_values_as_they_are(tmp_path, value):
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "pyproject.toml").touch()
    tool = tmp_path / ".venv" / "bin" / "python"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    tool.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    command = ["make", "-s", "demo", f"IMAGES={value}", f"K={value}"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = ["examples/demo.py", f"--n-clusters={value}", "--", value]
    assert done.stdout.splitlines() == expected
    assert not (tmp_path / "pwned").exists()

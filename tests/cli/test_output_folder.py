"""Whose an output folder is, and images sorted into it."""

import os
import shutil

import pytest

from tests.cli.conftest import vlclust


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the folder of a finished run."""
    return shutil.copytree(finished.out, tmp_path / "out", symlinks=True)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_the_same_run_may_be_repeated(out, pictures, options):
    run = vlclust("cluster", pictures, "--k", 3, "--out", out, *options)
    assert run.code == 0
    assert "Resuming" not in run.err  # nothing to resume


def test_another_run_is_not_overwritten(out, pictures, options):
    before = contents(out)
    arguments = ["cluster", pictures, "--k", 2, "--out", out, *options]
    run = vlclust(*arguments)
    assert run.code == 3 and contents(out) == before
    assert "k 3 there, 2 now" in run.err and "--overwrite" in run.err
    assert vlclust(*arguments, "--json").json["exit_code"] == 3
    run = vlclust(*arguments, "--overwrite", "--json")
    assert run.code == 0 and run.json["n_clusters"] == 2


def test_files_of_the_user_stay(pictures, options, tmp_path):
    out = tmp_path / "out"
    (out / "model").mkdir(parents=True)
    (out / "model" / "notes.txt").write_text("mine")
    (out / "holiday.png").write_text("mine, too")
    arguments = ["cluster", pictures, "--k", 3, "--out", out, *options]
    assert vlclust(*arguments).code == 3
    assert sorted(contents(out)) == ["holiday.png", "model", "model/notes.txt"]
    assert vlclust(*arguments, "--overwrite").code == 0
    assert (out / "model" / "notes.txt").read_text() == "mine"
    assert (out / "holiday.png").read_text() == "mine, too"


def test_a_run_that_failed_claims_nothing(pictures, options, tmp_path):
    out = ["--out", tmp_path / "out"]
    broken = tmp_path / "clip"
    broken.mkdir()
    (broken / "open_clip_config.json").write_text("{}")
    run = vlclust("cluster", pictures, "--k", 3, "--encoder", broken, *out)
    assert run.code == 1 and "open_clip_config.json is damaged" in run.err
    assert vlclust("cluster", pictures, "--k", 3, *out, *options).code == 0


@pytest.mark.parametrize("where", [".", "..", "photos/red"])
def test_the_folder_of_the_pictures_is_no_output(copy_of, pictures, options, where):
    folder = copy_of(pictures)
    out = folder / where if where != "photos/red" else folder
    source = folder / "red" if where == "photos/red" else folder
    before = contents(folder)
    for extra in ([], ["--overwrite"]):
        arguments = ["--k", 2, "--out", out, *options, *extra]
        run = vlclust("cluster", source, *arguments)
        assert run.code == 2 and "holds, the folder of the pictures" in run.err
    assert contents(folder) == before


def test_an_output_that_is_a_file(pictures, options, tmp_path):
    (tmp_path / "out").write_text("mine")
    arguments = ["--k", 3, "--out", tmp_path / "out", *options, "--overwrite"]
    run = vlclust("cluster", pictures, *arguments)
    assert run.code == 2 and "is a file" in run.err
    assert (tmp_path / "out").read_text() == "mine"


def sorted_images(out):
    return sorted(path for path in (out / "images").glob("*/*"))


def test_link(out, pictures, options):
    arguments = ["cluster", pictures, "--k", 3, "--out", out, *options, "--link"]
    run = vlclust(*arguments, "--json")
    assert run.code == 0, run.err
    links = sorted_images(out)
    assert len(links) == 24 and all(path.is_symlink() for path in links)
    folders = {os.readlink(path): path.parent.name for path in links}
    assert set(folders) == {row["path"] for row in run.json["images"]}
    for row in run.json["images"]:
        assert folders[row["path"]].split("-")[0] == str(row["cluster"])
    # Three pictures are called 0.png: all have their own name here.
    assert {path.name for path in links} >= {"0.png", "7.png"}


def test_copies_of_the_last_run_go_and_files_of_the_user_stay(out, pictures, options):
    arguments = ["cluster", pictures, "--out", out, *options, "--copy", "--overwrite"]
    assert vlclust(*arguments, "--k", 3).code == 0
    copies = sorted_images(out)
    assert len(copies) == 24 and not any(path.is_symlink() for path in copies)
    assert {path.read_bytes() for path in copies} == {
        path.read_bytes() for path in pictures.glob("*/*")
    }
    copies[0].write_bytes(b"painted over")
    (copies[1].parent / "mine.txt").write_text("mine")
    assert vlclust(*arguments, "--k", 2).code == 0
    assert copies[0].read_bytes() == b"painted over"
    assert (copies[1].parent / "mine.txt").read_text() == "mine"
    assert len(sorted_images(out)) == 24 + 2
    # Links instead: the copies go, the pictures that are linked do not.
    arguments = ["--k", 2, "--out", out, *options, "--link", "--overwrite"]
    for _ in range(2):
        assert vlclust("cluster", pictures, *arguments).code == 0
        assert len(sorted_images(out)) == 24 + 2
    assert len(list(pictures.glob("*/*.png"))) == 24


def test_a_list_of_sorted_images_leads_nowhere_else(out, pictures, options, tmp_path):
    (tmp_path / "victim").mkdir()
    victim = tmp_path / "victim" / "picture.png"
    victim.write_bytes(b"mine")
    size, modified = victim.stat().st_size, victim.stat().st_mtime_ns
    (out / "images").mkdir()
    for name in ("../../victim/picture.png", str(victim)):
        entry = f'{{"name": "{name}", "size": {size}, "mtime_ns": {modified}}}'
        (out / "images" / "vlclust-images.json").write_text(f"[{entry}]")
        arguments = ["--k", 3, "--out", out, *options, "--link"]
        assert vlclust("cluster", pictures, *arguments).code == 0
        assert victim.read_bytes() == b"mine"

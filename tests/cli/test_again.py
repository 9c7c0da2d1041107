"""Another number of clusters, the same run again, and embeddings that are shared."""

import os
import shutil

import pytest

from sklearn_vlclust import CLIPEmbedder
from tests.cli.conftest import save_picture, vlclust


@pytest.fixture
def no_encoder(monkeypatch):
    """An encoder that embeds no image any more."""

    def fail(self, batch):
        raise AssertionError("an image was embedded twice")

    monkeypatch.setattr(CLIPEmbedder, "_encode_image_batch", fail)


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished.out, tmp_path / "out", symlinks=True)


def test_no_run_embeds_a_picture_again(finished, pictures, options, tmp_path, cache):
    assert list(cache.glob("*.sqlite"))
    assert not (finished.out / "cache").exists()


@pytest.mark.parametrize("method", ["vl", "rate-reduction"])
def test_another_method_embeds_nothing(
    finished, pictures, options, tmp_path, no_encoder, method
):
    arguments = ["--k", 2, "--out", tmp_path / "b", "--method", method, *options]
    run = vlclust("cluster", pictures, *arguments, "--json")
    assert run.code == 0 and run.json["n_clusters"] == 2, run.err
    assert vlclust("predict", tmp_path / "b", pictures, "--json").code == 0


def test_another_number_in_place(out, finished, pictures, options, no_encoder):
    run = vlclust("recut", out, "--k", 2, "--json")
    assert run.code == 0, run.err
    assert run.json["n_clusters"] == 2
    assert "2 clusters" in vlclust("recut", out, "--k", 2).out
    assert (out / "clusters.csv").read_bytes().count(b"\r\n") == 25
    # The folder holds the run that this number would have made.
    same = ["cluster", pictures, "--k", 2, "--out", out, *options, "--json"]
    assert vlclust(*same).json["finished_before"]
    same[same.index(2)] = 3
    refused = vlclust(*same)
    assert refused.code == 3 and f"vlclust recut {out} --k 3" in refused.err
    back = vlclust("recut", out, "--k", 3, "--json")
    assert sorted(c["size"] for c in back.json["clusters"]) == [8, 8, 8]


@pytest.mark.parametrize("method", ["mca", "contrastive-masked"])
def test_another_number_of_any_method(method, pictures, options, tmp_path):
    arguments = ["--k", 3, "--method", method, "--out", tmp_path / "out", *options]
    assert vlclust("cluster", pictures, *arguments).code == 0
    run = vlclust("recut", tmp_path / "out", "--k", 2, "--json")
    assert run.code == 0, run.err
    assert run.json["n_clusters"] == 2 and run.json["method"] == method


def test_another_number_elsewhere(finished, tmp_path):
    before = (finished.out / "clusters.csv").read_bytes()
    run = vlclust("recut", finished.out, "--k", 2, "--out", tmp_path / "two", "--json")
    assert run.code == 0 and run.json["out"] == str(tmp_path / "two"), run.err
    assert (finished.out / "clusters.csv").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    run = vlclust("recut", finished.out, "--k", 2, "--out", tmp_path / "mine")
    assert run.code == 3 and "is not empty" in run.err
    alone = shutil.copytree(finished.out / "model", tmp_path / "alone" / "model")
    assert "--out" in vlclust("recut", alone, "--k", 2).err
    run = vlclust("recut", finished.out, "--k", 25, "--out", tmp_path / "x")
    assert run.code == 2 and "--k 25 is more than the 24 images" in run.err


def test_sorted_images_follow(copy_of, pictures, options, tmp_path):
    arguments = ["--k", 3, "--out", tmp_path / "out", *options, "--link"]
    assert vlclust("cluster", pictures, *arguments).code == 0
    assert vlclust("recut", tmp_path / "out", "--k", 2).code == 0
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3  # and the manifest


def test_a_finished_run_does_nothing(out, pictures, options, no_encoder):
    arguments = ["cluster", pictures, "--k", 3, "--out", out, *options]
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    run = vlclust(*arguments)
    assert run.code == 0 and "nothing to do" in run.out and run.err == ""
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    result = vlclust(*arguments, "--json").json
    assert result["finished_before"] and len(result["images"]) == 24
    # Sorting is all that is left to do.
    assert vlclust(*arguments, "--link").code == 0
    assert len(list((out / "images").glob("*/*"))) == 24
    (out / "clusters.csv").write_text("mine")
    run = vlclust(*arguments)
    assert "nothing to do" not in run.out and (out / "clusters.csv.old").exists()


def test_a_new_picture_is_something_to_do(copy_of, pictures, options, tmp_path):
    folder = copy_of(pictures)
    arguments = ["cluster", folder, "--k", 3, "--out", tmp_path / "out", *options]
    assert vlclust(*arguments).code == 0
    os.utime(folder / "red" / "0.png", ns=(1, 1))
    assert "nothing to do" not in vlclust(*arguments).out
    save_picture(folder / "red" / "new.png", (200, 30, 30), 99)
    run = vlclust(*arguments, "--json")
    assert run.json["n_images"] == 25


def test_runner_ups_are_shown(pictures, options, tmp_path):
    run = vlclust("cluster", pictures, "--out", tmp_path / "out", *options, "--json")
    others = [k for k, _ in run.json["k_candidates"] if k != run.json["n_clusters"]]
    shown = vlclust("cluster", pictures, "--out", tmp_path / "out", *options).out
    assert ("; also " in shown) == bool(others)
    if others:
        assert f"vlclust recut {tmp_path / 'out'} --k {others[0]}" in shown

"""`vlclust cluster`: what it writes, and where."""

import csv
import re
from pathlib import Path

import pytest

from sklearn_vlclust import VLClustering, cluster
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.persistence import load_model
from tests.cli.conftest import assigned, vlclust

# The command line names its methods where it is given none of them.
REFUSAL = vlclust("cluster", ".", "--method", "magic").err
METHODS = re.search(r"none of ([a-z, -]+)\.", REFUSAL)[1].split(", ")


def read_csv(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.smoke
def test_report_table_and_model(finished, pictures):
    result = finished.json
    rows = read_csv(finished.out / "clusters.csv")
    assert list(rows[0]) == ["path", "cluster", "probability", "name"]
    assert [row["path"] for row in rows] == sorted(map(str, pictures.glob("*/*.png")))
    colors = [row["path"].split("/")[-2] for row in rows]
    assert clustering_accuracy(colors, [row["cluster"] for row in rows]) == 1
    assert all(1 / 3 < float(row["probability"]) <= 1 for row in rows)
    report = (finished.out / "report.html").read_text()
    assert report.lstrip().lower().startswith("<!doctype html>")
    assert (finished.out / "model" / "model.json").is_file()
    assert result["n_images"] == 24 and result["n_clusters"] == 3
    assert [c["size"] for c in result["clusters"]] == [8, 8, 8]
    as_text = [
        {**row, "cluster": str(row["cluster"]), "probability": str(row["probability"])}
        for row in result["images"]
    ]
    with_apostrophe = [
        {**row, "name": f"'{row['name']}" if row["name"][:1] == "=" else row["name"]}
        for row in as_text
    ]
    assert rows == with_apostrophe
    assert result["exit_code"] == 0 and result["errors"] == []


def test_the_model_is_the_estimator_by_its_own_save(finished):
    files = [path.name for path in (finished.out / "model").rglob("*")]
    assert not [name for name in files if "pkl" in name or "pickle" in name]
    if finished.json["method"] == "vl":
        estimator = VLClustering.load(finished.out / "model/estimator.safetensors")
        assert estimator.checkpoint is None and estimator.embedder.cache is None
    assert not list((finished.out / "cache").glob("fit-*"))


def is_named(clusterer, method):
    """Whether a class is called by a method: `VLClustering` by "vl"."""
    return clusterer.lower().startswith(method.replace("-", ""))


@pytest.mark.parametrize("clusterer", cluster.__all__)
def test_every_clusterer_is_a_method(clusterer):
    assert [is_named(clusterer, method) for method in METHODS].count(True) == 1


@pytest.mark.smoke
@pytest.mark.parametrize("method", METHODS)
def test_every_method(method, pictures, options, tmp_path):
    if method == "generative":
        pytest.importorskip("diffusers")
    arguments = ["--k", 3, "--method", method, "--out", tmp_path / "out", *options]
    run = vlclust("cluster", pictures, *arguments, "--json")
    assert run.code == 0, run.err
    assert run.json["method"] == method
    model = load_model(tmp_path / "out" / "model" / "estimator.safetensors")
    assert is_named(type(model).__name__, method)
    assert sum(c["size"] for c in run.json["clusters"]) == 24
    assert all(c["names"] for c in run.json["clusters"])
    again = vlclust("predict", tmp_path / "out", pictures, "--json")
    assert assigned(again.json["images"]) == run.json["images"]


@pytest.mark.parametrize("method", ["vl", "rate-reduction"])
def test_the_number_of_clusters_is_chosen(method, pictures, options, tmp_path):
    arguments = ["--method", method, "--out", tmp_path / "out", "--max-k", 6, *options]
    run = vlclust("cluster", pictures, *arguments, "--json")
    assert run.code == 0, run.err
    assert run.json["n_clusters"] == 3
    # The report made anew knows the curve as well.
    first = (tmp_path / "out" / "report.html").read_text()
    assert vlclust("report", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "report.html").read_text() == first


def test_without_words_there_are_no_names(pictures, tiny_clip, tmp_path):
    out, common = tmp_path / "out", ["--encoder", tiny_clip, "--words", "none"]
    run = vlclust("cluster", pictures, "--k", 3, "--out", out, *common, "--json")
    assert run.code == 0, run.err
    assert run.json["method"] == "vl"
    assert {row["name"] for row in run.json["images"]} == {""}


def test_words_of_a_table(pictures, tiny_clip, tmp_path):
    (tmp_path / "words.csv").write_text("noun,synonyms\nred,crimson; scarlet\nblue,\n")
    words = ["--words", tmp_path / "words.csv", "--encoder", tiny_clip]
    out = tmp_path / "out"
    run = vlclust("cluster", pictures, "--k", 3, "--out", out, *words, "--json")
    assert run.code == 0, run.err
    assert {row["name"] for row in run.json["images"]} <= {"red", "blue"}


def test_the_same_seed_gives_the_same_clusters(finished, pictures, options, tmp_path):
    run = vlclust(
        *["cluster", pictures, "--k", 3, "--out", tmp_path / "out", *options, "--json"]
    )
    assert run.json["images"] == finished.json["images"]


def test_what_people_see(pictures, options, tmp_path):
    out = tmp_path / "out"
    run = vlclust("cluster", pictures, "--k", 3, "--out", out, *options)
    assert run.code == 0, run.err
    assert "cluster" in run.out and "24 images in 3 clusters" in run.out
    assert f"Report: {out / 'report.html'}" in run.out
    assert "Embedding 24 images" in run.err


def test_open_shows_the_report(pictures, options, tmp_path, monkeypatch):
    import webbrowser

    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda url: shown.append(url) or True)
    arguments = ["--k", 3, "--out", tmp_path / "out", *options, "--open"]
    assert vlclust("cluster", pictures, *arguments).code == 0
    assert shown == [(tmp_path / "out" / "report.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    run = vlclust("report", tmp_path / "out", "--open")
    assert run.code == 1 and "report.html" in run.err


def test_unreadable_images_are_listed_and_left_out(
    copy_of, pictures, options, tmp_path
):
    folder = copy_of(pictures)
    whole = (folder / "red" / "0.png").read_bytes()
    (folder / "red" / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    arguments = ["--k", 3, "--out", tmp_path / "out", *options]
    run = vlclust("cluster", folder, *arguments, "--json")
    assert run.code == 0
    assert run.json["n_images"] == 24
    reasons = {error["path"]: error["reason"] for error in run.json["errors"]}
    half, text = folder / "red" / "half.png", folder / "text.png"
    assert reasons.keys() == {str(half), str(text)}
    assert "truncated" in reasons[str(half)]
    assert any("text.png" in warning for warning in run.json["warnings"])
    table = read_csv(tmp_path / "out" / "left_out.csv")
    assert {row["path"]: row["reason"] for row in table} == reasons
    shown = vlclust("cluster", folder, *arguments)
    assert f"Left out: {half}: " in shown.out


def test_many_left_out_files_are_counted(copy_of, pictures, options, tmp_path):
    folder = copy_of(pictures)
    for i in range(25):
        (folder / f"{i:02d}.png").write_bytes(b"")
    run = vlclust("cluster", folder, "--k", 3, "--out", tmp_path / "out", *options)
    assert run.code == 0
    assert run.out.count("the file is empty (0 bytes)") == 10
    assert "15 more" in run.out
    assert len(read_csv(tmp_path / "out" / "left_out.csv")) == 25


def test_excluded_files_are_not_clustered(copy_of, pictures, options, tmp_path):
    folder = copy_of(pictures)
    (folder / "red" / "empty.png").write_bytes(b"")
    arguments = ["--k", 2, *options, "--json", "--exclude", "RED", "--exclude", "*/0.*"]
    run = vlclust("cluster", folder, "--out", tmp_path / "out", *arguments)
    assert run.code == 0
    names = [Path(image["path"]).relative_to(folder) for image in run.json["images"]]
    assert names and not [n for n in names if "red" in n.parts or n.stem == "0"]
    assert run.json["errors"] == []
    new = vlclust("predict", tmp_path / "out", folder, "--json", "--exclude", "re?")
    assert not [i for i in new.json["images"] if "/red/" in i["path"]]


def test_embeddings_are_kept(pictures, options, tmp_path, monkeypatch):
    from sklearn_vlclust import CLIPEmbedder

    cache = tmp_path / "cache"
    arguments = ["--k", 3, "--cache", cache, *options]
    assert vlclust("cluster", pictures, "--out", tmp_path / "a", *arguments).code == 0

    def fail(self, batch):
        raise AssertionError("an image was embedded twice")

    monkeypatch.setattr(CLIPEmbedder, "_encode_image_batch", fail)
    assert vlclust("cluster", pictures, "--out", tmp_path / "b", *arguments).code == 0
    run = vlclust("predict", tmp_path / "a", pictures, "--cache", cache, "--json")
    assert run.json["n_images"] == 24


def test_pictures_are_never_changed(copy_of, pictures, options, tmp_path):
    folder = copy_of(pictures)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.glob("*/*")}
    arguments = ["--k", 3, *options, "--copy"]
    for _ in range(2):  # the second run finds the output of the first in its input
        run = vlclust("cluster", folder, "--out", folder / "out", *arguments, "--json")
        assert run.code == 0 and run.json["n_images"] == 24
    # Another output folder is no input either; what was sorted into it can be one.
    run = vlclust("cluster", folder, "--out", tmp_path / "b", *arguments, "--json")
    assert run.json["n_images"] == 24
    sorted_folder = next((folder / "out" / "images").glob("0*"))
    part = ["cluster", sorted_folder, "--k", 2, "--out", tmp_path / "c", *options]
    assert vlclust(*part, "--json").json["n_images"] == 8
    for path, (content, modified) in before.items():
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, modified)


def test_the_default_folder_is_named_after_the_input(
    pictures, options, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run = vlclust("cluster", pictures, "--k", 3, *options, "--json")
    assert run.json["out"] == str(tmp_path / "photos-clusters")
    assert (tmp_path / "photos-clusters" / "report.html").is_file()

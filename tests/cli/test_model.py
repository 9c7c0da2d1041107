"""`predict`, `search` and `report` with the model of a run."""

import csv
import io
import shutil

import pytest
from PIL import Image

from sklearn_vlclust.persistence import load_model
from tests.cli.conftest import assigned, vlclust


def test_predict_gives_the_clusters_of_the_run(finished, pictures, tmp_path):
    for model in (finished.out, finished.out / "model"):
        run = vlclust("predict", model, pictures, "--json")
        assert run.code == 0, run.err
        assert assigned(run.json["images"]) == finished.json["images"]
    table = tmp_path / "table.csv"
    assert vlclust("predict", finished.out, pictures, "--out", table).out == ""
    with open(finished.out / "clusters.csv", newline="") as file:
        expected = list(csv.DictReader(file))
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert assigned(rows) == expected
    assert list(rows[0])[-2:] == ["nearest", "fit"]
    printed = vlclust("predict", finished.out, pictures)
    assert printed.stdout == table.read_bytes()


def test_predict_of_one_file(finished, pictures):
    run = vlclust("predict", finished.out, pictures / "red" / "0.png")
    rows = list(csv.DictReader(io.StringIO(run.out)))
    assert [row["path"] for row in rows] == [str(pictures / "red" / "0.png")]


def test_a_table_replaces_only_a_table(finished, pictures, tmp_path):
    table, picture = tmp_path / "table.csv", tmp_path / "holiday.png"
    shutil.copy(pictures / "red" / "0.png", picture)
    before = picture.read_bytes()
    arguments = ["predict", finished.out, pictures, "--out"]
    assert vlclust(*arguments, table).code == 0
    assert vlclust(*arguments, table).code == 3
    assert vlclust(*arguments, table, "--overwrite").code == 0
    run = vlclust(*arguments, picture, "--overwrite")
    assert run.code == 3 and picture.read_bytes() == before


def test_search_by_image(finished, pictures):
    query = pictures / "green" / "3.png"
    run = vlclust("search", finished.out, query, "-n", 5, "--json")
    assert run.code == 0, run.err
    results = run.json["results"]
    assert run.json["kind"] == "image" and len(results) == 5
    assert results[0]["path"] == str(query) and results[0]["distance"] < 1e-5
    assert {r["path"].split("/")[-2] for r in results} == {"green"}
    clusters = {row["path"]: row["cluster"] for row in finished.json["images"]}
    assert all(r["cluster"] == clusters[r["path"]] for r in results)
    assert str(query) in vlclust("search", finished.out, query).out


@pytest.mark.smoke
def test_search_by_text(finished, pictures, tmp_path, monkeypatch):
    run = vlclust("search", finished.out, "a red thing", "-n", 99, "--json")
    assert run.json["kind"] == "text" and len(run.json["results"]) == 24
    # What there is as a file is an image, unless --text says otherwise.
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save(tmp_path / "cat", "PNG")
    kinds = {
        option: vlclust("search", finished.out, "cat", *option, "--json").json["kind"]
        for option in [(), ("--text",), ("--image",)]
    }
    assert kinds == {(): "image", ("--text",): "text", ("--image",): "image"}
    run = vlclust("search", finished.out, "dog", "--image")
    assert run.code == 1 and "does not exist" in run.err


@pytest.mark.smoke
def test_report_anew(finished, tmp_path):
    out = shutil.copytree(finished.out, tmp_path / "out")
    expected = (out / "report.html").read_text()
    (out / "report.html").unlink()
    run = vlclust("report", out / "model", "--json")
    assert run.code == 0 and run.json["report"] == str(out / "report.html")
    assert (out / "report.html").read_text() == expected
    elsewhere = tmp_path / "elsewhere.html"
    assert vlclust("report", out, "--out", elsewhere).code == 0
    assert elsewhere.read_text() == expected
    picture = tmp_path / "holiday.png"
    picture.write_bytes(b"mine")
    run = vlclust("report", out, "--out", picture)
    assert run.code == 3 and picture.read_bytes() == b"mine"


def test_a_model_can_be_moved(finished, pictures, tmp_path):
    shutil.copytree(finished.out / "model", tmp_path / "moved")
    run = vlclust("predict", tmp_path / "moved", pictures, "--json")
    assert assigned(run.json["images"]) == finished.json["images"]


def test_no_model(tmp_path, pictures):
    for command in (["predict", tmp_path, pictures], ["search", tmp_path, "cat"]):
        run = vlclust(*command)
        assert run.code == 2 and "holds no model" in run.err


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}'])
def test_a_damaged_model(text, finished, pictures, tmp_path):
    out = shutil.copytree(finished.out, tmp_path / "out")
    (out / "model" / "model.json").write_text(text)
    run = vlclust("predict", out, pictures)
    assert run.code == 1 and "model.json" in run.err and run.err.count("\n") == 1


def test_another_encoder_in_the_place_of_the_old(pictures, words, tmp_path):
    from tests._open_clip import save_random_clip

    clip, out = save_random_clip(tmp_path / "clip"), tmp_path / "out"
    arguments = ["--k", 3, "--out", out, "--encoder", clip, "--words", words]
    assert vlclust("cluster", pictures, *arguments).code == 0
    save_random_clip(tmp_path / "clip", seed=1)
    for command in (["predict", out, pictures], ["search", out, "cat"]):
        run = vlclust(*command)
        assert run.code == 1 and "embedded by open_clip/clip" in run.err


def test_commands_follow_corrections(finished, pictures, copy_of):
    out = copy_of(finished.out)
    file = out / "model" / "estimator.safetensors"
    model = load_model(file).rename_clusters({0: "mine"}).merge_clusters([0, 1])
    model.save(file)
    run = vlclust("predict", out, pictures, "--json")
    assert run.code == 0, run.err
    found = [row["cluster"] for row in run.json["images"]]
    assert found == [row["cluster"] > 1 for row in finished.json["images"]]
    names = {row["name"] for row in run.json["images"] if row["cluster"] == 0}
    assert names == {"mine"}
    assert vlclust("report", out).code == 0
    assert "mine" in (out / "report.html").read_text()

"""`vlclust export`: files that other programs read."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from sklearn_vlclust import ImageSearch
from tests.cli.conftest import vlclust


def exported(finished, kind, target):
    run = vlclust("export", finished.out, "--to", kind, "--out", target, "--json")
    assert run.code == 0, run.err
    assert run.json["n_images"] == 24
    return target


def test_csv_is_the_table_of_the_run(finished, tmp_path):
    target = exported(finished, "csv", tmp_path / "table.csv")
    assert target.read_bytes() == (finished.out / "clusters.csv").read_bytes()
    run = vlclust("export", finished.out, "--to", "csv", "--out", target)
    assert run.code == 3 and "--overwrite" in run.err
    more = ["--out", target, "--overwrite"]
    assert vlclust("export", finished.out, "--to", "csv", *more).code == 0


def test_parquet_has_the_embeddings(finished, tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(exported(finished, "parquet", tmp_path / "a.parquet"))
    with open(finished.out / "clusters.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert frame["path"].to_list() == [row["path"] for row in rows]
    assert frame["cluster"].to_list() == [int(row["cluster"]) for row in rows]
    search = ImageSearch.load(finished.out / "model" / "search")
    np.testing.assert_array_equal(frame["embedding"].to_numpy(), search.embeddings[:])


def test_fiftyone_finds_pictures_and_labels(finished, tmp_path):
    folder = exported(finished, "fiftyone", tmp_path / "fiftyone")
    places = json.loads((folder / "data.json").read_text())
    labels = json.loads((folder / "labels.json").read_text())
    assert places.keys() == labels["labels"].keys() and len(places) == 24
    for name, label in labels["labels"].items():
        assert label["label"] in labels["classes"] and 0 <= label["confidence"] <= 1
        assert json.dumps(places[name]) and places[name].endswith(".png")
    assert len(labels["classes"]) == 3


def test_label_studio_accepts_the_predictions(finished, tmp_path):
    folder = exported(finished, "label-studio", tmp_path / "studio")
    tasks = json.loads((folder / "tasks.json").read_text())
    interface = ElementTree.parse(folder / "interface.xml").getroot()
    choices = {choice.get("value") for choice in interface.iter("Choice")}
    (names,) = interface.iter("Choices")
    assert len(tasks) == 24 and len(choices) == 3
    for task in tasks:
        assert task["data"]["image"].startswith("/data/local-files/?d=")
        (result,) = task["predictions"][0]["result"]
        assert result["from_name"] == names.get("name")
        assert result["to_name"] == names.get("toName")
        assert set(result["value"]["choices"]) <= choices


def test_only_what_is_finished(finished, tmp_path):
    import shutil

    out = shutil.copytree(finished.out, tmp_path / "out")
    (out / "model" / "result.json").unlink()
    run = vlclust("export", out, "--to", "csv")
    assert run.code == 2 and "run it again" in run.err
    assert vlclust("export", finished.out, "--to", "excel").code == 2

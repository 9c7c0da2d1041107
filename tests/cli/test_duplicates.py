"""Groups of copies on the command line."""

import csv
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.cli.conftest import vlclust


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, one of them three times, and a broken one."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i in range(12):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
        image.save(folder / f"{i:02d}.png")
    ImageOps.mirror(image).save(folder / "x mirrored.png")
    (folder / "y same.png").write_bytes((folder / "11.png").read_bytes())
    (folder / "z.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def test_groups_as_text_json_and_csv(folder, tmp_path):
    table = tmp_path / "pairs.csv"
    run = vlclust("duplicates", folder, "--encoder", "none", "--csv", table, "--json")
    assert run.code == 0, run.err
    names = ["11.png", "x mirrored.png", "y same.png"]
    assert run.json["groups"] == [[str(folder / name) for name in names]]
    assert run.json["n_images"] == 14
    reasons = {pair["other"]: pair["reason"] for pair in run.json["pairs"]}
    assert reasons == {
        str(folder / names[1]): "perceptual",
        str(folder / names[2]): "exact",
    }
    (left_out,) = run.json["errors"]
    assert left_out["path"] == str(folder / "z.png") and "z.png" in run.err
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["other"] for row in rows] == list(reasons)
    assert {row["path"] for row in rows} == {str(folder / "11.png")}

    run = vlclust("duplicates", folder, "--encoder", "none")
    assert "11.png, x mirrored.png, y same.png" in run.out
    assert "1 group of copies, 2 more pictures" in run.out
    assert len(os.listdir(folder)) == 15


def test_with_an_encoder(folder, tiny_clip):
    run = vlclust("duplicates", folder, "--encoder", tiny_clip, "--json")
    assert run.code == 0, run.err
    assert len(run.json["groups"]) == 1 and len(run.json["errors"]) == 1
    assert set(run.json["thresholds"]) == {"perceptual", "embedding"}


def test_tables_of_others_are_left_alone(folder, tmp_path):
    table = tmp_path / "pairs.csv"
    arguments = ["duplicates", folder, "--encoder", "none", "--csv", table]
    assert vlclust(*arguments).code == 0
    before = table.read_bytes()
    run = vlclust(*arguments)
    assert run.code != 0 and "--overwrite" in run.err
    assert vlclust(*arguments, "--overwrite").code == 0
    assert table.read_bytes() == before
    table.write_text("mine")
    run = vlclust(*arguments, "--overwrite")
    assert run.code != 0 and table.read_text() == "mine"
    assert f"--csv '{table}' is there and not" in run.err

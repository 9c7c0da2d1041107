"""Real photographs, with the offline encoder and nothing said about them."""

import os
from pathlib import Path

import pytest

from sklearn_vlclust.datasets import get_data_home
from sklearn_vlclust.metrics import clustering_accuracy
from tests.cli.conftest import vlclust

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("VLCLUST_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Every fourth of the 1,670 photographs, in one folder without their classes.

    All of them take more than a minute to embed.
    """
    source = DATA / "images" / "pacs_photo"
    if not source.is_dir():
        pytest.skip(f"no shared data: {source} is missing")
    folder = tmp_path_factory.mktemp("photos")
    classes = {}
    for i, path in enumerate(sorted(source.glob("*/*"))[::4]):
        (folder / f"{i:04d}.jpg").symlink_to(path)
        classes[str(folder / f"{i:04d}.jpg")] = path.parent.name
    return folder, classes


def test_classes_are_found(photos, tmp_path):
    folder, classes = photos
    out = tmp_path / "out"
    # The user's cache, for the next time
    encoder = ["--encoder", "offline", "--cache", get_data_home() / "embeddings"]
    run = vlclust("cluster", folder, "--out", out, *encoder, "--json")
    assert run.code == 0, run.err
    images = run.json["images"]
    assert len(images) == len(classes) == 418
    # Of 60 photographs per class, the number is known within a factor of 2.
    assert 4 <= run.json["n_clusters"] <= 14
    out = tmp_path / "seven"
    run = vlclust("cluster", folder, "--k", 7, "--out", out, *encoder, "--json")
    images = run.json["images"]
    accuracy = clustering_accuracy(
        [classes[row["path"]] for row in images], [row["cluster"] for row in images]
    )
    assert accuracy >= 0.9
    names = {name for cluster in run.json["clusters"] for name in cluster["names"]}
    assert {"guitar", "elephant", "horse", "person"} <= names
    found = vlclust("search", out, "a guitar", "-n", 20, "--json").json["results"]
    assert [classes[r["path"]] for r in found].count("guitar") >= 19

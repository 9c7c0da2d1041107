import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sklearn_vlclust.cli import app
from tests._open_clip import save_random_clip

COLORS = {"red": (200, 30, 30), "green": (30, 190, 40), "blue": (40, 40, 210)}


def vlclust(*arguments):
    """Run a command in this process.

    The result has `code`, `out` and `err` as text, `stdout` as bytes, and `json`, which
    is what the whole of stdout is, if that is JSON.
    """
    run = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if run.exception is not None and not isinstance(run.exception, SystemExit):
        raise run.exception
    result = SimpleNamespace(
        code=run.exit_code, out=run.stdout, err=run.stderr, stdout=run.stdout_bytes
    )
    if "--json" in arguments:
        result.json = json.loads(run.stdout)
    return result


def assigned(images):
    """Return rows of `predict` without what only new pictures have."""
    return [{k: row[k] for k in row if k not in ("nearest", "fit")} for row in images]


def save_picture(path, color, seed):
    """Write a noisy picture of one color, 32 pixels wide."""
    noise = np.random.default_rng(seed).integers(-30, 30, (32, 32, 3))
    pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    with open(path, "wb") as file:  # of any name
        Image.fromarray(pixels).save(file, "PNG")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The folder of embeddings that all runs share, in place of the user's."""
    folder = tmp_path_factory.mktemp("embeddings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLCLUST_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 24 pictures in three colors, a folder each."""
    folder = tmp_path_factory.mktemp("pictures") / "photos"
    for i, (name, color) in enumerate(COLORS.items()):
        (folder / name).mkdir(parents=True)
        for j in range(8):
            save_picture(folder / name / f"{j}.png", color, 10 * i + j)
    return folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """A folder with a CLIP model of random weights."""
    return save_random_clip(tmp_path_factory.mktemp("tiny_clip"))


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """A file of nouns, some of which a spreadsheet or a terminal would run."""
    file = tmp_path_factory.mktemp("words") / "nouns.txt"
    nouns = ["cat", "=1+1", "", "<b>bold</b>", "[red]dog[/red]", "a/../b", "\x1b[2Jbus"]
    file.write_text("\n".join(nouns) + "\n")
    return file


@pytest.fixture(scope="session")
def options(tiny_clip, words):
    """Options of a quick run."""
    return ["--encoder", tiny_clip, "--words", words]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, pictures, options):
    """The folder of a finished run in three clusters, and what it printed as JSON."""
    out = tmp_path_factory.mktemp("finished") / "out"
    run = vlclust("cluster", pictures, "--k", 3, "--out", out, *options, "--json")
    assert run.code == 0, run.err
    return SimpleNamespace(out=out, json=run.json, err=run.err)


@pytest.fixture
def copy_of(tmp_path):
    """Return a function that copies a folder to where a test may change it."""
    import shutil

    def copy(folder):
        return shutil.copytree(folder, tmp_path / os.path.basename(folder))

    return copy

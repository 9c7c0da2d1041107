"""The examples of the documentation run, each once, without a network."""

import importlib
import re
import runpy
import socket
import warnings
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "gallery").glob("*.py"))


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("gallery")


@pytest.fixture
def run(gallery, tmp_path, monkeypatch):
    """Return a function that runs an example in an empty folder."""

    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    def execute(path):
        if extras := gallery.missing_extras(path):
            pytest.skip(f"needs the extra {extras}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return runpy.run_path(str(path))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield execute
    mpl.pyplot.close("all")


# What the text of an example says of its result.
EXPECTED = {
    "plot_grid_search": lambda n: n["search"].best_params_["n_clusters"] == 6,
    "plot_name_clusters": lambda n: (
        set(n["captioner"].captions_) == {"daisy", "building"}
    ),
    "plot_own_folder": lambda n: n["saved"].read_text().count("<html") == 1,
    "plot_vl": lambda n: n["model"].n_clusters_ == 10,
    "plot_text_search": lambda n: list(n["indices"][:, 0]) == n["queries"],
    "plot_large_data": lambda n: len(n["labels"]) == 60_000,
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path, run):
    found = run(path)
    draws = re.search("Display|pyplot", path.read_text())
    assert bool(mpl.pyplot.get_fignums()) == bool(draws)
    assert EXPECTED.get(path.stem, lambda n: True)(found)


def test_all_are_shown_and_have_a_place(gallery):
    assert sorted(gallery.place(path.name) for path in EXAMPLES) == list(
        range(len(gallery.ORDER))
    )
    pattern = gallery.settings()["filename_pattern"]
    for path in EXAMPLES:
        shown = bool(re.search(pattern, str(path)))
        assert shown == (not gallery.missing_extras(path))


def test_what_is_missing_is_said_and_not_run(gallery, monkeypatch):
    monkeypatch.setattr(gallery, "find_spec", lambda package: None)
    generating = gallery.EXAMPLES / "plot_generative.py"
    assert gallery.missing_extras(generating) == ["generative"]
    assert not re.search(gallery.settings()["filename_pattern"], str(generating))
    source = ["text"]
    gallery.say_what_is_missing(None, "auto_examples/plot_generative", source)
    assert "was not run" in source[0] and '".[generative]"' in source[0]
    source = ["text"]
    gallery.say_what_is_missing(None, "auto_examples/plot_choose_k", source)
    assert source == ["text"]

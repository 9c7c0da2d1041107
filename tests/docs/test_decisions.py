"""The decision table and the pages of the papers follow from the results."""

import importlib
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("decision_table")


def write(folder, name, tables):
    report = {"command": f"python -m benchmarks {name}", "tables": tables}
    (folder / f"{name}.json").write_text(json.dumps(report))


def row(what, acc, spread=1.0, **more):
    return {"what": what, "ACC": acc, "ACC_std": spread, "seconds": acc / 10, **more}


@pytest.fixture
def results(tmp_path):
    """Made-up results: words cover `a` and not `b`."""
    for name, what, values in (
        ("accuracy", "MCAClustering()", (90.0, 50.0)),
        ("rate_reduction", "RateReductionClustering()", (70.0, 60.0)),
        ("masked_embeddings", "ContrastiveMaskedClustering()", (60.0, 59.5)),
    ):
        tables = {}
        for data, value, weight in zip(("a: x", "b: y"), values, (0.9, 0.1)):
            more = {"semantic_weight": [weight]} if name == "accuracy" else {}
            tables[data] = [row("k-means", 40.0), row(what, value, **more)]
        write(tmp_path, name, tables)
    return tmp_path


def test_who_is_within_the_spread_of_the_best(table):
    figures = {"a": (50.0, 1.0), "b": (48.0, 2.5), "c": (48.0, 1.0), "d": (49.0, 0.0)}
    assert table.choose(figures) == ["a", "b", "d"]


def test_the_choice_follows_the_results(table, results):
    covered, uncovered, wordless, quick = table.decisions(results)
    assert covered["take"] == ":class:`~sklearn_vlclust.MCAClustering`"
    assert covered["measured"].startswith("ACC on a: MCAClustering 90.0, Rate")
    assert "RateReduction" in uncovered["take"] and "Masked" in uncovered["take"]
    assert "MCA" not in wordless["measured"]
    assert "RateReductionClustering 65.0" in wordless["measured"]
    assert "ContrastiveMasked" in quick["take"]


def test_the_default_is_compared_where_it_was_measured(table, results):
    quartered = "a: 9 images, every second class quartered"
    tables = {"means": [{"what": "full sets", "VLClustering()": 95.0}]}
    for title, value in (("a: x", 95.0), ("b: y", 55.0), (quartered, 80.0)):
        tables[title] = [row("VLClustering()", value), row("k-means", 40.0)]
    write(results, "vl", tables)
    covered, _, wordless, uneven, _ = table.decisions(results)
    assert covered["take"] == ":class:`~sklearn_vlclust.VLClustering`"
    assert "VLClustering" not in wordless["measured"]
    assert "class quartered, mean of a: VLClustering 80.0" in uneven["measured"]
    page = table.uneven_tables(results)
    assert page.count(".. list-table::") == 1 and quartered in page


def test_pages_are_written_with_and_without_results(table, results, tmp_path):
    table.write_pages(tmp_path / "build", results)
    page = (tmp_path / "build" / "decision.inc").read_text()
    assert page.count("   * - ") == 5
    paper = (tmp_path / "build" / "paper_cpp.inc").read_text()
    assert ".. list-table:: a: x" in paper and "RateReductionClustering\n" in paper
    rows = [
        {"what": what, "choices": 3, "ACC": 61.5, "loss": 0.5, "bar": "loss <= 1"}
        for what in ("learned_information", "learned_information, n_folds=2")
    ]
    tables = {"methods, all": rows, "methods, a": rows, "numbers of clusters": rows}
    write(results, "choosing", tables)
    table.write_pages(tmp_path / "build", results)
    choosing = (tmp_path / "build" / "choosing.inc").read_text()
    assert choosing.count("- learned_information") == choosing.count("61.5") == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    table.write_pages(tmp_path / "build", empty)
    papers = [f"paper_{paper}" for paper in table.PAPERS]
    for name in ("decision", "choosing", "uneven", *papers):
        assert "No results" in (tmp_path / "build" / f"{name}.inc").read_text()


def test_what_is_committed_has_all_rows(table):
    records = table.decisions()
    assert len(records) >= 10 and all(record["take"] for record in records)

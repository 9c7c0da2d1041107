"""Plots and the cost model of the documentation follow from the results."""

import importlib
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PROCESSOR = {"processor": "a processor", "cores": 2}


@pytest.fixture
def docs(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module


def write(folder, name, tables, machine=PROCESSOR):
    report = {"command": f"bench {name}", "machine": machine, "tables": tables}
    (folder / f"{name}.json").write_text(json.dumps(report))


@pytest.fixture
def results(tmp_path):
    """Results of made-up machines, on which each row takes a second of a core."""
    folder = tmp_path / "results"
    folder.mkdir()
    peers = [
        {"what": what, "ACC": 50.0, "ACC_std": 1.0, "seconds": 2.0}
        for what in ("KMeans(n_init=10)", "MCAClustering", "MCAClustering, no words")
    ]
    write(folder, "peers", {"pets: 37 classes": peers, "cars: 196 classes": peers})
    fits = [
        {
            "rows": n,
            "fit_us_a_row": 1e6 * factor,
            "epoch_us_a_row": 1e4,
            "beyond_X_gib": factor,
        }
        for n, factor in ((3600, 1.0), (36_000, 2.0))
    ]
    predicts = [
        {"what": what, "rows": n, "us_a_row": 1e6, "beyond_X_gib": 0.5}
        for n in (3600, 36_000)
        for what in ("MCAClustering", "RateReductionClustering")
    ]
    write(folder, "scaling", {"fit": fits, "predict": predicts})
    rows = [{"images_a_second": 2.0, "core_ms_an_image": 1000.0}]
    write(folder, "gpu-quick", {"ViT-B-32, fp32, JPEGs of 320 px, cpu": rows})
    write(
        folder,
        "gpu",
        {"ViT-B-32, bf16, JPEGs of 320 px, cuda": rows},
        PROCESSOR | {"gpu": "a GPU"},
    )
    return folder


def test_cost_is_that_of_what_was_measured(docs, results):
    records = docs("cost_table").cost(36_000, 0.1, 10.0, results)
    slow, fast, fit, predict, total = records
    assert (slow["hardware"], fast["hardware"]) == ("a core of a processor", "a GPU")
    assert (slow["hours"], fast["hours"]) == pytest.approx((10, 5))
    assert (slow["dollars"], fast["dollars"]) == pytest.approx((1, 50))
    assert (fit["rows"], fit["hours"], fit["memory GiB"]) == (36_000, 20, 2)
    assert predict["hours"] == pytest.approx(10)
    assert total["dollars"] == pytest.approx(1 + 2 + 1)


def test_a_fit_of_more_rows_than_were_measured_is_one_of_a_sample(docs, results):
    *_, fit, predict, _ = docs("cost_table").cost(360_000, results=results)
    assert (fit["rows"], predict["rows"]) == (36_000, 360_000)
    assert fit["step"] == "fit MCAClustering on a sample"
    assert predict["hours"] == pytest.approx(100)


def test_the_cost_page_names_hardware_sources_and_prices(docs, results):
    page = docs("cost_table").describe(results, gpu_hour=2.5)
    assert page.count(".. list-table:: ") == 2 and "100,000,000 images" in page
    assert "a core of a processor" in page and "``bench gpu``" in page
    assert "$0.05 an hour of a core, $2.5 an hour of a GPU" in page


def test_without_results_nothing_is_made_up(docs, tmp_path):
    assert docs("cost_table").cost(1000, results=tmp_path) == []
    assert "No results" in docs("cost_table").describe(tmp_path)
    assert docs("results_plot").draw_peers(tmp_path) is None
    assert docs("results_plot").draw_scaling(tmp_path) is None


def test_plots_are_drawn_for_light_and_dark_pages(docs, results, tmp_path):
    plots = docs("results_plot")
    for name in plots.SHOWN:
        (results / f"{name}.json").symlink_to(plots.RESULTS / f"{name}.json")
    build = tmp_path / "docs" / "_build"
    plots.write_plots(build / "plots", build / "plots.inc", results)
    names = [f"{p}-{t}.svg" for p in plots.PLOTS for t in plots.THEMES]
    assert sorted(p.name for p in (build / "plots").iterdir()) == sorted(names)
    page = (build / "plots.inc").read_text()
    for name in names:
        assert f".. image:: _build/plots/{name}\n   :alt: " in page
        text = (build / "plots" / name).read_text()
        ElementTree.fromstring(text)
        color = plots.THEMES["dark" if "dark" in name else "light"]
        other = plots.THEMES["light" if "dark" in name else "dark"]
        assert color in text and other not in text
    assert page.count(":class: only-dark") == len(plots.PLOTS)


def test_points_are_those_of_the_results(docs, results):
    left, right = docs("results_plot").draw_scaling(results).axes
    assert [line.get_label() for line in left.lines] == ["default fit", "an epoch"]
    assert left.lines[0].get_xydata().tolist() == [[3600, 1e6], [36_000, 2e6]]
    assert len(right.lines) == 2
    panels = docs("results_plot").draw_peers(results).axes
    assert [ax.get_title() for ax in panels] == ["pets", "cars"]

"""What the README and the documentation point to is there."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs._public import public_objects

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load_results_table():
    spec = importlib.util.spec_from_file_location(
        "results_table", ROOT / "docs" / "results_table.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_of_the_readme():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "//" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_commands_of_the_readme():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    commands = set(re.findall(r"(?:^|`)make ([\w-]+)", README, re.M))
    assert {"install", "demo", "test", "bench", "docs"} <= commands <= targets


def test_the_picture_is_small():
    assert (ROOT / "docs/_static/contact_sheet.png").stat().st_size < 300_000


@pytest.mark.parametrize("name", public_objects())
def test_every_public_name_is_in_the_reference(name):
    index = (ROOT / "docs/api/index.rst").read_text()
    short = name.removeprefix("sklearn_vlclust.").removeprefix("cluster.")
    places = {short, short.rpartition(".")[2]}
    assert places & set(re.findall(r"^   ([\w.]+)$", index, re.M))


def test_results_become_tables(tmp_path):
    table = load_results_table()
    methods = "k-means", "Ward", "spectral, kNN", "k-means, [image; text]"
    rows = [{"what": what, "ACC": 40.0 + i} for i, what in enumerate(methods)]
    mca = {"what": "MCAClustering()", "ACC": 50.25, "ACC_std": 0.5}
    rows.append({**mca, "semantic_weight": [0.5, 1.0]})
    report = {"command": "python -m benchmarks", "tables": {"pets: 37 classes": rows}}
    results, readme = tmp_path / "accuracy.json", tmp_path / "README.md"
    results.write_text(json.dumps(report))
    cpp = {"what": "RateReductionClustering()", "ACC": 47.0, "ACC_std": 0.25}
    report = {"tables": {"pets: 37 classes": [cpp]}}
    (tmp_path / "rate_reduction.json").write_text(json.dumps(report))
    pici = {"what": "ContrastiveMaskedClustering()", "ACC": 48.0, "ACC_std": 0.3}
    report = {"tables": {"pets: 37 classes": [pici]}}
    (tmp_path / "masked_embeddings.json").write_text(json.dumps(report))
    gcc = {"what": "GenerativeCalibrationClustering()", "ACC": 49.0, "ACC_std": 0.4}
    report = {"tables": {"pets: 37 classes": [gcc]}}
    (tmp_path / "generative_embeddings.json").write_text(json.dumps(report))
    readme.write_text(README)
    table.renew_readme(readme, tmp_path)
    ours = "47.0 ± 0.2 | 48.0 ± 0.3 | 49.0 ± 0.4"
    row = f"| pets: 37 classes | 40.0 | 42.0 | {ours} | 43.0 | 50.2 ± 0.5 | 0.75 |"
    assert f"| --- |\n{row}\n<!-- results:end -->" in readme.read_text()
    outside = re.compile("<!-- results:start -->.*<!-- results:end -->", re.DOTALL)
    assert outside.split(readme.read_text()) == outside.split(README)
    vl = {**mca, "what": "VLClustering()", "ACC": 51.0, "semantic_weight": [1.0]}
    report = {"tables": {"pets: 37 classes": [vl], "means": [{"what": "all"}]}}
    (tmp_path / "vl.json").write_text(json.dumps(report))
    table.renew_readme(readme, tmp_path)
    row = f"| 51.0 ± 0.5 | 40.0 | 42.0 | {ours} | 43.0 | 50.2 ± 0.5 | 1.00 |"
    assert f"| pets: 37 classes {row}" in readme.read_text()
    page = table.restructured(results)
    assert page.startswith("Accuracy\n--------\n")
    assert ".. list-table:: pets: 37 classes\n" in page and "     - 42\n" in page


def test_the_documentation_builds_without_warnings(tmp_path):
    for package in ("sphinx", "numpydoc", "pydata_sphinx_theme", "sphinx_gallery"):
        pytest.importorskip(package, reason="needs the extra 'docs'")
    ignore = shutil.ignore_patterns("_build", "auto_examples", "generated")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=ignore)
    for name in ("benchmarks", "examples", "sklearn_vlclust"):
        (tmp_path / name).symlink_to(ROOT / name)
    # tests/examples/test_gallery.py runs the examples.
    gallery = ["-D", "plot_gallery=0"]
    command = ["-m", "sphinx", "-q", "-W", "--keep-going", *gallery, "docs", "html"]
    run = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "<math" in (tmp_path / "html" / "guide" / "mca.html").read_text()

"""Type checkers and editors see the names that are imported lazily, and their types."""

import inspect
import os
import re
import subprocess
import sys
from inspect import getattr_static
from pathlib import Path

import pytest

import sklearn_vlclust
from tests.docs._public import ROOMS, public_methods, public_objects

ROOT = Path(sklearn_vlclust.__file__).parents[1]
# Only this library and NumPy are read: torch and scikit-learn would take minutes.
SETTINGS = """
[mypy]
follow_imports = skip
ignore_missing_imports = true
[mypy-sklearn_vlclust.*]
follow_imports = silent
[mypy-numpy.*]
follow_imports = silent
"""
CLASSES = [
    name
    for name in sklearn_vlclust.__all__
    if isinstance(getattr(sklearn_vlclust, name), type)
]
MODULES = sorted({*sklearn_vlclust.__all__} - {*CLASSES, "__version__"})
SCRIPT = """
from pathlib import Path
import numpy as np
from sklearn_vlclust import (
    CLIPEmbedder, ClusterCaptioner, CodingLengthKSelector, ImageSearch, MCAClustering,
    SemanticSpace, VLClustering
)
from sklearn_vlclust.metrics import clustering_accuracy, match_clusters
from sklearn_vlclust.plotting import ClusterReport, ContactSheetDisplay

class Watch:
    def on_epoch_end(self, estimator: object, epoch: int, losses: dict) -> None: ...

X = np.eye(4)
paths = [Path("a.jpg"), Path("b.jpg")]
labels: np.ndarray = MCAClustering(3).fit_predict(X)
MCAClustering("auto", semantic_space=["cat", "dog"], embedder=CLIPEmbedder())
MCAClustering(np.int64(3), lr=np.float32(0.1), checkpoint=Path("c"), random_state=0)
VLClustering(callbacks=[Watch()], semantic_space=SemanticSpace()).fit(paths)
VLClustering().fit("folder").set_n_clusters(3).save(Path("model"))
reveal_type(MCAClustering().fit(X))
reveal_type(MCAClustering().fit(X).attention(X)[1])
reveal_type(MCAClustering.load("model"))
reveal_type(MCAClustering().fit(X).labels_)
reveal_type(CodingLengthKSelector(k_range=(2, 9)).fit(X))
reveal_type(ClusterCaptioner(embedder=CLIPEmbedder()).fit(X, labels).caption([0]))
reveal_type(ImageSearch().fit(paths, paths=paths).kneighbors_text(["a cat"])[0])
reveal_type(clustering_accuracy(["cat", "dog"], labels))
reveal_type(ContactSheetDisplay.from_estimator(MCAClustering(), paths))
reveal_type(ClusterReport.from_estimator(MCAClustering(), paths).save("report.html"))
"""
TYPES = [
    *["MCAClustering", "ndarray", "MCAClustering", "ndarray", "CodingLengthKSelector"],
    *["ndarray", "ndarray", "float", "ContactSheetDisplay", "Path"],
]
# A wrong call, and what the message names.
MISTAKES = {
    "MCAClustering(clusters=3)": '"clusters"',
    'MCAClustering("many")': "many",
    'MCAClustering(start="round")': "round",
    "MCAClustering(callbacks=[print])": "Callback",
    "VLClustering().fit()": '"X"',
    "VLClustering(embedder=3)": "Transformer",
    "CLIPEmbedder().encode_texts(3)": "int",
    "match_clusters(labels)": '"labels_pred"',
    "ClusterReport.from_estimator(MCAClustering(), paths).export()": '"export"',
    "names: str = MCAClustering(3).fit_predict(X)": "ndarray",
}


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Return a function that has mypy read a script and gives its messages."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "mypy.ini").write_text(SETTINGS)

    def run(script):
        return subprocess.run(
            [sys.executable, "-m", "mypy", "-c", script],
            cwd=folder,
            env={**os.environ, "MYPYPATH": str(ROOT)},
            capture_output=True,
            text=True,
        ).stdout

    return run


def test_mypy_resolves_lazy_names(check):
    lines = [f"from sklearn_vlclust import {', '.join(CLASSES + MODULES)}"]
    lines += [f"def f{i}(x: {name}): reveal_type(x)" for i, name in enumerate(CLASSES)]
    lines += [f"reveal_type({name}.__doc__)" for name in MODULES]
    messages = check("\n".join(lines))
    assert "error" not in messages
    revealed = re.findall(r'Revealed type is "(.*)"', messages)
    assert [text.rpartition(".")[2] for text in revealed[: len(CLASSES)]] == CLASSES
    assert len(revealed) == len(CLASSES + MODULES)


def test_a_script_gets_types(check):
    revealed = re.findall(r'Revealed type is "([\w.]+)', check(SCRIPT))
    assert [text.rpartition(".")[2] for text in revealed] == TYPES


def test_mistakes_in_a_script_are_found(check):
    messages = check(SCRIPT + "\n".join(MISTAKES))
    errors = re.findall(r"<string>:(\d+): error: (.*)", messages)
    first = len(SCRIPT.splitlines()) + 1
    assert [int(line) - first for line, _ in errors] == list(range(len(MISTAKES)))
    for (_, text), word in zip(errors, MISTAKES.values()):
        assert word in text


def signatures():
    """Return the public functions and methods by name."""
    for name, thing in public_objects((*ROOMS, "training")).items():
        found = {name: thing} if inspect.isfunction(thing) else {}
        if inspect.isclass(thing):
            names = [*public_methods(name, thing), f"{name}.__init__"]
            found = {n: getattr_static(thing, n.rpartition(".")[2]) for n in names}
        for full_name, member in found.items():
            member = getattr(member, "fget", getattr(member, "__func__", member))
            if getattr(member, "__module__", "").startswith("sklearn_vlclust"):
                yield full_name, inspect.signature(member)


def test_all_of_the_public_signatures_have_types():
    missing, found = [], dict(signatures())
    assert len(found) > 100
    for name, signature in found.items():
        types = {p.name: p.annotation for p in signature.parameters.values()}
        types["return"] = signature.return_annotation
        bare = [n for n, t in types.items() if t is inspect.Parameter.empty]
        missing += [f"{name}: {n}" for n in bare if n not in ("self", "cls")]
    assert missing == []


def test_the_package_says_that_it_has_types():
    assert (ROOT / "sklearn_vlclust" / "py.typed").is_file()

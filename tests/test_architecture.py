"""The rooms of the library, and what importing it costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_vlclust

PACKAGE = Path(sklearn_vlclust.__file__).parent
# In the order data flows; a room may use those above it.
ROOMS = [
    "_backend",
    "data",
    "metrics",
    "persistence",
    "training",
    "datasets",
    "embedding",
    "neighbors",
    "semantics",
    "cluster",
    "model_selection",
    "plotting",
    "cli",
]
FOR_ALL = {"_compat", "_docs", "_exports", "_typing", "_version"}
# The tests that read names with an underscore, and why: ten at most. All others read
# what users or methods read.
READ_PRIVATE_NAMES = {
    "cluster/test_device_waits.py": "copies that do not make a GPU wait",
    "cli/test_prepared_folders.py": "lists of sorted images that somebody has changed",
    "docs/test_shared_entries.py": "texts that docstrings share",
    "embedding/test_cache.py": "damage to the file of a cache, between two reads of it",
    "metrics/test_coding_rate.py": "three forms of one equation, chosen by the device",
    "persistence/test_damage.py": "damage to files, and files whole or absent",
    "persistence/test_model_files.py": "names in files, which code may not change",
    "semantics/test_noun_cache.py": "a cache of few nouns, whose writers are killed",
    "training/test_products.py": "products that look the same, made another way",
}
METHODS = ["vl", "mca", "rate_reduction", "contrastive_masked", "generative"]


def used_rooms(path):
    """Rooms of this library that a file imports, at any place in it."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [*base, *(node.module or "").split(".")]
            rooms = [names[1]] if len(names) > 1 and names[1] else []
            rooms = rooms or [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".")
            rooms = parts[1:2] if parts[0] == "sklearn_vlclust" else []
        else:
            continue
        yield from rooms


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.glob("*/**/*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_imports_point_up(path):
    room = path.relative_to(PACKAGE).parts[0]
    used = set(used_rooms(path)) - {room} - FOR_ALL
    assert used <= set(ROOMS[: ROOMS.index(room)])


@pytest.mark.parametrize("method", METHODS)
def test_methods_know_nothing_of_each_other(method):
    for path in (PACKAGE / "cluster" / method).glob("*.py"):
        text = path.read_text()
        others = [name for name in METHODS if re.search(rf"import.*\b{name}\b", text)]
        others += [name for name in METHODS if f"from ..{name}" in text]
        assert set(others) <= {method}, path


def private_names(path):
    """Yield names with an underscore that a test imports from this library."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Code that another process runs, or a name for `monkeypatch`.
            names = re.findall(r"sklearn_vlclust(?:\.\w+)+", node.value)
        else:
            continue
        for name in names:
            if name.startswith("sklearn_vlclust") and re.search(r"\._(?!_)", name):
                yield name


def test_tests_read_public_names():
    tests = Path(__file__).parent
    files = {str(path.relative_to(tests)) for path in tests.rglob("*.py")}
    found = {file for file in files if any(private_names(tests / file))}
    assert found == set(READ_PRIVATE_NAMES)
    assert len(found) <= 10


@pytest.mark.parametrize(
    "statement",
    [
        "import sklearn_vlclust",
        "from sklearn_vlclust import MCAClustering, SemanticSpace, CLIPEmbedder",
        "import sklearn_vlclust.datasets, sklearn_vlclust.metrics",
    ],
)
def test_import_is_light(statement):
    heavy = ["torchvision", "open_clip", "nltk", "faiss", "matplotlib", "transformers"]
    heavy += ["dask", "distributed"]
    code = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_public_names():
    for name in sklearn_vlclust.__all__:
        assert getattr(sklearn_vlclust, name) is not None
    assert set(sklearn_vlclust.__all__) <= set(dir(sklearn_vlclust))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sklearn_vlclust.Nothing  # noqa: B018


def test_files_that_contributors_are_sent_to_exist():
    guide = PACKAGE.parent / "CONTRIBUTING.md"
    if not guide.is_file():
        pytest.skip("not in a clone")
    named = set(re.findall(r"`([\w/]+/\w+\.py)`", guide.read_text()))
    named = {name for name in named if not re.search("nearest|mine", name)}
    assert named
    roots = PACKAGE.parent, PACKAGE
    assert not [name for name in named if not any((r / name).exists() for r in roots)]

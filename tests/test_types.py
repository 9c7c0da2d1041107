"""Type checkers and editors see the names that are imported lazily."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_vlclust

ROOT = Path(sklearn_vlclust.__file__).parents[1]
# Only this library is read: torch and scikit-learn would take minutes.
SETTINGS = """
[mypy]
follow_imports = skip
ignore_missing_imports = true
[mypy-sklearn_vlclust.*]
follow_imports = silent
"""
CLASSES = [
    name
    for name in sklearn_vlclust.__all__
    if isinstance(getattr(sklearn_vlclust, name), type)
]
MODULES = sorted({*sklearn_vlclust.__all__} - {*CLASSES, "__version__"})


def test_mypy_resolves_lazy_names(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    lines = [f"from sklearn_vlclust import {', '.join(CLASSES + MODULES)}"]
    lines += [f"reveal_type({name})" for name in CLASSES]
    lines += [f"reveal_type({name}.__doc__)" for name in MODULES]
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini"]
    done = subprocess.run(
        [*command, "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    found = [text.rpartition(" -> ")[2].rpartition(".")[2] for text in revealed]
    assert found[: len(CLASSES)] == CLASSES
    assert len(revealed) == len(CLASSES + MODULES)


def test_the_package_says_that_it_has_types():
    assert (ROOT / "sklearn_vlclust" / "py.typed").is_file()

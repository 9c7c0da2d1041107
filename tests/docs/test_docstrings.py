"""Examples in docstrings run, and docstrings keep the numpydoc checks."""

import doctest
import re
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

from tests.docs._public import public_methods, public_objects

ROOT = Path(__file__).parents[2]
OBJECTS = public_objects()
NAMES = [
    n for name, thing in OBJECTS.items() for n in (name, *public_methods(name, thing))
]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
SETTINGS = SETTINGS["numpydoc_validation"]


def examples():
    """Return the docstrings that have examples, by name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = {}
    for name, thing in OBJECTS.items():
        for test in finder.find(thing, name):
            if test.examples:
                tests[test.name] = test
    return tests


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    result = runner.run(EXAMPLES[name], out=report.append)
    assert not result.failed, "".join(report)


def test_the_main_classes_have_examples():
    with_examples = {name.rpartition(".")[2] for name in EXAMPLES}
    main = {"MCAClustering", "SemanticSpace", "Vocabulary", "CLIPEmbedder"}
    assert main <= with_examples


@pytest.mark.parametrize("name", NAMES)
def test_numpydoc(name):
    if any(re.search(pattern, name) for pattern in SETTINGS["exclude"]):
        pytest.skip("excluded in pyproject.toml")
    errors = [
        f"{code}: {message}"
        for code, message in validate(name)["errors"]
        if code in SETTINGS["checks"]
    ]
    assert not errors

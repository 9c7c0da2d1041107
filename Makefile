# The project's commands. PYTHON picks the interpreter of a fresh install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export VLCLUST_TEST_DATA ?= $(abspath ../shared/data)

# The lowest versions that pyproject.toml allows, in an environment of their own.
LOWEST := .venv-lowest
# What `pip install` of the built wheel makes of an empty environment.
WHEEL := .venv-wheel

.PHONY: install demo test test-lowest test-wheel lint bench bench-full docs clean

install: $(VENV)/.installed

# uv resolves and unpacks torch in seconds; without it pip does the same in minutes.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip uv
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --editable ".[test,docs]"
	$(BIN)/python -m sklearn_vlclust.datasets wordnet
	touch $@

# make demo IMAGES=folder K=7
# Values as they were typed: neither make nor the shell reads `$` and quotes in them.
unexport IMAGES K
export DEMO_IMAGES := $(value IMAGES)
export DEMO_K := $(value K)
demo: install
	$(BIN)/python examples/demo.py $${DEMO_K:+"--n-clusters=$$DEMO_K"} -- $${DEMO_IMAGES:+"$$DEMO_IMAGES"}

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two processes of one thread each: with two threads each they would wait for each other.
test: install lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q

$(LOWEST)/.installed: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/python -m uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable ".[test]"
	touch $@

# Once per release: see CONTRIBUTING.md.
test-lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -m smoke -q

# Builds sdist and wheel, and clusters pictures by the wheel alone, as a user would.
test-wheel: $(VENV)/.installed
	rm -rf dist
	$(BIN)/python -m uv build --quiet --out-dir dist
	$(BIN)/python -m uv venv --quiet --clear --python $(BIN)/python $(WHEEL)
	$(BIN)/python -m uv pip install --quiet --python $(WHEEL)/bin/python dist/*.whl
	$(BIN)/python -m uv pip check --python $(WHEEL)/bin/python
	$(WHEEL)/bin/python -P tests/check_wheel.py dist

# The peers that benchmarks are run beside.
$(VENV)/.peers: $(VENV)/.installed
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --editable ".[bench]"
	touch $@

bench: $(VENV)/.peers
	$(BIN)/python -m benchmarks --quick

bench-full: $(VENV)/.peers
	$(BIN)/python -m benchmarks

docs: install
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) $(LOWEST) $(WHEEL) build dist docs/_build docs/auto_examples demo-output *.egg-info

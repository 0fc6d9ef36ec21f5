# `make demo` and `make test` do all the set-up they need; only Python 3.11 or newer and make must be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Versions come from requirements.lock; `make LATEST=1 ...` takes the newest that pip finds instead.
LOCK := $(if $(LATEST),,-c requirements.lock)

.PHONY: setup dev demo test test-long acceptance bench lint types docs lock clean

setup: $(VENV)/.ready

# What is imported is compiled then, and kept; what never is, is not, which saves a tenth of the space.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(LOCK)

$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "czbenchmarks needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Setting up $(VENV): about a minute, 0.8 GB."
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -e .
	@touch $@

dev: $(VENV)/.dev

$(VENV)/.dev: $(VENV)/.ready
	@echo "Adding the tools of development."
	@$(INSTALL) -e '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/czbenchmarks demo -o demo

# TESTS="tests/cli tests/results" for some of them.
test: dev
	$(BIN)/python -m pytest -n auto -m "not long" $(TESTS)

test-long: dev
	$(BIN)/python -m pytest -m long

# What the documents promise, checked row by row; ROW=client for one of them.
acceptance: dev
	@$(BIN)/python tests/acceptance/runner.py $(ROW)

# Time and memory of every kernel and task; ONLY=silhouette for some of them.
SIZES ?= 1000 5000 20000
bench: dev
	$(BIN)/python -m pytest benchmarks/bench.py -p no:xdist -p no:cacheprovider --benchmark-quiet --sizes $(SIZES) $(if $(ONLY),-k "$(ONLY)")

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

docs: dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python -m pytest -n auto tests/docs -m long
	@echo "The site is in docs/_build/html/index.html."

lock: dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev pyproject.toml --upgrade \
	    --output-file requirements.lock --no-header --no-annotate

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# `make demo` and `make test` do all the set-up they need; only Python 3.11 or newer and make must be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Versions come from requirements.lock; `make LATEST=1 ...` takes the newest that pip finds instead.
LOCK := $(if $(LATEST),,-c requirements.lock)

.PHONY: setup demo test test-long lint types docs lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "czbenchmarks needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Setting up $(VENV): one or two minutes, about 1 GB."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCK) -e '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup
	$(BIN)/python -m pytest -n auto -m "not long"

test-long: setup
	$(BIN)/python -m pytest -m long

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m pytest --doctest-glob='*.md' README.md CONTRIBUTING.md docs

lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev pyproject.toml --upgrade \
	    --output-file requirements.lock --no-header --no-annotate

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

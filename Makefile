# `make demo` and `make test` work on a bare machine: Python 3.11, pip and a C compiler.
# pip's own settings apply (pip.conf, PIP_INDEX_URL, PIP_EXTRA_INDEX_URL ...), so a mirror or a CPU build of torch needs no change here.

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RECIPE ?= quickstart-lstm
WORKERS ?= auto
PYTEST_ARGS ?=
VERSION ?=
RELEASE_ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 4

.PHONY: help install demo test slow lint types format docs notebooks wheel check-wheel check-runtime release clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## a virtual environment (.venv), with the tested versions

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no python3.11 or python3 on this machine: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nmt needs Python 3.11 or later; this is " + sys.version)'
	@echo "installing into $(VENV) (torch is large: some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED) ## train, translate and score the quickstart (Korean to English, minutes on two cores)
	@$(BIN)/nmt run $(RECIPE)
	@command -v nmt >/dev/null || echo "For these commands, first: . $(BIN)/activate"

test: $(INSTALLED) ## the tests that belong to every change
	@$(PYTEST) $(PYTEST_ARGS)

slow: $(INSTALLED) ## the tests that take minutes (.ci/run: without real corpora, with 2,000 mutations)
	@$(PYTEST) -m slow $(PYTEST_ARGS)

lint: $(INSTALLED) ## ruff: rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

types: $(INSTALLED) ## mypy --strict
	@$(BIN)/mypy --strict nmt benchmarks .ci/release.py
	@$(BIN)/mypy --strict --platform win32 --no-warn-unreachable nmt

format: $(INSTALLED) ## put the code into the house's format
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

docs: $(INSTALLED) ## the site of the documentation, build/site; warnings are errors
	@$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/doctrees . build/site
	@echo build/site/index.html

notebooks: $(INSTALLED) ## the chapters of the tutorial as notebooks, build/notebooks
	@$(BIN)/python docs/notebooks.py build/notebooks

wheel: $(INSTALLED) ## dist/recurrent_nmt-*.whl
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	@ls dist/recurrent_nmt-*.whl

# Installed beside no checkout, the wheel must find its recipes and its corpus in itself.
check-wheel: wheel ## install the wheel elsewhere and use it there
	@set -e; away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; python="$$(pwd)/$(BIN)/python"; \
	$$python -m pip install --quiet --disable-pip-version-check --no-deps --target "$$away/site" dist/recurrent_nmt-*.whl; \
	cd "$$away"; export PYTHONPATH="$$away/site"; \
	$$python -c "import nmt, sys; sys.exit(not nmt.__file__.startswith('$$away/site') and 'not the wheel: ' + nmt.__file__)"; \
	$$python -m nmt recipes ls | grep -q quickstart-lstm; \
	$$python -m nmt corpus check phrasebook; \
	echo "the wheel works away from the checkout"

# The environment has what requirements-runtime.txt names and no more; torch is not in it.
check-runtime: wheel ## translate with an exported model in an environment without torch
	@set -e; away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; tests="$$(pwd)/tests/compatibility/v0.1"; \
	$(BIN)/python -m venv "$$away"; python="$$away/bin/python"; \
	$$python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-runtime.txt; \
	$$python -m pip install --quiet --disable-pip-version-check --no-deps dist/recurrent_nmt-*.whl; \
	cd "$$away"; if $$python -c 'import torch' 2>/dev/null; then echo "torch is installed"; exit 1; fi; \
	bin/nmt translate "$$tests/onnx" -q --split never < "$$tests/lines.de" | cmp - "$$tests/expected/onnx.en"; \
	bin/nmt rescore "$$tests/onnx" -q -i "$$tests/lines.de" -t "$$tests/expected/onnx.en" > scores; \
	bin/nmt translate "$$tests/averaged" < "$$tests/lines.de" 2> message || true; \
	grep -q '^nmt: torch is not installed: pip install' message; \
	echo "exported models translate without torch"

# It tags, pushes and uploads nothing. RELEASE_ARGS=--without-tests where .ci/run has passed on this commit.
release: $(INSTALLED) ## check and build a release: make release VERSION=0.2.0
	@$(BIN)/python .ci/release.py "$(VERSION)" $(RELEASE_ARGS)

clean: ## remove the environment, caches and built files (runs/ stays)
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

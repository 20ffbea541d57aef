# Every target sets up what it needs, once: a second call does no set-up again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# setuptools warns of every editable installation
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -c constraints.txt -e
BASE := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The stages and tools below find the environment by this path.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Hundreds of processes start: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup repro app test test-all tests-fast tests-all lint format bench screenshots constraints

help:           ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/  –/'

setup: $(BASE)  ## create .venv and install the project

repro: $(BASE)  ## raw files to board: index, dvc repro, print the board
	@python -m pipelines.repro

app: $(BASE)    ## the board in a browser, at http://127.0.0.1:7860, and a worker for what is submitted
	@python -m app --workers 1

# More than cores, since tests wait for servers, browsers and time limits.
TESTS := python -m pytest -n $$(python -c 'import os; print(os.cpu_count() * 3 // 2)') --dist loadfile \
	--no-loadscope-reorder

# Lint takes one core for a minute: it goes beside the tests.
test: $(DEV)      ## lint and the fast tests
	@$(MAKE) --no-print-directory --keep-going --jobs=2 lint tests-fast

test-all: $(DEV)  ## lint and all tests
	@$(MAKE) --no-print-directory --keep-going --jobs=2 lint tests-all

tests-fast: $(DEV)
	@$(TESTS) -m 'not slow'

tests-all: $(DEV)
	@COSMOS_TEST_ALL=1 $(TESTS)

lint: $(DEV)    ## style, types, and who may import whom
	@ruff check --quiet .
	@ruff format --quiet --check .
	@mypy
	@lint-imports --no-logo

format: $(DEV)  ## mend style
	@ruff check --quiet --fix .
	@ruff format --quiet .

bench: $(DEV)   ## ratios against the obvious way, measured in one run
	@python -m tests.bench

screenshots: $(DEV)  ## the pictures in docs/, of the board that make repro published
	@python -m tests.screenshots --out docs

constraints: $(DEV)  ## pin every package of every extra anew into constraints.txt
	@uv pip compile --quiet --universal --all-extras --no-header --no-annotate --upgrade \
		--output-file constraints.txt pyproject.toml

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed; call make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), once"
	@$(INSTALL) .
	@touch $@

$(DEV): $(BASE)
	@echo "installing what the tests need into $(VENV), once"
	@$(INSTALL) '.[dev]'
	@touch $@

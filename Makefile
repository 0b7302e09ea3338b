# Two commands for a new machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export PYTHONWARNINGS ?= default

.PHONY: demo test test-all check bench docs lock clean help

help:            ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trabecula needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)   ## three published systems and the baselines on synthetic knees: leaderboard and report, about 4 minutes
	$(BIN)/trabecula demo --out demo

test: $(STAMP)   ## the fast suite, offline
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadgroup

test-all: $(STAMP)  ## the slow statistical and training checks as well
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

check: $(STAMP)  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

bench: $(STAMP)  ## speed and memory, printed as a table
	$(BIN)/python bench/speed.py

docs: $(STAMP)   ## regenerate every generated table
	$(BIN)/python docs/generate.py

lock: $(BIN)/uv  ## pin every dependency again, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --upgrade --group dev -o requirements.lock pyproject.toml

clean:           ## remove what make made
	rm -rf .venv demo out

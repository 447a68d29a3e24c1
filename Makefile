# Two commands: `make run` and `make test`. Everything is installed into .venv from uv.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LANDING ?= data/sample
READY := $(VENV)/.ready

export UV_PROJECT_ENVIRONMENT := $(VENV)
export DAGSTER_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export MARIMO_SKIP_UPDATE_CHECK := 1

.PHONY: help setup run test test-fast lint format bench docs ui notebooks sample clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## install into .venv what uv.lock names

$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv sync --frozen --inexact --compile-bytecode --quiet
	@touch $@

run: setup  ## the daily job on the sample extracts (LANDING=DIR for yours)
	$(BIN)/csp run --landing $(LANDING)

# The few long tests are in the first folders: begun last, one core would wait for the other.
test: setup  ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests

test-fast: setup  ## the tests that take milliseconds
	$(BIN)/python -m pytest tests/unit

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 dbt/models dbt/tests/singular

format: setup  ## mend style where a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --processes 2 dbt/models dbt/tests/singular

bench: setup  ## time and memory at three sizes, written to data/bench/bench.json
	$(BIN)/python -m tests.bench

docs: setup  ## dbt's documentation of the last run as one file, data/exports/dbt_docs.html
	$(BIN)/csp docs

ui: setup  ## Dagster on http://127.0.0.1:3000, the dashboard on http://127.0.0.1:3001
	$(BIN)/csp ui

notebooks: setup  ## the analysts' notebooks in the browser, on 127.0.0.1
	$(BIN)/marimo edit notebooks

sample: setup  ## write the committed sample extracts again
	rm -rf data/bench/sample
	$(BIN)/csp sample --out data/sample
	$(BIN)/csp run --landing data/sample --data-dir data/bench/sample
	$(BIN)/csp sample-work --landing data/sample --data-dir data/bench/sample

clean:  ## remove what runs wrote; the sample extracts stay, and the folders people write in
	rm -rf data/warehouse data/published data/exports data/logs data/dagster_home dbt/target dbt/logs

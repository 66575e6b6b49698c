# Fluxshard: every target does the set-up that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JS := tests/acceptance/js
# Each has a cluster of its own. More than two only where there are cores for it: nine servers each.
# What kills, freezes and counts runs alone: it would meet a loaded machine, and not what it looks for.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo tour test check format bench js clean

help: ## what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 16

setup: $(VENV)/.ready ## a virtual environment in .venv with .venv/bin/fluxshard

# The marker is written last, so a set-up that was interrupted is simply made again.
$(VENV)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Fluxshard needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 ...")'
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install -q --python $(BIN)/python --require-hashes -r requirements.txt && \
		uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

demo: setup ## a cluster with data and the API, until Ctrl-C
	@$(BIN)/fluxshard demo

tour: setup ## the same without a terminal: shows the main job with its evidence, then ends
	@$(BIN)/fluxshard demo --tour

check: setup ## format, lint, types, layers, unit tests and golden plans: seconds
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/unit tests/plans tests/model tests/architecture

test: check ## all tests: check, then everything that needs servers and clients
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile tests/oracle tests/acceptance tests/integration/rest tests/integration/sql \
		tests/integration/migrate tests/integration/whole_api
	@$(BIN)/python -m pytest -q tests/integration tests/adversity --ignore=tests/integration/rest --ignore=tests/integration/sql \
		--ignore=tests/integration/migrate --ignore=tests/integration/whole_api

js: ## the JavaScript client that the acceptance tests drive (needs Node.js)
	@cd $(JS) && npm install --no-package-lock --no-audit --no-fund --silent

format: setup ## format and fix what can be fixed
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

bench: setup ## a warm point read against pgbench in the same run, with the cost of each step
	@$(BIN)/python -m bench.point_read

clean: ## remove what was set up here
	@rm -rf $(VENV) $(JS)/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Two commands do everything: `make run` and `make test`. Both set up what they need, and may be
# repeated. They need Python 3.11 or newer, and make; no compiler, no database.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test check bench lock clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /make \1: /p' Makefile

run: $(VENV)/.run ## set up, load sample data once, tell the story, serve on 127.0.0.1:8000
	@exec $(BIN)/medsales run

test: $(VENV)/.dev ## set up and run every check: format, lint, types, architecture, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

bench: $(VENV)/.dev ## measure, several runs, and write docs/benchmarks.md
	$(BIN)/python -m bench --write

lock: $(VENV)/.dev ## pin all dependencies anew
	$(PIP) install uv
	PATH="$(abspath $(BIN)):$$PATH" requirements/lock.sh

clean: ## forget the environment; data stays
	rm -rf $(VENV)

# The marks are made last, so that an interrupted set-up is taken up again.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/.made
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.made
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@ $(VENV)/.run

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "medsales needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

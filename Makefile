# What one needs day by day; `make help` lists it. Needs only make and Python 3.11 or newer.

PYTHON   ?= python3
PORT     ?= 6900
DATA_DIR ?= var
ARGS     ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# A stamp is newer than its lock file when exactly those packages are installed.
INSTALLED     := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test check bench lock browser

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## run Stoneware with demo data (PORT=6900 DATA_DIR=var)
	@$(BIN)/python manage.py up --demo --port "$(PORT)" --data-dir "$(DATA_DIR)"

test: $(INSTALLED_DEV) browser ## the whole test suite, on up to four cores (ARGS= goes to pytest)
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

check: $(INSTALLED_DEV) ## style, types, layers, migrations, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m apps.core.embedded $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint templates --lint --quiet

bench: $(INSTALLED_DEV) ## the benchmark figures
	@$(BIN)/python -m tests.benchmarks

lock: ## pin what pyproject.toml asks for (needs uv; ARGS=--upgrade takes the newest)
	$(COMPILE) $(ARGS) --output-file deploy/requirements.lock
	$(COMPILE) $(ARGS) --output-file deploy/requirements-dev.lock \
		--group test --group dev --constraint deploy/requirements.lock

# --- Steps of the above ---------------------------------------------------------------------

$(INSTALLED): deploy/requirements.lock | $(BIN)/pip
	@echo "Installing the pinned packages into $(VENV) (650 MB, once)."
	@$(PIP) install --require-hashes -r deploy/requirements.lock
	@touch $@

# The development lock contains the other one.
$(INSTALLED_DEV): deploy/requirements-dev.lock | $(BIN)/pip
	@echo "Installing the pinned packages for development into $(VENV)."
	@$(PIP) install --require-hashes -r deploy/requirements-dev.lock
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Stoneware needs Python 3.11 or newer: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The browser tests drive a Chromium of the system.
browser:
	@for name in chromium chromium-browser google-chrome; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Chromium for the browser tests."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends chromium fonts-liberation fonts-noto-color-emoji >/dev/null; \
	else \
		echo "No Chromium found: the browser tests need one (Debian: apt-get install chromium" \
			"fonts-liberation fonts-noto-color-emoji)." >&2; \
	fi

# `make help` lists what can be made. Everything runs in a virtual environment of this checkout,
# which the first call brings; PYTHON chooses its interpreter and VENV its folder.

VENV ?= .venv
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	if $$name -c '$(FITS)' 2>/dev/null; then echo $$name; break; fi; done)

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/installed

# Draws into memory on a Linux machine without a screen.
SCREEN = $(shell if [ "$$(uname -s)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	echo 'xvfb-run -a -s "-screen 0 1600x1000x24"'; fi)

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench docs environment window clean

help: ## List what can be made.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: environment window ## Open napari on the sample, preview and train (ARGS="..." goes to the command).
	$(BIN)/napari-dacapo-tasks demo $(ARGS)

test: lint window ## Run every check: lint, then the tests (ARGS="..." goes to pytest).
	$(BIN)/python -m pytest $(ARGS)

lint: environment ## Check style, types, import rules and the napari manifest.
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m npe2 validate napari-dacapo-tasks

format: environment ## Put the code in shape.
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: environment window ## Measure beside DaCapo (CONTRIBUTING.md says how).
	$(BIN)/python benchmarks/tasks.py $(ARGS)
	$(BIN)/python benchmarks/samples.py
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/segment.py --write
	$(BIN)/python benchmarks/large_volume.py --write
	$(SCREEN) $(BIN)/python benchmarks/live_preview.py --write
	$(SCREEN) $(BIN)/python benchmarks/heartbeat.py --write
	$(SCREEN) $(BIN)/python benchmarks/training_heartbeat.py --write

docs: environment window ## Write the table of parameters, and draw the pictures from the running program.
	$(BIN)/python docs/make_reference.py
	$(SCREEN) $(BIN)/python docs/make_pictures.py

environment: $(STAMP) ## Make the virtual environment.

$(STAMP): pyproject.toml constraints-dev.txt src/napari_dacapo_tasks/__init__.py
	@{ $(PYTHON) -c '$(FITS)'; } 2>/dev/null || { echo "Python 3.11, 3.12 or 3.13 is needed:" \
		"install one, or name it with make PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Installing into $(VENV); the first time this takes some minutes."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --upgrade pip
	@$(BIN)/python -m pip install -qq -c constraints-dev.txt -e ".[dev]"
	@touch $@

window: environment ## Bring what a napari window needs of the system (Linux).
	@$(BIN)/python scripts/system_packages.py

clean: ## Remove what was built and cached, but not the environment.
	rm -rf build dist demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks scripts docs -name __pycache__ -type d -prune -exec rm -rf {} +

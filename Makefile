PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := mirage_env agents examples benchmarks tests

.PHONY: help demo test check format clean

help:
	@echo "make demo    install, then walk through an imagined room; the films and figures go to out/demo"
	@echo "make test    install the development tools, run all tests, then 'make check'"
	@echo "make check   ruff (rules and format) and pyright"
	@echo "make format  let ruff repair what it can"

demo: $(VENV)/.installed-base
	$(BIN)/mirage-env demo --out out/demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile
	$(MAKE) --no-print-directory check

check: $(VENV)/.installed-dev
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/ruff format --check $(wildcard $(SOURCES))
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix $(wildcard $(SOURCES))
	$(BIN)/ruff format $(wildcard $(SOURCES))

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The build tools come first and are pinned like everything else, so the build needs no isolated environment of its own.
$(VENV)/.build-tools: constraints.txt | $(BIN)/python
	$(PIP) pip setuptools
	@touch $@

$(VENV)/.installed-base: pyproject.toml constraints.txt $(VENV)/.build-tools
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.build-tools
	$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@ $(VENV)/.installed-base

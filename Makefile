# make repro      environment, then the whole pipeline on the embedded dataset
# make test       environment, then the default test suite
# make test-slow  the slow tests as well
# make check      lint, format, types, import contracts
#
# Variables: PYTHON=python3.12         interpreter of the environment
#            ACCELERATOR=cpu|gpu       FAISS with or without GPU; found by nvidia-smi
#            PIP_OPTIONS="..."         e.g. an extra index with CPU builds of PyTorch

PYTHON ?= python3
ACCELERATOR ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
PIP_OPTIONS ?=

VENV := .venv
INSTALLED := $(VENV)/.installed-$(ACCELERATOR)
# Stages are started as `python -m stages.NAME`: the environment's python must come first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test test-slow check install clean
.DEFAULT_GOAL := repro

repro: $(INSTALLED)
	dvc repro

# Two processes of one thread each: more threads than cores would cost many times what they bring.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile

test-slow: $(INSTALLED)
	python -m pytest -m "slow or not slow"

check: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	smhash check

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	test -x $(VENV)/bin/python || { $(PYTHON) -m venv $(VENV) && touch $(VENV)/.made-by-make; }
	python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) \
		--constraint constraints.txt --editable ".[$(ACCELERATOR),dev]"
	touch $@

clean:
	@test -e $(VENV)/.made-by-make || test ! -e $(VENV) || \
		{ echo "$(VENV): not made by make, and so not removed" >&2; exit 2; }
	rm -rf $(VENV)

# make repro      environment, then the whole pipeline on the embedded dataset
# make verify     the figures of this machine against the committed ones
# make test       environment, then the default test suite
# make test-slow  the slow tests as well
# make test-newest  the newest versions instead of the tested ones (constraints.txt), in an
#                 environment of its own: the quick tests, a small run of the pipeline among them
# make plots      dvc plots show, as a page that needs no network
# make gpu-check  what one card makes of every expensive part, and whether its results are the CPU's
# make check      lint, format, types, import contracts
#
# Variables: PYTHON=python3.12         interpreter of the environment
#            ACCELERATOR=cpu|gpu       FAISS with or without GPU; found by nvidia-smi
#            PIP_OPTIONS="..."         e.g. an extra index with CPU builds of PyTorch

PYTHON ?= python3
ACCELERATOR ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
PIP_OPTIONS ?=

VENV := .venv
NEWEST := .venv-newest
CONSTRAINT := --constraint constraints.txt
PACKAGES = $(PIP_OPTIONS) $(CONSTRAINT) --editable ".[$(ACCELERATOR),dev]"
# A minute faster than pip; where it fails (it reads no pip.conf), pip is asked.
UV := $(shell command -v uv 2>/dev/null)
OTHER := $(if $(filter gpu,$(ACCELERATOR)),cpu,gpu)
TESTS :=
QUICK := tests/test_*.py tests/doctor tests/memory tests/models tests/retrieval tests/evaluation \
	tests/features/test_exactness.py tests/pipeline/test_dvc.py
INSTALLED := $(VENV)/.installed-$(ACCELERATOR)
# Stages are started as `python -m stages.NAME`: the environment's python must come first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# An environment of make's own; one that somebody put there stays.
remove = @test -e $(1)/.made-by-make || test ! -e $(1) \
	|| { echo "$(1): not made by make, and so not removed" >&2; exit 2; }; rm -rf $(1)

.PHONY: repro verify plots test test-slow test-newest gpu-check check install clean
.DEFAULT_GOAL := repro

# verify may fail here: with other parameters there are no committed figures to compare with.
repro: $(INSTALLED)
	dvc repro
	@echo; smhash verify || true; smhash summary

verify: $(INSTALLED)
	smhash verify

# DVC's own page loads Vega from the network.
plots: $(INSTALLED)
	@mkdir -p .dvc/tmp
	@python -c 'from siglip2_multimodal_hash.reporting.web import template; \
		print(template.plots_page())' > .dvc/tmp/plots.html
	dvc plots show --html-template .dvc/tmp/plots.html

# Two processes of one thread each: more threads than cores would cost many times what they bring.
# Files in their own order: by the number of their tests, those that take longest would come last.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-slow: $(INSTALLED)
	python -m pytest -m "slow or not slow"

test-newest:
	$(call remove,$(NEWEST))
	$(MAKE) test VENV=$(NEWEST) CONSTRAINT= TESTS="$(QUICK)"

gpu-check: $(INSTALLED)
	python benchmarks/gpu_check.py

check: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	smhash check

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@test -x $(VENV)/bin/python || { $(PYTHON) -m venv $(VENV) && touch $(VENV)/.made-by-make; }
	@rm -f $(VENV)/.installed-*
	@# Both packages bring the module faiss: the second overwrites a part of the first.
	@! python -m pip show --quiet faiss-$(OTHER) 2>/dev/null \
		|| python -m pip uninstall --quiet --yes faiss-cpu faiss-gpu
	$(if $(UV),$(UV) pip install --quiet --python $(VENV)/bin/python \
		--index-strategy unsafe-best-match $(PACKAGES) ||) \
	python -m pip install --quiet --disable-pip-version-check $(PACKAGES)
	@touch $@

clean:
	$(call remove,$(VENV))
	$(call remove,$(NEWEST))

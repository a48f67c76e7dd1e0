# Everything a fresh machine needs: Python 3.11-3.13 and make.
#   make demo       install, screen configs/where_bn.yaml, print map and table, write the report
#   make test       the tests                     make test-slow   those that take long
#   make test-hub   every family of KerasHub that is built without a download
#   make test-long  networks of Keras, an A/A study   make test-backends   surgery and probes on JAX
#   make test-browser  the page in Chromium       make views      screenshots of it, in build/views
#   make site       the documentation as a site, with a gallery of reports: build/site/index.html
#   make test-lowest  on the oldest versions that setup.cfg allows
#   make test-pythons on every Python from 3.11 to 3.13 that is installed
#   make lint       format, lint, types           make docs        the generated documents
#   make bench      the measurements of benchmarks/
#   make test-kills   a hundred kills and signals (KILLS=100), start-up included
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && \
	echo $$p && break; done)
STUDY ?= configs/where_bn.yaml
SOURCES := ablate tests benchmarks

.PHONY: demo test test-slow test-long test-kills test-hub docs-hub test-backends test-browser views test-lowest test-pythons lint docs site bench clean

demo: $(VENV)/.installed
	$(BIN)/ablate $(if $(shell grep -l '^screen:' $(STUDY)),screen,run) $(STUDY)
	$(BIN)/ablate report $(STUDY) --format html

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# Every network of keras.applications takes a quarter of an hour, and a study of 1600 trials minutes:
# both have a target of their own.
LONG := tests/surgery/test_applications.py tests/analysis/test_aa.py
HUB := tests/surgery/test_hub.py

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow --timeout=1800 $(LONG:%=--ignore=%) --ignore=$(HUB)

test-kills: $(VENV)/.installed-dev
	ABLATE_KILLS=$(or $(KILLS),100) $(BIN)/python -m pytest -m slow --timeout=0 tests/execution/test_stress.py

test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow --timeout=3600 $(LONG)

# KerasHub brings TensorFlow Text and tokenizers: three minutes, and an extra of its own.
test-hub: $(VENV)/.installed-hub
	$(BIN)/python -m pytest -m slow --timeout=600 $(HUB)

# The table of docs/models.md, from a run over all families.
docs-hub: $(VENV)/.installed-hub
	$(BIN)/python -m tests.surgery.families

# What is not tied to TensorFlow, on another backend; BACKEND=torch needs PyTorch installed by hand.
# JAX stays beside the environment: TensorFlow imports it wherever it is found, in every process.
BACKEND ?= jax
NEUTRAL := tests/surgery/test_hard_cases.py tests/surgery/test_fold.py tests/surgery/test_statistics.py \
	tests/probes --ignore=tests/probes/test_only_look.py --ignore=tests/probes/test_own_probe.py

test-backends: $(VENV)/.installed-dev $(if $(filter jax,$(BACKEND)),$(VENV)/.installed-jax)
	KERAS_BACKEND=$(BACKEND) PYTHONPATH=$(CURDIR)/$(VENV)/jax $(BIN)/python -m pytest $(NEUTRAL)

# The page in Chromium: the one of this machine (CHROMIUM=/path names it), else Playwright's.
test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -m browser tests/browser

views: $(VENV)/.installed-browser
	$(BIN)/python -m tests.browser.views build/views $(VIEWS)

# uv chooses the lowest versions, which pip cannot.
test-lowest: $(BIN)/python
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/lowest
	$(BIN)/uv pip install --quiet --python build/lowest/bin/python --resolution lowest-direct \
		-e ".[dev,ray,slurm]"
	build/lowest/bin/python -m pytest

PYTHONS = $(shell for v in 3.11 3.12 3.13; do python$$v -c '' 2>/dev/null && echo $$v; done; true)

test-pythons:
	@echo "Installed of Python 3.11 to 3.13: $(or $(PYTHONS),none)"
	for v in $(PYTHONS); do $(MAKE) test VENV=build/python$$v PYTHON=python$$v || exit 1; done

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy

docs: $(VENV)/.installed-dev
	$(BIN)/python -m ablate.training.keras_tables
	$(BIN)/python -m ablate.cli.reference

# Reports of short studies are its gallery; the pages follow.
GALLERY := digits digits_leave_one_out teaching/noisy_line text

site: $(VENV)/.installed-dev
	mkdir -p build/gallery
	$(BIN)/ablate screen configs/where_bn.yaml --logs build/logs
	for study in $(GALLERY); do $(BIN)/ablate run configs/$$study.yaml --logs build/logs || exit 1; done
	for study in build/logs/*/; do name=$$(basename $$study); \
		$(BIN)/ablate report $$name --logs build/logs --format html || exit 1; \
		cp $$study/report.html build/gallery/$$name.html; done
	$(BIN)/python -m sphinx -W -q -b html docs build/site
	@echo "build/site/index.html"

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/surgery.py
	$(BIN)/python benchmarks/probes.py --probes activations
	$(BIN)/python benchmarks/choices.py
	$(BIN)/python benchmarks/streaming.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "ablate needs Python 3.11, 3.12 or 3.13; none was found." \
		"Install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "setuptools>=70"

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[dev,ray,slurm]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-browser: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet -e ".[browser]"
	@touch $@

$(VENV)/.installed-hub: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet -e ".[hub]"
	@touch $@

$(VENV)/.installed-jax: $(VENV)/.installed-dev
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade --target $(VENV)/jax \
		--constraint $(VENV)/constraints.txt "jax>=0.5,<1"
	@touch $@

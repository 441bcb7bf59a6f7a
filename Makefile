# Every target in a line each: `make help`.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:

VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
LOCK_VENV := .venv-lock
UV_VERSION := 0.13.9
# More than the usual two cores: many tests wait for what they have started.
TEST_WORKERS ?= 3

# Quiet twice: errors only.
PIP_INSTALL := $(PYTHON_IN_VENV) -m pip install --quiet --quiet --disable-pip-version-check

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(VENV)/installed-run ## start the whole system on this machine; Ctrl-C stops it; ARGS="--help" for more
	@exec $(PYTHON_IN_VENV) -m stack $(ARGS)

.PHONY: test
test: $(VENV)/installed-dev ## the whole test suite; ARGS="-k login" narrows it
	@$(PYTHON_IN_VENV) -m tests.run -n $(TEST_WORKERS) $(ARGS)

.PHONY: compile
compile: $(VENV)/installed-dev ## make the gateway's data path machine code, a fifth faster; needs a C compiler
	@$(PYTHON_IN_VENV) -m gateway.compile

.PHONY: bench
bench: $(VENV)/installed-dev ## compile the gateway and measure it beside Envoy, HAProxy, nginx, Fastify; ARGS="--help" for more
	@$(PYTHON_IN_VENV) -m loadtests.compare $(ARGS)

.PHONY: check
check: $(VENV)/installed-dev ## lint, format check, types
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m mypy

.PHONY: fmt
fmt: $(VENV)/installed-dev ## format the code and apply the safe lint fixes
	@$(PYTHON_IN_VENV) -m ruff check --fix .
	@$(PYTHON_IN_VENV) -m ruff format .

.PHONY: load
load: $(VENV)/installed-dev ## start a system of its own, load it for a minute, judge it; ARGS="--users 200 Browsing"
	@exec $(PYTHON_IN_VENV) -m loadtests.on_this_machine $(ARGS)

.PHONY: reports
reports: ## list the load tests' reports, the newest first
	@$(PYTHON_IN_VENV) -m loadtests.report_files

.PHONY: lock
lock: $(LOCK_VENV)/uv-$(UV_VERSION) ## pin requirements*.txt anew from pyproject.toml; ARGS="--upgrade" for newer ones
	@$(LOCK_VENV)/bin/python -m uv $(COMPILE) $(ARGS) -o requirements.txt
	@$(LOCK_VENV)/bin/python -m uv $(COMPILE) $(ARGS) --group dev -c requirements.txt -o requirements-dev.txt

COMPILE := pip compile --quiet --universal --python-version 3.11 pyproject.toml \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: clean
clean: ## remove the virtual environments, what was compiled, and caches; the data in var/ stays
	@rm -rf build $(VENV) $(LOCK_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make the second run instant: a file newer than its requirements means that they are installed.
$(VENV)/installed-run: requirements.txt $(VENV)/made
	@echo "Installing requirements.txt (once) ..."
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/made
	@echo "Installing requirements-dev.txt (once) ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/installed-run

$(VENV)/made:
	@$(MAKE_VENV) $(VENV)
	@touch $@

$(LOCK_VENV)/uv-$(UV_VERSION):
	@$(MAKE_VENV) $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python -m pip install --quiet --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# Makes the virtual environment named by its argument with the first Python that is new enough: $PYTHON, if set, else
# the usual names. A half-made environment is not left behind.
define MAKE_VENV_SCRIPT
for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
  "$$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1 || continue; \
  "$$python" -c "import ensurepip, venv" >/dev/null 2>&1 || { unfit=$$python; continue; }; \
  echo "Making $$1 with $$("$$python" --version) ..."; \
  "$$python" -m venv "$$1" && exit 0; \
  rm -rf "$$1"; exit 1; \
done; \
if [ -n "$${unfit:-}" ]; then \
  echo "$$unfit lacks the venv module: on Debian or Ubuntu run \`apt install python3-venv\`, then try again." >&2; \
else \
  echo "Python 3.11 or newer was not found: install it, or say where it is with \`make PYTHON=/path/to/python3 ...\`." >&2; \
fi; \
exit 1
endef
MAKE_VENV = sh -c '$(MAKE_VENV_SCRIPT)' make-venv
export PYTHON

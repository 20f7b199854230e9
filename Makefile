# make report, make test: everything runs in its own virtual environment, built when it is missing or when setup.cfg changed.

VENV ?= .venv
# the interpreter that builds the environment; empty: the first of PYTHONS that is 3.11 or newer
PYTHON ?=
PYTHONS = $(PYTHON) python3.13 python3.12 python3.11 python3 python
OUT ?= report

BIN := $(VENV)/bin
# an environment that does not run, or that was built when this folder stood elsewhere, is built afresh
USABLE := $(shell if [ ! -e '$(VENV)/.made' ] || [ "$$(cat '$(VENV)/.made')" = '$(CURDIR)' ]; then \
    '$(BIN)/python' -c 'import sys, pip; print("yes" if sys.version_info >= (3, 11) else "no")' 2>/dev/null; fi)

# one thread per process: the tests run in parallel, and the numbers do not depend on the machine
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MPLBACKEND = Agg
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_USER = 0
unexport PYTHONPATH PYTHONHOME

.NOTPARALLEL:
.PHONY: help report test slow lint docs bench clean FORCE
.DEFAULT_GOAL := help

help:
	@echo 'make report   derive, solve and draw every example into $(OUT)/index.html'
	@echo 'make test     run the tests'
	@echo 'make slow     run the tests that take minutes'
	@echo 'make lint     check the style'
	@echo 'make docs     build the documentation into docs/_build/html'
	@echo 'make bench    run the benchmarks'
	@echo 'make clean    remove the environment and everything that was built'

report: $(VENV)/.package
	@$(BIN)/python -m meanfield report --out '$(OUT)'
	@echo "The report: $$(cd '$(OUT)' && pwd)/index.html"

test: $(VENV)/.test
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

slow: $(VENV)/.test
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

lint: $(VENV)/.lint
	@$(BIN)/python -m ruff check .

docs: $(VENV)/.docs
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "The documentation: $(CURDIR)/docs/_build/html/index.html"

bench: $(VENV)/.package
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean:
	rm -rf '$(VENV)' '$(OUT)' build dist *.egg-info docs/_build docs/gallery docs/generated docs/sg_execution_times.rst
	rm -rf .pytest_cache .ruff_cache .hypothesis uv.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is touched only after its installation succeeded: a failure is repaired by the next run.
$(VENV)/.package $(VENV)/.test $(VENV)/.docs $(VENV)/.lint: $(VENV)/.%: $(VENV)/.made setup.cfg pyproject.toml
	@extra='$*'; [ "$$extra" = package ] && extra= || extra="[$$extra]"; \
	echo "Installing meanfield$$extra into $(VENV) ..."; \
	$(BIN)/python -m pip install -qq --editable ".$$extra"
	@touch $@

ifneq ($(USABLE),yes)
$(VENV)/.made: FORCE
endif

$(VENV)/.made:
	@found=; \
	if [ '$(USABLE)' = yes ]; then printf '%s' '$(CURDIR)' > $@; exit 0; fi; \
	for python in $(PYTHONS); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    found=$$python; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	    echo "Building $(VENV) with $$("$$python" --version) ..."; \
	    rm -rf '$(VENV)'; \
	    "$$python" -m venv '$(VENV)' && printf '%s' '$(CURDIR)' > $@ && exit 0; \
	    rm -rf '$(VENV)'; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'No Python 3.11 or newer was found: install one, or name it with `make $(MAKECMDGOALS) PYTHON=/path/to/python3`.' >&2; \
	else \
	    version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "Python $$version cannot build a virtual environment. On Debian or Ubuntu: sudo apt install python$$version-venv" >&2; \
	fi; exit 1

FORCE:

# Every target makes what it needs, the virtual environment in .venv included. All it takes is make
# and a Python that is 3.11 or newer; choose another one with `make PYTHON=/path/to/python test`.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
MATRIX := 7.1 7.3 6.29
PYTHONS := 3.11 3.12 3.13 3.14
MINUTES ?= 3
SEED ?= 1
HISTORIES ?= 1000000

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help venv demo test slow stress lint format docs wheel bench schema screenshot test-matrix test-pythons test-sklearn clean

help:  ## Say what there is
	@echo "make TARGET, where TARGET is:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

venv: $(VENV)/.installed-dev  ## Make .venv with everything that development takes

demo: $(VENV)/.installed  ## Measure the whole standard library with a pool of workers
	@$(BIN)/python configs/metrics_demo.py

# Two processes share the core tests, most of which wait. The browser tests run by themselves: their
# servers live as long as their pytest does. What fails is tried twice more, and the report says so:
# the core has not been run often enough yet to do without. Bytecode is written first, also where
# the environment forbids it: each of the thousands of workers would compile what it imports.
test: $(VENV)/.installed-dev  ## Run the tests, and the notebooks as tests
	@$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest --reruns 2 --numprocesses 2 --dist worksteal --ignore tests/browser
	$(BIN)/python -m pytest --reruns 2 tests/browser
ifneq ($(NOTEBOOKS),)
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout 60 \
		-W default --override-ini timeout=600 $(NOTEBOOKS)
endif

slow: $(VENV)/.installed-dev  ## Run the tests that take long
	$(BIN)/python -m pytest -m slow

stress: $(VENV)/.installed-dev  ## Random work and kills for minutes, and simulated: MINUTES=3 HISTORIES=1000000 SEED=1
	$(BIN)/python -m tests.stress --minutes $(MINUTES) --seed $(SEED)
	$(BIN)/python -m tests.simulation --seed $(SEED) --count $(HISTORIES) --jobs $$(nproc)

lint: $(VENV)/.installed-dev  ## Check style, formatting and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(VENV)/.installed-dev  ## Sort the imports and format the code
	$(BIN)/python -m ruff check --select I --fix .
	$(BIN)/python -m ruff format .

docs: $(VENV)/.installed-docs  ## Build the site in .venv/site; warnings are errors
	$(BIN)/python -m sphinx -b html -n -W --keep-going -E -q -d $(VENV)/doctrees docs $(VENV)/site
	@echo "file://$(CURDIR)/$(VENV)/site/index.html"

wheel: $(VENV)/.installed-dev  ## Build wheel and sdist, try the wheel in an environment of its own, and run tests against it
	rm -rf $(VENV)/dist
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir $(VENV)/dist .
	$(BIN)/python -m venv --clear $(VENV)/wheel
	$(VENV)/wheel/bin/python -m pip install --quiet $(VENV)/dist/*.whl
	cd $(VENV)/wheel && printf 'a cat\n' | bin/processpool run --command 'sed -u s/cat/dog/' | grep -qx 'a dog'
	cd $(VENV)/wheel && bin/python -c "from processpool import ProcessPool; \
		pool = ProcessPool(max_workers=2).open(); assert pool.map(abs, [-1]) == [1]; pool.close()"
	@# What the tests need is there already; the wheel comes first, and src is on no path.
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(VENV)/wheel/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/dev.pth
	$(VENV)/wheel/bin/python -c "import processpool, sys; sys.exit('/wheel/' not in processpool.__file__)"
	$(VENV)/wheel/bin/python -m pytest --quiet --numprocesses 2 --dist worksteal \
		tests/api tests/contract tests/pytest_plugin tests/test_packaging.py

bench: $(VENV)/.installed-bench  ## Compare with raw pipes and with other pools: WHAT="short-way --rounds 3"
	$(BIN)/python -m benchmarks $(WHAT)

screenshot: $(VENV)/.installed-dev  ## take the pictures of the widget again, light and dark
	$(BIN)/python -m tests.browser.screenshot

test-matrix: $(MATRIX:%=test-kernel-%)  ## Test the widget in a browser with older kernels

test-kernel-%: | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/kernel-$*
	$(VENV)/kernel-$*/bin/python -m pip install --quiet --editable '.[test]'
	$(VENV)/kernel-$*/bin/python -m pip install --quiet 'ipykernel==$*.*'
	$(VENV)/kernel-$*/bin/python -m pytest tests/browser

test-pythons: $(PYTHONS:%=test-python-%)  ## Run the core tests with every Python that is to be found: PYTHONS="3.12 3.13"

# Whatever is there: on the PATH, or of pyenv. A version that is not is said, and is no failure.
test-python-%:
	@for python in python$* $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$*.*/bin/python; do \
		"$$python" -c pass 2>/dev/null || continue; \
		set -ex; "$$python" -m venv $(VENV)/python-$*; \
		$(VENV)/python-$*/bin/python -m pip install --quiet --editable '.[test]'; \
		$(VENV)/python-$*/bin/python -m pytest --numprocesses 2 --dist worksteal --ignore tests/browser; \
		exit; \
	done; echo "Python $* is not here, so nothing was tested with it"

# The number of tests that pass is to be compared with that of JOBLIB_BACKEND=loky, joblib's own.
test-sklearn: $(VENV)/.installed-dev $(VENV)/.installed-callers  ## Run scikit-learn's tests with our backend of joblib: JOBLIB_BACKEND=loky WHAT=sklearn.ensemble
	$(BIN)/python -m pytest -c /dev/null -p tests.joblib_backend --quiet --numprocesses 2 \
		--pyargs $(or $(WHAT),sklearn.model_selection sklearn.ensemble)

schema: $(VENV)/.installed  ## Write configs/pool.schema.json again
	$(BIN)/python -m processpool schema > $(VENV)/pool.schema.json
	mv $(VENV)/pool.schema.json configs/pool.schema.json

clean:  ## Remove .venv and whatever else was made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is older than pyproject.toml exactly when there may be something new to install.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing processpool into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing processpool and what '$*' needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@ $(VENV)/.installed

.PRECIOUS: $(VENV)/.installed-%

$(BIN)/python:
	@for python in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		"$$python" -m venv --clear $(VENV) && exit 0; \
		rm -rf $(VENV); \
		echo "$$python cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; \
		exit 1; \
	done; \
	echo "processpool needs Python 3.11 or newer, and neither $(PYTHON) nor python3.11 to" \
		"python3.14 is one; say which to take: make PYTHON=/path/to/python" >&2; \
	exit 1

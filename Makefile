PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-slow gpaw lint docs bench clean

demo: .venv/demo.done  ## Make everything and take the Si(100) surface through the whole job
	$(BIN)/adlayer run examples/si100.toml

test: .venv/test.done lint  ## Make everything and run the tests
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-slow: .venv/test.done  ## Physics that takes minutes; after make gpaw also with density-functional theory
	$(BIN)/python -m pytest -m slow

gpaw: .venv/gpaw.done  ## GPAW as PyPI has it, which needs a C++ compiler and nothing else

lint: .venv/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/docs.done  ## Build docs/_build/html; warnings are errors
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: .venv/test.done  ## Timings beside the peers; see benchmarks/README.md
	$(BIN)/python benchmarks/run.py

.venv/gpaw.done: .venv/test.done
	printf '%s\n' "mpi = False" "compiler = 'g++'" "libraries = []" "noblas = True" "nolibxc = True" "fftw = False" > .venv/siteconfig.py
	GPAW_CONFIG=$(CURDIR)/.venv/siteconfig.py $(PIP) --no-cache-dir -e '.[gpaw]'
	touch $@

.venv/%.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e '.[$*]'
	touch $@

clean:
	rm -rf .venv build docs/_build docs/api runs

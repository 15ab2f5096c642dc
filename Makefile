# `make demo` and `make test` need Python 3.11 or later. Each creates its own virtual environment;
# later calls reuse it.
PYTHON ?= python3
DEMO := .venv-demo
TEST := .venv-test
SUPPLY := .venv-supply
RUNS ?= 1000000
PIP_INSTALL = bin/python -m pip install --retries 10 --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint coverage bench fuzz audit sbom docs clean

demo: $(DEMO)/.installed
	$(DEMO)/bin/sosmooth demo

test: lint
	$(TEST)/bin/python -m pytest -q

lint: $(TEST)/.installed
	$(TEST)/bin/ruff check
	$(TEST)/bin/ruff format --check
	$(TEST)/bin/lint-imports
	$(TEST)/bin/pyright --pythonpath $(TEST)/bin/python

# The lines of src/sosmooth that the quick tests run; tests in other processes do not count.
coverage: $(TEST)/.installed
	$(TEST)/bin/python -m pytest -q --cov=sosmooth --cov-report=term:skip-covered

bench: $(TEST)/.installed
	$(TEST)/bin/python -m benchmarks

# Feeds a million broken files to all readers: some minutes on two cores. Inputs that crash a reader
# are saved in fuzz-crashes/.
fuzz: $(TEST)/.installed
	OMP_NUM_THREADS=1 $(TEST)/bin/python scripts/fuzz.py --runs $(RUNS)

# Needs the network, and fails if it cannot look up every package; so it is not one of the tests.
audit: $(SUPPLY)/.installed
	$(SUPPLY)/bin/python scripts/audit.py constraints.txt

# Lists what an installation consists of: sbom.json, in CycloneDX.
sbom: $(DEMO)/.installed $(SUPPLY)/.installed
	$(SUPPLY)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --of JSON -o sbom.json $(DEMO)/bin/python

docs: $(TEST)/.installed
	NO_MKDOCS_2_WARNING=1 $(TEST)/bin/python -m mkdocs build --strict
	@echo "Look at build/site/index.html"

clean:
	rm -rf $(DEMO) $(TEST) $(SUPPLY)

$(DEMO)/.installed: PACKAGE = .
$(TEST)/.installed: PACKAGE = .[test]
# PyTorch is installed first, by its exact version, so that no later step replaces it.
$(DEMO)/.installed $(TEST)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "sosmooth needs Python 3.11 or later; '$(PYTHON)' is `$(PYTHON) --version 2>&1`." \
	    "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/$(PIP_INSTALL) `grep '^torch==' constraints.txt`
	$(@D)/$(PIP_INSTALL) -e '$(PACKAGE)'
	@touch $@

$(SUPPLY)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/$(PIP_INSTALL) pip-audit cyclonedx-bom
	@touch $@

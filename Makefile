# `make demo` and `make test` start from nothing but Python 3.11 or later; a second call skips what stands.
PYTHON ?= python3
DEMO := .venv-demo
TEST := .venv-test
PIP_INSTALL = bin/python -m pip install --retries 10 --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench clean

demo: $(DEMO)/.installed
	$(DEMO)/bin/sosmooth demo

test: lint
	$(TEST)/bin/python -m pytest -q

lint: $(TEST)/.installed
	$(TEST)/bin/ruff check
	$(TEST)/bin/ruff format --check
	$(TEST)/bin/lint-imports
	$(TEST)/bin/pyright --pythonpath $(TEST)/bin/python

bench: $(TEST)/.installed
	$(TEST)/bin/python -m benchmarks

clean:
	rm -rf $(DEMO) $(TEST)

$(DEMO)/.installed: PACKAGE = .
$(TEST)/.installed: PACKAGE = .[test]
# PyTorch comes first and by its exact version: nothing that is resolved later can replace it by another build.
$(DEMO)/.installed $(TEST)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "sosmooth needs Python 3.11 or later; '$(PYTHON)' is `$(PYTHON) --version 2>&1`. Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/$(PIP_INSTALL) `grep '^torch==' constraints.txt`
	$(@D)/$(PIP_INSTALL) -e '$(PACKAGE)'
	@touch $@

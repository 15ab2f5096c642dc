"""The examples in the docstrings."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import sosmooth

ROOT = Path(sosmooth.__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(Path(sosmooth.__file__).parent.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_the_examples_are_found():
    assert "sosmooth.certificates.second_order_dipole" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(import_module(module))
    assert result.attempted > 0
    assert result.failed == 0

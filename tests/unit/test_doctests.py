"""The examples in the docstrings."""

import doctest
from importlib import import_module

import pytest

MODULES = (
    "certificates.dipole",
    "certificates.first_order",
    "certificates.second_order",
    "confidence.proportion",
)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(import_module(f"sosmooth.{module}"))
    assert result.attempted > 0
    assert result.failed == 0

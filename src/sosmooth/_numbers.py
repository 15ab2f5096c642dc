"""Whole numbers as people give them: 400, 400.0 and 1e5 are whole, 400.5 is not."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, cast


def whole_number(name: str, value: Any, *, least: int, below: int | None = None) -> int:
    """A whole number in [least, below), as an int, whatever type of number it came as.

    Raises:
        ValueError: it is no number, not whole, not finite, or out of range.
    """
    whole = isinstance(value, Integral) or (
        isinstance(value, Real) and math.isfinite(value) and value == math.floor(value)
    )
    number = int(cast("Any", value)) if whole and not isinstance(value, bool) else None
    if number is None or number < least or (below is not None and number >= below):
        allowed = f"of at least {least}" if below is None else f"in [{least}, {_named(below)})"
        raise ValueError(f"{name} must be a whole number {allowed}; got {value!r}")
    return number


def _named(bound: int) -> str:
    """A power of two as such."""
    power = bound.bit_length() - 1
    return f"2^{power}" if power > 20 and bound == 2**power else str(bound)

"""Checks of numbers that users give: whole numbers, failure probabilities, noise levels."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: The distance from 1 to the next larger float64.
EPS = np.finfo(np.float64).eps


def whole_number(name: str, value: Any, *, least: int, below: int | None = None) -> int:
    """A whole number in [least, below) as an int.

    400, 400.0 and 1e5 are whole numbers, 400.5 is not.

    Args:
        name: of the argument, for the message.
        value: a number of any type.
        least: the smallest value that is allowed.
        below: the value must be below it; None: any value from `least`.

    Raises:
        ValueError: the value is no number, not whole, not finite, or out of range.
    """
    whole = isinstance(value, Integral) or (
        isinstance(value, Real) and math.isfinite(value) and value == math.floor(value)
    )
    number = int(cast("Any", value)) if whole and not isinstance(value, bool) else None
    if number is None or number < least or (below is not None and number >= below):
        allowed = f"of at least {least}" if below is None else f"in [{least}, {_named(below)})"
        raise ValueError(f"{name} must be a whole number {allowed}; got {value!r}")
    return number


def checked_alpha(alpha: ArrayLike) -> Floats:
    """Failure probabilities as float64.

    Args:
        alpha: each in (0, 1).

    Raises:
        ValueError: a value is outside (0, 1), or NaN.
    """
    array = np.asarray(alpha, dtype=np.float64)
    bad = ~((array > 0) & (array < 1))
    if np.any(bad):
        given = array[bad].tolist()[:3] if array.ndim else alpha
        raise ValueError(f"alpha must be a failure probability in (0, 1); got {given!r}")
    return array


def checked_sigma(sigma: ArrayLike) -> Floats:
    """Noise levels as float64.

    Args:
        sigma: each positive and finite.

    Raises:
        ValueError: a value is not positive, infinite, or NaN.
    """
    array = np.asarray(sigma, dtype=np.float64)
    if not np.all((array > 0) & np.isfinite(array)):
        raise ValueError(f"sigma must be a positive number, in units of the inputs; got {sigma!r}")
    return array


def _named(bound: int) -> str:
    """The number as text; a large power of two as `2^k`."""
    power = bound.bit_length() - 1
    return f"2^{power}" if power > 20 and bound == 2**power else str(bound)

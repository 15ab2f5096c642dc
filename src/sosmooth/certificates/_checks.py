"""The checks that every radius makes of its arguments."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def checked(
    name: str, value: ArrayLike, low: float, high: float, allowed: str
) -> NDArray[np.float64]:
    """`value` as float64, every element within [low, high]; NaN is outside."""
    array = np.asarray(value, dtype=np.float64)
    bad = ~((array >= low) & (array <= high))
    if np.any(bad):
        raise ValueError(f"{name} must be {allowed}; got {array[bad].flat[0]!r}")
    return array


def probability_and_error(
    p: ArrayLike | None, error: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both masses from the one that was given.

    The other one loses no digit where it matters: 1 − p is exact for p ≥ 1/2.
    """
    if (p is None) == (error is None):
        raise ValueError("give either p or error (error = 1 − p), and only one of them")
    if p is not None:
        p = checked("p", p, 0.0, 1.0, "a probability in [0, 1]")
        return p, 1.0 - p
    assert error is not None
    error = checked("error", error, 0.0, 1.0, "a probability in [0, 1]")
    return 1.0 - error, error


def in_input_units(radius: ArrayLike, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sigma · radius`, the product rounded down."""
    radius, float64 = np.asarray(radius), np.finfo(np.float64)
    with np.errstate(over="ignore"):
        product = np.where(np.isfinite(radius), np.minimum(radius * sigma, float64.max), radius)
    # Near zero, floats are evenly spaced: there the error is a step, not a fraction of the product.
    step = (
        2 * float64.eps * np.where(np.isfinite(product), product, 0.0) + float64.smallest_subnormal
    )
    return np.where(product > 0, product - step, 0.0)[()]

"""The root of many decreasing functions at once: Newton's method, kept inside a bracket."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats

#: At the points `x` of the elements `index`: values and (negative) slopes.
ValueAndSlope = Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]]

# Newton needs about six steps. Where it is slow, halving takes over; it closes any bracket to
# neighbouring floats.
_NEWTON_STEPS, _MAX_STEPS = 40, 240


def decreasing_root(function: ValueAndSlope, low: Floats, high: Floats, start: Floats) -> Floats:
    """Elementwise root of decreasing functions with `f(low) >= 0 >= f(high)`, to float64 precision.

    The result is as exact as the evaluations allow, but it is not rounded to a safe side: subtract
    a margin for the error of `function` (see `Region.radius`).
    """
    low, high, x = low.copy(), high.copy(), np.clip(start, low, high)
    active = np.arange(x.size)
    for count in range(_MAX_STEPS):
        if active.size == 0:
            return x
        here = x[active]
        value, slope = function(here, active)
        low[active] = np.where(value > 0, here, low[active])
        high[active] = np.where(value <= 0, here, high[active])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = here - value / slope
        inside = (step > low[active]) & (step < high[active]) & (count < _NEWTON_STEPS)
        # Halving replaces a step that leaves the bracket or is NaN. A step to a neighbouring float
        # ends the search.
        following = np.where(inside, step, 0.5 * (low[active] + high[active]))
        near = np.abs(following - here) <= 2 * EPS * np.abs(here)
        done = (value == 0) | near | (high[active] <= low[active])
        x[active] = np.where(value == 0, here, following)
        active = active[~done]
    raise ArithmeticError("the root search did not converge; a function or its bracket is broken")

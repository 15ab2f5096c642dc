"""Bisection that ends on the safe side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import Floats


def safe_end(
    is_safe: Callable[[Floats], NDArray[np.bool_]], start: Floats, safe: Floats, steps: int
) -> Floats:
    """The end of a bracket at which `is_safe` holds, after halving the bracket `steps` times.

    Every array has one shape. The result is the end `safe` itself, or a point at which `is_safe`
    was evaluated and held. So it is on the safe side whatever `is_safe` does in between.

    Args:
        is_safe: tests one point of each bracket.
        start: the other end, below or above `safe`.
        safe: the end that is known to be safe.
        steps: halvings.
    """
    for _ in range(steps):
        middle = 0.5 * (start + safe)
        holds = is_safe(middle)
        start, safe = np.where(holds, start, middle), np.where(holds, middle, safe)
    return safe

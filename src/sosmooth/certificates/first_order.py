"""First-order certificate: what the probability of the top class alone gives.

Source: Cohen, Rosenfeld, Kolter 2019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth._numbers import checked_sigma
from sosmooth.certificates._checks import in_input_units, probability_and_error
from sosmooth.certificates.region import Region, interval, quantile_from_tail


def first_order_region(p: ArrayLike | None = None, *, error: ArrayLike | None = None) -> Region:
    """The half-line `(−∞, Φ⁻¹(p)]`: the extremal classifier when only the probability is known.

    Args:
        p: probability of the class, or a lower bound of it, in [0, 1]; any shape.
        error: the same as `1 − p`, exact in the tail; give one of the two.

    Returns:
        The region, in units of sigma.

    Raises:
        ValueError: neither or both were given, or a value is outside [0, 1] or NaN.

    Source:
        Levine et al. 2020, appendix A.1, after Cohen et al. 2019, Theorem 1.
    """
    _, error = probability_and_error(p, error)
    return Region((interval(np.full(error.shape, -np.inf), quantile_from_tail(error)),))


def first_order_radius(
    p: ArrayLike | None = None, *, error: ArrayLike | None = None, sigma: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Certified l2 radius from the probability of the top class: `σ Φ⁻¹(p)`.

    Args:
        p: lower bound of the probability, in [0, 1]; any shape.
        error: the same as `1 − p`, exact in the tail; give one of the two.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where p ≤ 1/2, `inf` where
        p = 1.

    Raises:
        ValueError: neither or both of `p` and `error` were given, or a value is outside its range
            or NaN.

    Guarantee:
        Exact and tight for the given p.

    Source:
        Cohen et al. 2019, Theorem 1.

    >>> float(round(first_order_radius(0.9, sigma=0.25), 6))
    0.320388
    """
    return in_input_units(first_order_region(p, error=error).radius(), checked_sigma(sigma))

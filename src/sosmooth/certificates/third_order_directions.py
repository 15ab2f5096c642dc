"""The third-order certificate for the worst of all directions and the worst of several truths.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

import numpy as np

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._third_order_march import march
from sosmooth.certificates._third_order_prices import AnyDirection
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.certificates.third_order_dipole import second_order_multipliers


def any_direction_radius(
    c_s: Floats, c_n: Floats, slack: Floats, eigenvalues: Floats, squares: Floats
) -> Floats:
    """The smallest third-order dipole radius over all directions and over corners of truths.

    Along a unit vector v the slope is at least `X̂·v − e_1`, the curvature at least `vᵀĤv − e_2`.

    Args:
        c_s: probability that both of a pair are right at each corner, in [0, 1], (corners, n).
        c_n: half of the probability that exactly one is, (corners, n).
        slack: `e_1` and `e_2`, at least 0, (2, n).
        eigenvalues: of Ĥ, (d, n).
        squares: squared coefficients of X̂ in its eigenvectors, (d, n).

    Returns:
        Float64 (n,), units of sigma, rounded down; 0 where some corner has no certificate.

    Raises:
        ValueError: a probability is outside its range.

    Guarantee:
        Sound when, along the direction to the nearest point that is lost, slope and curvature meet
        their bounds, and the truth is at least as good as some corner.

    Source:
        docs/theory/third_order.md.
    """
    steepest = np.sqrt(squares.sum(axis=0)) * (1 + 8 * EPS) + slack[0]
    second = second_order_dipole_region(c_s, c_n, np.broadcast_to(steepest, c_s.shape))
    by_corner = np.asarray(second.radius())
    worst = by_corner.argmin(axis=0)
    radius = by_corner.min(axis=0)
    at = np.flatnonzero((radius > 0) & np.isfinite(radius))
    if at.size == 0:
        return radius
    ends = [end[worst[at], at] for interval in second.intervals for end in interval]
    not_both = 0.5 * (1 - c_s[:, at])
    none = np.maximum(not_both - c_n[:, at], 0.0) + 2 * EPS * not_both
    prices = AnyDirection(
        none, not_both, slack[:, at], eigenvalues[:, at], squares[:, at] * (1 + 4 * EPS)
    )
    multipliers = second_order_multipliers(ends[0], ends[1], ends[2], ends[3], radius[at])
    found = march(prices, radius[at], multipliers, tied=False)
    radius[at] = np.maximum(radius[at], found.radius)
    return radius

"""Look-ahead certificate: slope and curvature along one axis, and the gradient across it.

Statement and proof: docs/theory/look_ahead.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_sigma
from sosmooth.certificates._checks import checked, in_input_units, probability_and_error
from sosmooth.certificates._look_ahead_rays import CONTRADICTION, Rays
from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order import second_order_region

# No function with values in [0, 1] has a larger slope or curvature, in units of the noise.
_STEEPEST, _MOST_CURVED = 0.4, 0.5
# At larger radii of the second order nothing is solved: no curvature can be measured there.
_FARTHEST = 8.0
# The share of the radius of second order from which the rays start.
_START = 0.9


def look_ahead_radius(
    p: ArrayLike | None = None,
    slope_lower: ArrayLike = -np.inf,
    slope_upper: ArrayLike = np.inf,
    curvature: ArrayLike = -np.inf,
    orthogonal_norm: ArrayLike = np.inf,
    *,
    error: ArrayLike | None = None,
    sigma: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Certified l2 radius from what is known along one unit vector û, and of the gradient across.

    No base classifier with this probability, with these bounds of the slope and of the curvature
    along û, and with no longer gradient orthogonal to û is wrong on more than half of the noise at
    any smaller distance, in whatever direction.

    Args:
        p: lower bound of the probability, in [0, 1]; any shape.
        slope_lower: lower bound of `û·∇p`, per input unit; `−inf` where nothing is known;
            broadcasts.
        slope_upper: upper bound of `û·∇p`, per input unit; `inf` where nothing is known;
            broadcasts.
        curvature: lower bound of `ûᵀ∇²p û`, per input unit squared; `−inf` where nothing is known;
            broadcasts.
        orthogonal_norm: upper bound of `‖∇p − (û·∇p) û‖₂`, per input unit, at least 0; `inf` where
            nothing is known; broadcasts.
        error: `1 − p`, exact in the tail; give one of p and error.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where p ≤ 1/2, `inf` where
        p = 1. Never below the second-order radius of the gradient norm that the bounds imply.

    Raises:
        ValueError: a value outside its range or NaN, none or both of `p` and `error`, bounds that
            no base classifier meets.

    Guarantee:
        Sound for the given bounds when they hold simultaneously, whatever the search for the best
        multipliers has found. Where the search succeeds it is within about 0.1 % of the largest
        radius that the bounds allow; where it fails, it is that of second order.

    Source:
        docs/theory/look_ahead.md.

    >>> float(look_ahead_radius(0.8, -0.21, -0.21, -0.1414, 0.028).round(2))
    0.99
    """
    sigma = checked_sigma(sigma)
    _, error = probability_and_error(p, error)
    low, high, bend = (
        checked(name, value, -np.inf, np.inf, "a number, or infinite")
        for name, value in (
            ("slope_lower", slope_lower),
            ("slope_upper", slope_upper),
            ("curvature", curvature),
        )
    )
    across = checked("orthogonal_norm", orthogonal_norm, 0.0, np.inf, "at least 0")
    if np.any(low > high):
        raise ValueError("slope_lower must not exceed slope_upper")
    values = np.broadcast_arrays(error, low * sigma, high * sigma, bend * sigma**2, across * sigma)
    rows, which = np.unique(np.stack(values, axis=-1).reshape(-1, 5), axis=0, return_inverse=True)
    found = np.array([_distance(*row) for row in rows.tolist()])
    return in_input_units(found[which].reshape(values[0].shape), sigma)


def _distance(error: float, low: float, high: float, bend: float, across: float) -> float:
    """The radius in units of sigma."""
    p, most = 1 - error, float(pdf(special.ndtri(error)))
    flat = float(special.ndtri(0.5 + 0.5 * error))
    # Rounding of the arguments, and of their products with sigma, moves nothing that is allowed.
    if (
        low > most * (1 + 1e-9)
        or high < -most * (1 + 1e-9)
        or (error < 1 and bend > 2 * flat * float(pdf(flat)) * (1 + 1e-9))
    ):
        raise ValueError("no base classifier meets these bounds of p, slope and curvature together")
    low, high = max(low, -_STEEPEST), min(high, _STEEPEST)
    bend, across = max(bend, -_MOST_CURVED), min(across, _STEEPEST)
    length = float(np.hypot(max(abs(low), abs(high)), across)) * (1 + 4 * EPS)
    second = second_order_region(error=np.array(error), gradient_norm=np.array(length))
    radius = float(second.radius())
    if not 0 < radius < _FARTHEST or bend == -_MOST_CURVED:
        return radius
    prices: Floats = np.array([p, low, -high, bend, -across])
    rays = Rays(prices - 4 * EPS * np.abs(prices), second, _START * radius)
    found = rays.radius()
    if rays.least < CONTRADICTION:
        raise ValueError("no base classifier meets these bounds of p, slope and curvature together")
    return max(radius, found)

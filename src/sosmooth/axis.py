"""From what pairs show along one axis to a radius, in any dimension.

Statement and proof: docs/theory/look_ahead.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sosmooth._numbers import Floats, checked_sigma
from sosmooth.certificates._checks import in_input_units
from sosmooth.certificates.look_ahead import look_ahead_radius
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.confidence.axis_bounds import AXIS_SHARE, AxisBounds, AxisPairs, axis_bounds
from sosmooth.theorems import BY_DIPOLE, by_probability


def axis_radius(
    pairs: AxisPairs, alpha: float, *, sigma: ArrayLike = 1.0, share: float = AXIS_SHARE
) -> Floats:
    """Certified l2 radius from what antithetic pairs show along one axis, and of the gradient.

    The larger of two: that of `look_ahead_radius`, and that of `second_order_dipole_radius`.

    Args:
        pairs: what was counted of each input, (batch,).
        alpha: failure probability of each radius, in (0, 1).
        sigma: noise level, input units, positive; broadcasts.
        share: of alpha, for all but the counts, in (0, 1), fixed before the pairs were drawn.

    Returns:
        Float64 (batch,), input units, rounded down; 0 where nothing is certified.

    Raises:
        ValueError: alpha, the share, sigma, a count or the centre is out of range.

    Guarantee:
        For each input by itself: with probability at least 1 − alpha, over the pairs, the class has
        more than one half of the probability at every smaller distance. This needs an axis and a
        class that do not depend on the pairs that `AxisPairs` names.

    Source:
        docs/theory/look_ahead.md, "From pairs".
    """
    sigma = checked_sigma(sigma)
    bounds = axis_bounds(pairs, alpha, costs=(by_probability, BY_DIPOLE), share=share)
    return in_input_units(distance_of(bounds), sigma)


def distance_of(bounds: AxisBounds) -> Floats:
    """The distance within which the class holds where the bounds do, units of sigma, (batch,)."""
    corners = bounds.corners
    gradient = np.broadcast_to(bounds.gradient_norm_upper, corners.required("c_s_lower").shape)
    pairs = second_order_dipole_region(
        corners.required("c_s_lower"), corners.required("c_n_lower"), gradient
    )
    distance = np.asarray(pairs.radius()).min(axis=0)
    columns = (
        corners.required("error_upper").max(axis=0),
        bounds.slope_lower,
        bounds.slope_upper,
        bounds.curvature_lower,
        bounds.across_upper,
    )
    for i, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        distance[i] = max(distance[i], _ahead(*row))
    return distance


def _ahead(error: float, low: float, high: float, bend: float, across: float) -> float:
    """The look-ahead distance; 0 where no base classifier meets the bounds.

    Then one of them fails, and that is part of alpha: any answer would do.
    """
    if not error < 0.5:
        return 0.0
    try:
        return float(look_ahead_radius(None, low, high, bend, across, error=error))
    except ValueError:
        return 0.0

"""From what pairs show along one axis to a radius, in any dimension.

Statement and proof: docs/theory/look_ahead.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth._numbers import Floats, checked_sigma
from sosmooth.certificates._checks import in_input_units
from sosmooth.certificates.look_ahead import look_ahead_radius
from sosmooth.certificates.region import Region, worst_multiclass_radius
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.confidence.axis_bounds import AXIS_SHARE, AxisBounds, AxisPairs, axis_bounds
from sosmooth.confidence.bounds import Bounds, in_groups
from sosmooth.confidence.pair_counts import OneSidedCost
from sosmooth.confidence.shares import named_share
from sosmooth.tally import Tally
from sosmooth.theorems import BY_DIPOLE, Theorem, by_probability


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
    return in_input_units(_certified(bounds, None)[1], sigma)


@dataclass(frozen=True)
class AlongAxis:
    """Slope and curvature along an axis; where nothing was drawn along one, another theorem.

    Attributes:
        otherwise: the theorem for inputs without an axis, and for other norms than l2.
        costs: the order of the outcomes of the pairs, see `pair_cells`.
    """

    otherwise: Theorem
    costs: Sequence[OneSidedCost]

    def certify(
        self, tally: Tally, alpha: float, sigma: float, rivals: Region | None = None
    ) -> tuple[Bounds, Floats]:
        def certified(share: float, i: NDArray[np.intp]) -> tuple[Bounds, Floats]:
            ahead = None if rivals is None else rivals.take(i)
            if not share:
                return self.otherwise.certify(tally[i], alpha, sigma, ahead)
            pairs = AxisPairs.of(tally[i])
            known = axis_bounds(pairs, alpha, costs=self.costs, share=share)
            bounds, distance = _certified(known, ahead)
            gradient = bounds.required("gradient_norm_upper") / sigma
            return replace(bounds, gradient_norm_upper=gradient), distance

        return in_groups(axis_share(tally), certified)

    def in_norm(self, norm: str) -> Theorem:
        return self.otherwise.in_norm(norm)

    def region(self, bounds: Bounds, sigma: float) -> Region:
        raise LookupError("the extremal region of look-ahead, which has no closed form")


def axis_share(tally: Tally) -> NDArray[np.float64]:
    """What all but the pair counts get of alpha, (batch,): 0 where no axis was drawn.

    Args:
        tally: of antithetic pairs.

    Raises:
        ValueError: a share outside (0, 1).
    """
    if tally.axis_share is None or tally.axis_pairs is None:
        return np.zeros(len(tally))
    return named_share("axis_share", tally.axis_share, tally.axis_pairs > 0)


def _certified(known: AxisBounds, rivals: Region | None) -> tuple[Bounds, Floats]:
    """The bounds at the worst corner, and the distance, units of sigma, both (batch,)."""
    corners = known.corners
    gradient = np.broadcast_to(known.gradient_norm_upper, corners.required("c_s_lower").shape)
    region = second_order_dipole_region(
        corners.required("c_s_lower"), corners.required("c_n_lower"), gradient
    )
    by_corner = np.asarray(region.radius())
    distance = by_corner.min(axis=0)
    if rivals is not None:
        # All the bounds hold at once, and each of the radii follows from them.
        distance = np.maximum(distance, worst_multiclass_radius(region, rivals))
    columns = (
        corners.required("error_upper").max(axis=0),
        known.slope_lower,
        known.slope_upper,
        known.curvature_lower,
        known.across_upper,
    )
    for i, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        distance[i] = max(distance[i], _ahead(*row))
    bounds = corners.at(np.argmin(by_corner, axis=0))
    return replace(bounds, gradient_norm_upper=known.gradient_norm_upper), distance


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

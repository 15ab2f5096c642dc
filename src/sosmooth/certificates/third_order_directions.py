"""The third-order certificate for the worst of all directions and the worst of several truths.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._third_order_dual import BOTH, CURVATURE, ONE, SLOPE
from sosmooth.certificates._third_order_march import NEAR, OneHalf, Rivals, march
from sosmooth.certificates._third_order_prices import AnyDirection, no_steeper
from sosmooth.certificates.region import Region, worst_multiclass_radius
from sosmooth.certificates.second_order_dipole import second_order_dipole_region

# What is found is a multiple of this, rounded down: so it hardly ever depends on which other inputs
# were in the batch, which changes the order of some sums.
_STEP = 2.0**-30


@dataclass(frozen=True)
class InAnyDirection:
    """How far the class holds, and what is worst there, for each of n inputs.

    Attributes:
        distance: certified, units of sigma, rounded down, (n,); 0 where nothing is.
        corner: the worst corner, int (n,).
        slope: lower bound along the worst direction, units of the noise, (n,).
        curvature: likewise; −inf where it tells nothing.
    """

    distance: Floats
    corner: NDArray[np.intp]
    slope: Floats
    curvature: Floats


def any_direction(
    c_s: Floats,
    c_n: Floats,
    slack: Floats,
    eigenvalues: Floats,
    squares: Floats,
    *,
    rivals: Region | None = None,
    steepest: Floats | float = np.inf,
) -> InAnyDirection:
    """The smallest third-order dipole radius over all directions and over corners of truths.

    Along a unit vector v the slope is at least `X̂·v − e_1`, the curvature at least `vᵀĤv − e_2`.

    Args:
        c_s: probability that both of a pair are right at each corner, in [0, 1], (corners, n).
        c_n: half of the probability that exactly one is, (corners, n).
        slack: `e_1` and `e_2`, at least 0, (2, n).
        eigenvalues: of Ĥ, (d, n).
        squares: squared coefficients of X̂ in its eigenvectors, (d, n).
        rivals: extremal regions of `1 − f_c`, (rivals, n): the class must have more than one half
            or be ahead of each of them; None: more than one half.
        steepest: the slope is at least minus this too, at least 0, (n,). Where this is more than
            `X̂·v − e_1` says of every direction, v may be shorter than 1.

    Raises:
        ValueError: a probability is outside its range.

    Guarantee:
        Sound when, along the direction to the nearest point that is lost, slope and curvature meet
        their bounds, the truth is at least as good as some corner, and the rivals' bounds hold.

    Source:
        docs/theory/third_order.md.
    """
    of_any = np.sqrt(squares.sum(axis=0)) * (1 + 8 * EPS) + slack[0]
    steepest = np.minimum(of_any, steepest)
    slope = -steepest
    second = second_order_dipole_region(c_s, c_n, np.broadcast_to(-slope, c_s.shape))
    by_corner = np.asarray(second.radius())
    corner = by_corner.argmin(axis=0)
    distance = by_corner.min(axis=0)
    if rivals is not None:
        distance = np.maximum(distance, worst_multiclass_radius(second, rivals))
    curvature = np.full(distance.shape, -np.inf)
    at = np.flatnonzero((distance > 0) & np.isfinite(distance))
    if at.size == 0:
        return InAnyDirection(distance, corner, slope, curvature)
    not_both = 0.5 * (1 - c_s[:, at])
    none = np.maximum(not_both - c_n[:, at], 0.0) + 2 * EPS * not_both
    every = AnyDirection(
        none, not_both, slack[:, at], eigenvalues[:, at], squares[:, at] * (1 + 4 * EPS)
    )
    level = OneHalf() if rivals is None else Rivals(rivals.take(at))
    shorter = (steepest < of_any)[at]
    start, prices = distance[at], no_steeper(every, steepest[at], shorter)
    # Where no eigenvalue is below 0, shorter vectors may cost more than the steepest slope saves.
    rare = np.flatnonzero(shorter & (every.eigenvalues.min(axis=0) > 0))
    first = march(every.take(rare), start[rare], tied=False, level=level.take(rare), effort=NEAR)
    start[rare] = first.radius
    found = march(prices, start, tied=False, level=level, effort=NEAR)
    y, radius = found.multipliers, found.radius
    _, bounds, _ = prices.slopes(y)
    distance[at] = np.maximum(distance[at], _rounded_down(radius))
    corner[at] = (y[BOTH] * none + y[ONE] * not_both).argmax(axis=0)
    slope[at] = _rounded_down(-bounds[SLOPE])
    curvature[at] = _rounded_down(-bounds[CURVATURE])
    return InAnyDirection(distance, corner, slope, curvature)


def _rounded_down(values: Floats) -> Floats:
    return np.floor(values / _STEP) * _STEP

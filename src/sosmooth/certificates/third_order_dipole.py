"""Third-order dipole certificate: pairs, and slope and curvature along one direction.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_sigma
from sosmooth.certificates._checks import checked, in_input_units
from sosmooth.certificates._third_order_dual import CURVATURE, SLOPE
from sosmooth.certificates._third_order_march import CONTRADICTION, Marched, march
from sosmooth.certificates._third_order_prices import Fixed
from sosmooth.certificates._third_order_region import attained, replaced
from sosmooth.certificates.dipole import checked_pair_masses
from sosmooth.certificates.region import Region, moment, pdf
from sosmooth.certificates.second_order_dipole import second_order_dipole_region

# No function with values in [0, 1] has a larger slope or curvature, in units of the noise.
_STEEPEST, _MOST_CURVED = 0.4, 0.5
# At larger radii of the second order nothing is solved: no curvature can be measured there.
_FARTHEST = 8.0


def third_order_dipole_radius(
    c_s: ArrayLike,
    c_n: ArrayLike,
    gradient_norm: ArrayLike,
    curvature: ArrayLike,
    *,
    sigma: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Certified radius along a direction, from pairs and from slope and curvature along it.

    With `γ = σ gradient_norm` and `κ = −σ² curvature`, no base classifier with these pair
    probabilities, a slope of at least `−γ` and a curvature of at least `−κ` is wrong on more than
    half of the noise at any smaller distance.

    Args:
        c_s: lower bound of the probability that both of a pair `x ± ε` are right, in [0, 1]; any
            shape.
        c_n: lower bound of the probability that `x + ε` is right and `x − ε` is wrong, in [0, 1];
            broadcasts.
        gradient_norm: upper bound of `−∂p/∂v`, per input unit; negative where p is known to rise,
            `inf` where nothing is known; broadcasts.
        curvature: lower bound of `vᵀ∇²p v`, per input unit squared; `−inf` where nothing is known;
            broadcasts.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where `c_s + c_n ≤ 1/2`, `inf`
        where `c_s = 1`. Up to rounding, never below the second-order dipole radius.

    Raises:
        ValueError: a value outside its range or NaN, `c_s + 2 c_n > 1` beyond rounding, bounds that
            no base classifier meets.

    Guarantee:
        Sound for the given bounds when they hold simultaneously, whatever the search for the best
        multipliers has found. It is tight up to the accuracy of that search.

    Source:
        docs/theory/third_order.md.

    >>> float(round(third_order_dipole_radius(0.6068, 0.1932, 0.195973344285, -0.188497517), 6))
    1.027923
    """
    sigma = checked_sigma(sigma)
    solved = _solved(c_s, c_n, gradient_norm, curvature, sigma)
    return in_input_units(solved.radius.reshape(solved.shape), sigma)


def third_order_dipole_region(
    c_s: ArrayLike, c_n: ArrayLike, gradient_norm: ArrayLike, curvature: ArrayLike
) -> Region:
    """The region that attains the certificate at its radius: a few intervals.

    Going out from 0, the pair `(z, −z)` changes its state (right on both sides, on one, on none) at
    a few cuts. They depend on the radius where a bound does not limit the adversary.

    Args:
        c_s: probability that both of a pair `x ± ε` are right, or a lower bound of it; any shape.
        c_n: probability that `x + ε` is right and `x − ε` is wrong, or a lower bound of it;
            broadcasts.
        gradient_norm: `γ`, upper bound of `−∂p/∂v` in units of the noise; broadcasts.
        curvature: `−κ`, lower bound of `vᵀ∇²p v` in units of the noise; broadcasts.

    Returns:
        The region, in units of sigma: it meets the bounds, with equality in those that limit the
        adversary. Its value at the certified radius is 1/2. Where the curvature says nothing, or
        nothing is certified, it is that of the second-order dipole. NaN where the search for it
        failed.

    Raises:
        ValueError: as `third_order_dipole_radius`.

    Source:
        docs/theory/third_order.md.
    """
    return _solved(c_s, c_n, gradient_norm, curvature, np.ones(())).region()


def _solved(
    c_s: ArrayLike,
    c_n: ArrayLike,
    gradient_norm: ArrayLike,
    curvature: ArrayLike,
    sigma: NDArray[np.float64],
) -> Curved:
    """Everything that is known, in units of sigma."""
    c_s, c_n = checked_pair_masses(c_s, c_n)
    gamma, kappa = noise_units(gradient_norm, curvature, sigma)
    arrays = np.broadcast_arrays(c_s, c_n, gamma, kappa)
    shape = arrays[0].shape
    c_s, c_n, gamma, kappa = (array.ravel() for array in arrays)
    second = second_order_dipole_region(c_s, c_n, np.maximum(gamma, 0.0))
    not_both = 0.5 * (1 - c_s)
    # Twice the error of the subtractions: too large is on the safe side.
    none = np.maximum(not_both - c_n, 0.0) + 2 * EPS * not_both
    inner = special.ndtri(0.5 + np.minimum(none, 0.5))
    outer = special.ndtri(np.minimum(0.5 + none + c_n, 1.0))
    lowest = -(moment(inner) + moment(outer))
    refuse_impossible(gamma, pdf(special.ndtri(not_both)), kappa, lowest)

    bounds = np.stack([none, not_both, gamma, kappa])
    return curved(bounds, second, shape, tied=False)


def noise_units(
    gradient_norm: ArrayLike, curvature: ArrayLike, sigma: NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """γ and κ in units of the noise, where they say more than nothing, checked."""
    gamma = checked("gradient_norm", gradient_norm, -np.inf, np.inf, "a number") * sigma
    kappa = -checked("curvature", curvature, -np.inf, np.inf, "a number") * sigma**2
    gamma, kappa = np.minimum(gamma, _STEEPEST), np.minimum(kappa, _MOST_CURVED)
    step = 4 * EPS  # the products are rounded: up
    return gamma + step * np.abs(gamma), kappa + step * np.abs(kappa)


def refuse_impossible(gamma: Floats, steepest: Floats, kappa: Floats, lowest: Floats) -> None:
    """Raise ValueError where slope or curvature alone is beyond what these probabilities allow."""
    slack = 1e-9
    if np.any(gamma < -steepest * (1 + slack) - 1e-15):
        raise ValueError(
            "no classifier of these probabilities rises as steeply as gradient_norm says"
        )
    if np.any(kappa < lowest - slack * np.abs(lowest) - 1e-15):
        raise ValueError("no classifier of these probabilities has as large a curvature")


@dataclass(frozen=True)
class Curved:
    """A certificate with curvature, of n elements.

    Attributes:
        second: the region without curvature, (n,).
        bounds: prices of the dual, (4, n); see `march`.
        radius: units of sigma, (n,).
        at: the elements where curvature says something.
        found: their march.
        shape: that of the arguments; it has n elements.
        tied: nothing is known of pairs.
    """

    second: Region
    bounds: Floats
    radius: Floats
    at: NDArray[np.intp]
    found: Marched
    shape: tuple[int, ...]
    tied: bool

    def region(self) -> Region:
        """The region that attains the radius, of the shape of the arguments."""
        flat = self.second
        if self.at.size:
            bounds, radius = self.bounds[:, self.at], self.radius[self.at]
            bent = attained(bounds, self.found.multipliers, radius, tied=self.tied)
            flat = replaced(self.second, bent, self.at)
        intervals = tuple(
            (lower.reshape(self.shape), upper.reshape(self.shape))
            for lower, upper in flat.intervals
        )
        excess, half_line = (
            None if values is None else values.reshape(self.shape)
            for values in (flat.excess, flat.half_line)
        )
        return Region(intervals, excess, half_line, flat.falls)


def curved(bounds: Floats, second: Region, shape: tuple[int, ...], *, tied: bool) -> Curved:
    """The radius of the second order, and beyond it what the curvature gives.

    Args:
        bounds: prices of the dual, (4, n); see `march`.
        second: the region without curvature, of n elements.
        shape: that of the arguments.
        tied: nothing is known of pairs.

    Raises:
        ValueError: the bounds contradict each other.
    """
    radius = np.array(second.radius(), dtype=np.float64)
    tells = (bounds[SLOPE] < 0) | (bounds[CURVATURE] < -second.curvature())
    at = np.flatnonzero(tells & (radius > 0) & (radius < _FARTHEST))
    start = radius[at]
    found = march(Fixed(bounds[:, at]), start, tied=tied)
    if np.any(found.least < CONTRADICTION):
        raise ValueError("no base classifier meets these bounds of p, slope and curvature together")
    radius[at] = np.maximum(start, found.radius)
    return Curved(second, bounds, radius, at, found, shape, tied)

"""Third-order dipole certificate: pairs, and slope and curvature along one direction.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_sigma
from sosmooth.certificates._checks import checked, in_input_units
from sosmooth.certificates._third_order_dual import CURVATURE, SLOPE
from sosmooth.certificates._third_order_march import CONTRADICTION, Marched, march
from sosmooth.certificates._third_order_prices import Fixed
from sosmooth.certificates.dipole import checked_pair_masses
from sosmooth.certificates.region import Region, pdf
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

    prices = np.stack([none, not_both, gamma, kappa])
    radius, _, _ = curved_radius(prices, second, tied=False)
    return in_input_units(radius.reshape(shape), sigma)


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


def curved_radius(
    bounds: Floats, second: Region, *, tied: bool
) -> tuple[Floats, Marched, NDArray[np.intp]]:
    """The radius of the second order, and beyond it what the curvature gives.

    Args:
        bounds: prices of the dual, (4, n); see `march`.
        second: the region without curvature, of n elements.
        tied: nothing is known of pairs.

    Returns:
        The radius, units of sigma, (n,); the march of those elements where curvature says
        something; their indices.

    Raises:
        ValueError: the bounds contradict each other.
    """
    radius = np.array(second.radius(), dtype=np.float64)
    bend = np.zeros(radius.shape)
    for lower, upper in second.intervals:
        bend = bend + np.where(upper > lower, moment(upper) - moment(lower), 0.0)
    tells = (bounds[SLOPE] < 0) | (bounds[CURVATURE] < bend)
    at = np.flatnonzero(tells & (radius > 0) & (radius < _FARTHEST))
    start = radius[at]
    found = march(Fixed(bounds[:, at]), start, tied=tied)
    if np.any(found.least < CONTRADICTION):
        raise ValueError("no base classifier meets these bounds of p, slope and curvature together")
    radius[at] = np.maximum(start, found.radius)
    return radius, found, at


def moment(z: Floats) -> Floats:
    """`z φ(z)`, 0 at infinity."""
    finite = np.clip(z, -60.0, 60.0)
    return finite * pdf(finite)

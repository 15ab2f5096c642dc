"""Third-order certificate: probability, and slope and curvature along one direction.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import checked_sigma
from sosmooth.certificates._checks import in_input_units, probability_and_error
from sosmooth.certificates.region import Region, moment, pdf
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.third_order_dipole import (
    Curved,
    curved,
    noise_units,
    refuse_impossible,
)


def third_order_region(
    p: ArrayLike | None = None,
    gradient_norm: ArrayLike | None = None,
    curvature: ArrayLike | None = None,
    *,
    error: ArrayLike | None = None,
) -> Region:
    """The region `(−∞, a] ∪ [b, c]` that attains the certificate at its radius.

    Where the slope limits the adversary, the three ends solve three equations and the region is the
    same at every distance; where it does not, the region belongs to the certified radius.

    Args:
        p: probability of the class, or a lower bound of it, in [0, 1]; any shape.
        gradient_norm: `γ`, upper bound of `−∂p/∂v` in units of the noise; broadcasts.
        curvature: `−κ`, lower bound of `vᵀ∇²p v` in units of the noise; broadcasts.
        error: `1 − p`, exact in the tail; give one of p and error.

    Returns:
        The region, in units of sigma: it has this probability and curvature, and a slope of `−γ` or
        a gentler one. Its value at the certified radius is 1/2. Where the curvature says nothing,
        or nothing is certified, it is that of the second order. NaN where the search for it failed.

    Raises:
        ValueError: as `third_order_radius`.

    Source:
        docs/theory/third_order.md.
    """
    return _solved(p, gradient_norm, curvature, error, np.ones(())).region()


def third_order_radius(
    p: ArrayLike | None = None,
    gradient_norm: ArrayLike | None = None,
    curvature: ArrayLike | None = None,
    *,
    error: ArrayLike | None = None,
    sigma: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Certified radius along a direction, from the probability, slope and curvature along it.

    With `γ = σ gradient_norm` and `κ = −σ² curvature`, no base classifier with this probability, a
    slope of at least `−γ` and a curvature of at least `−κ` is wrong on more than half of the noise
    at any smaller distance.

    Args:
        p: lower bound of the probability, in [0, 1]; any shape.
        gradient_norm: upper bound of `−∂p/∂v`, per input unit; negative where p is known to rise,
            `inf` where nothing is known; broadcasts.
        curvature: lower bound of `vᵀ∇²p v`, per input unit squared; `−inf` where nothing is known;
            broadcasts.
        error: `1 − p`, exact in the tail; give one of p and error.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where p ≤ 1/2, `inf` where
        p = 1. Up to rounding, never below the second-order radius.

    Raises:
        ValueError: a value outside its range or NaN, none or both of `p` and `error`, no slope or
            curvature, bounds that no base classifier meets.

    Guarantee:
        Sound for the given bounds when they hold simultaneously, whatever the search for the best
        multipliers has found. It is tight up to the accuracy of that search.

    Source:
        docs/theory/third_order.md.

    >>> float(round(third_order_radius(0.8, 0.2, -0.1), 6))
    1.181682
    """
    sigma = checked_sigma(sigma)
    solved = _solved(p, gradient_norm, curvature, error, sigma)
    return in_input_units(solved.radius.reshape(solved.shape), sigma)


def _solved(
    p: ArrayLike | None,
    gradient_norm: ArrayLike | None,
    curvature: ArrayLike | None,
    error: ArrayLike | None,
    sigma: NDArray[np.float64],
) -> Curved:
    """Everything that is known, in units of sigma."""
    _, error = probability_and_error(p, error)
    if gradient_norm is None or curvature is None:
        raise ValueError(
            "third order needs gradient_norm and curvature, bounds along one direction"
        )
    gamma, kappa = noise_units(gradient_norm, curvature, sigma)
    error, gamma, kappa = np.broadcast_arrays(error, gamma, kappa)
    shape = error.shape
    error, gamma, kappa = error.ravel(), gamma.ravel(), kappa.ravel()
    second = second_order_region(error=error, gradient_norm=np.maximum(gamma, 0.0))
    lowest = -2 * moment(special.ndtri(0.5 + 0.5 * error))
    refuse_impossible(gamma, pdf(special.ndtri(error)), kappa, lowest)

    bounds = np.stack([np.zeros(error.shape), error, gamma, kappa])
    return curved(bounds, second, shape, tied=True)

"""Second-order certificate: what the probability and the norm of its gradient give together.

Source: Levine et al. 2020, Theorem 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_sigma
from sosmooth.certificates._checks import (
    checked,
    in_input_units,
    probability_and_error,
)
from sosmooth.certificates._root import decreasing_root
from sosmooth.certificates.region import Region, interval, pdf, quantile_from_tail


def second_order_region(
    p: ArrayLike | None = None,
    gradient_norm: ArrayLike | None = None,
    *,
    error: ArrayLike | None = None,
) -> Region:
    """The band `[u, v]` with `Φ(v) − Φ(u) = p` and `φ(v) − φ(u) = γ`.

    A gradient norm at or above the largest possible one, `φ(Φ⁻¹(p))`, says nothing. The region is
    then the half-line of first order.

    Args:
        p: probability of the class, or a lower bound of it, in [0, 1]; any shape.
        gradient_norm: `γ = σ‖∇p‖₂`, or an upper bound of it, at least 0; broadcasts.
        error: the same as `1 − p`, exact in the tail; give one of the two.

    Returns:
        The region, in units of sigma.

    Raises:
        ValueError: a value is outside its range or NaN, neither or both of `p` and `error` were
            given, or there is no gradient norm.

    Source:
        Levine et al. 2020, Theorem 1, equations 2 and 3, with `u = Φ⁻¹(a')`.
    """
    _, error = probability_and_error(p, error)
    if gradient_norm is None:
        raise ValueError(
            "second order needs gradient_norm, an upper bound of the norm of the gradient"
        )
    gamma = checked("gradient_norm", gradient_norm, 0.0, np.inf, "at least 0")
    # Half of a subnormal float has no digits left, or is zero.
    error = np.where(error > 0, np.maximum(error, 4 * np.finfo(np.float64).tiny), error)
    error, gamma = np.broadcast_arrays(error, gamma)
    shape = error.shape
    right = _right_tail(error.ravel(), gamma.ravel()).reshape(shape)
    left = np.maximum(error - right, 0.0)
    # Close to the largest gradient the search rounds more than the closed form of the half-line.
    half_line = interval(-np.inf, quantile_from_tail(error))[1]
    return Region(
        (interval(special.ndtri(left), quantile_from_tail(right)),),
        excess=0.5 - error,
        half_line=half_line,
    )


def second_order_radius(
    p: ArrayLike | None = None,
    gradient_norm: ArrayLike | None = None,
    *,
    error: ArrayLike | None = None,
    sigma: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Certified l2 radius from the probability of the top class and the norm of its gradient.

    Args:
        p: lower bound of the probability, in [0, 1]; any shape.
        gradient_norm: upper bound of `‖∇p‖₂`, per input unit, at least 0; `inf` where nothing is
            known; broadcasts.
        error: the same as `1 − p`, exact in the tail; give one of the two.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where p ≤ 1/2, `inf` where
        p = 1. Never below the first-order radius.

    Raises:
        ValueError: a value is outside its range or NaN, neither or both of `p` and `error` were
            given, or there is no gradient norm.

    Guarantee:
        Exact, and tight for the given pair; with bounds it holds when both hold simultaneously.

    Source:
        Levine et al. 2020, Theorem 1.

    >>> float(round(second_order_radius(0.7, 0.0), 6))
    0.981804
    """
    sigma = checked_sigma(sigma)
    if gradient_norm is None:
        raise ValueError(
            "second order needs gradient_norm, an upper bound of the norm of the gradient"
        )
    gamma = checked("gradient_norm", gradient_norm, 0.0, np.inf, "at least 0") * sigma
    return in_input_units(second_order_region(p, gamma, error=error).radius(), sigma)


def _right_tail(error: Floats, gamma: Floats) -> Floats:
    """The mass `b = 1 − Φ(v)` beyond the band, rounded up; `error/2 ≤ b ≤ error`.

    It solves `φ(Φ⁻¹(b)) − φ(Φ⁻¹(error − b)) = γ`. The search uses the two tails instead of p: for p
    near 1, p itself has no digits left. Rounding b up, and the other tail down, means a slightly
    larger gradient at the same p. That is the safe side.
    """
    largest = pdf(special.ndtri(error))
    fraction = np.divide(gamma, largest, out=np.full(error.shape, np.inf), where=largest > 0)
    solve = np.flatnonzero(fraction < 1)
    right = error.copy()
    if solve.size == 0:
        return right
    mass, target = error[solve], gamma[solve]

    def shortfall(b: Floats, index: NDArray[np.intp]) -> tuple[Floats, Floats]:
        v, u = -special.ndtri(b), special.ndtri(np.maximum(mass[index] - b, 0.0))
        return target[index] - pdf(v) + pdf(u), u - v

    root = decreasing_root(shortfall, 0.5 * mass, mass.copy(), 0.5 * mass * (1 + fraction[solve]))
    right[solve] = np.minimum(root * (1 + 8 * EPS), mass)
    return right

"""Dipole certificate: what antithetic pairs give (Levine et al. 2020, Theorem 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, checked_sigma
from sosmooth.certificates._checks import checked, in_input_units
from sosmooth.certificates.region import Region, interval, quantile_from_tail


def checked_pair_masses(
    c_s: ArrayLike, c_n: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`c_s` and `c_n`, checked; where rounding makes `c_s + 2 c_n > 1`, `c_n` is lowered."""
    c_s = checked("c_s", c_s, 0.0, 1.0, "a probability in [0, 1]")
    c_n = checked("c_n", c_n, 0.0, 1.0, "a probability in [0, 1]")
    excess = c_s + 2 * c_n - 1
    if np.any(excess > 1e-12):
        raise ValueError(
            "c_s + 2 c_n must be at most 1 (a pair is right on both sides, on one, or on none); got"
            f" {np.max(excess) + 1!r}; if they are separate lower bounds, lower c_n to (1 − c_s)/2"
        )
    return c_s, np.minimum(c_n, 0.5 * (1 - c_s))


def excess_over_half(c_s: NDArray[np.float64], c_n: NDArray[np.float64]) -> NDArray[np.float64]:
    """`c_s + c_n − 1/2`, rounded down."""
    # The larger mass minus one half is exact, so the sum is rounded once.
    excess = (np.maximum(c_s, c_n) - 0.5) + np.minimum(c_s, c_n)
    # c_n is at most (1 − c_s)/2, which may have been rounded up.
    excess = np.minimum(excess, 0.5 * c_s)
    return excess - EPS * np.abs(excess)


def dipole_region(c_s: ArrayLike, c_n: ArrayLike) -> Region:
    """The half-line and the slab `(−∞, Φ⁻¹(C_N)] ∪ [−s, s]`, `s = Φ⁻¹((1 + C_S)/2)`.

    Args:
        c_s: probability that both of a pair `x ± ε` are right, or a lower bound of it; any shape.
        c_n: probability that `x + ε` is right and `x − ε` is wrong, or a lower bound of it;
            broadcasts.

    Returns:
        The region, in units of sigma.

    Raises:
        ValueError: a value is outside [0, 1] or NaN, or `c_s + 2 c_n > 1` beyond rounding.

    Source:
        Levine et al. 2020, Theorem 3, equations 8 and 9.
    """
    c_s, c_n = np.broadcast_arrays(*checked_pair_masses(c_s, c_n))
    s = quantile_from_tail(0.5 * (1 - c_s))
    left = interval(np.full(c_n.shape, -np.inf), special.ndtri(c_n))
    return Region((left, interval(-s, s)), excess_over_half(c_s, c_n))


def dipole_radius(c_s: ArrayLike, c_n: ArrayLike, *, sigma: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Certified l2 radius from the probabilities of the antithetic pairs.

    Args:
        c_s: lower bound of the probability that both of a pair `x ± ε` are right, in [0, 1]; any
            shape.
        c_n: lower bound of the probability that `x + ε` is right and `x − ε` is wrong, in [0, 1];
            broadcasts.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where `c_s + c_n ≤ 1/2`, `inf`
        where `c_s = 1`.

    Raises:
        ValueError: a value is outside [0, 1] or NaN, or `c_s + 2 c_n > 1` beyond rounding.

    Guarantee:
        Exact, and tight for the given pair; with bounds it holds when both hold simultaneously.

    Source:
        Levine et al. 2020, Theorem 3.

    >>> float(round(dipole_radius(0.8, 0.05), 6))
    1.272634
    """
    return in_input_units(dipole_region(c_s, c_n).radius(), checked_sigma(sigma))

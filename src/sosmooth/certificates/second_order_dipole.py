"""Second-order dipole certificate, in closed form: antithetic pairs and the gradient norm.

Statement and proof: docs/theory/second_order_dipole.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_sigma
from sosmooth.certificates._checks import checked, in_input_units
from sosmooth.certificates._root import decreasing_root
from sosmooth.certificates.dipole import checked_pair_masses, excess_over_half
from sosmooth.certificates.region import Region, interval, pdf, quantile_from_tail


def second_order_dipole_region(c_s: ArrayLike, c_n: ArrayLike, gradient_norm: ArrayLike) -> Region:
    """The region that loses fastest, given the pair probabilities and a bound of the gradient norm.

    With `s = Φ⁻¹((1 + C_S)/2)`, `c = Φ⁻¹(C_N)`, `P_0 = 1 − C_S − 2 C_N`, `t = −Φ⁻¹(P_0/2)`:

    1. `γ ≥ φ(c)`: the dipole region `(−∞, c] ∪ [−s, s]`;
    2. `φ(s) − φ(t) ≤ γ < φ(c)`: `[u, v] ∪ [−s, s]` with `Φ(v) − Φ(u) = C_N`, `φ(v) − φ(u) = γ`;
    3. `γ < φ(s) − φ(t)`: `[−t, −m] ∪ [−s, m]` with `φ(m) = (φ(s) + φ(t) + γ)/2`.

    Args:
        c_s: probability that both of a pair `x ± ε` are right, or a lower bound of it; any shape.
        c_n: probability that `x + ε` is right and `x − ε` is wrong, or a lower bound of it;
            broadcasts.
        gradient_norm: `γ = σ‖∇p‖₂`, or an upper bound of it, at least 0; `inf` where nothing is
            known; broadcasts.

    Returns:
        The region, in units of sigma.

    Raises:
        ValueError: a value is outside its range or NaN, or `c_s + 2 c_n > 1` beyond rounding.

    Source:
        docs/theory/second_order_dipole.md; case 1 is Levine et al. 2020, Theorem 3.
    """
    c_s, c_n = checked_pair_masses(c_s, c_n)
    gamma = checked("gradient_norm", gradient_norm, 0.0, np.inf, "at least 0")
    c_s, c_n, gamma = np.broadcast_arrays(c_s, c_n, gamma)
    shape = c_s.shape
    c_s, c_n, gamma = c_s.ravel(), c_n.ravel(), gamma.ravel()
    not_both = 1 - c_s
    # Adds twice the error of the two subtractions: a P_0 that is too large is on the safe side.
    none = np.where(c_s < 1, np.maximum(not_both - 2 * c_n, 0.0) + EPS * not_both, 0.0)
    # s, t and m are rounded down, in this order. The region is then the exact one for a slightly
    # smaller C_S, a slightly larger P_0 and a gradient norm that is not smaller.
    s = interval(0.0, quantile_from_tail(0.5 * not_both))[1]
    t = np.maximum(interval(0.0, quantile_from_tail(0.5 * none))[1], s)
    middle = 0.5 * (pdf(s) + pdf(t) + gamma) * (1 + 8 * EPS)
    odd = 2 * middle < 2 * pdf(s)
    left_end, left_start = special.ndtri(c_n), np.full(c_n.shape, -np.inf)
    band = np.flatnonzero(~odd & (gamma < pdf(left_end)))
    if band.size:
        lower, upper = _left_band(c_n[band], gamma[band], -t[band])
        left_start[band], left_end[band] = lower, upper
    right_end = s.copy()
    with np.errstate(divide="ignore"):
        m = np.sqrt(np.maximum(-2 * np.log(np.sqrt(2 * np.pi) * middle[odd]), 0.0))
    m = np.clip(interval(0.0, m)[1], s[odd], t[odd])
    left_start[odd], left_end[odd], right_end[odd] = -t[odd], -m, m
    # The left interval must not reach into the slab, or mass would be counted twice.
    left_end = np.minimum(left_end, -s)
    ends = (left_start, left_end, -s, right_end)
    left_start, left_end, slab_start, slab_end = (end.reshape(shape) for end in ends)
    excess = excess_over_half(c_s, c_n).reshape(shape)
    return Region((interval(left_start, left_end), interval(slab_start, slab_end)), excess)


def second_order_dipole_radius(
    c_s: ArrayLike, c_n: ArrayLike, gradient_norm: ArrayLike, *, sigma: ArrayLike = 1.0
) -> NDArray[np.float64]:
    """Certified l2 radius from the probabilities of the pairs and the norm of the gradient.

    Args:
        c_s: lower bound of the probability that both of a pair `x ± ε` are right, in [0, 1]; any
            shape.
        c_n: lower bound of the probability that `x + ε` is right and `x − ε` is wrong, in [0, 1];
            broadcasts.
        gradient_norm: upper bound of `‖∇p‖₂`, per input unit, at least 0; `inf` where nothing is
            known; broadcasts.
        sigma: noise level, input units, positive; broadcasts.

    Returns:
        Float64 of the broadcast shape, input units, rounded down; 0 where `c_s + c_n ≤ 1/2`, `inf`
        where `c_s = 1`. Up to rounding, never below the dipole and the second-order radius.

    Raises:
        ValueError: a value is outside its range or NaN, or `c_s + 2 c_n > 1` beyond rounding.

    Guarantee:
        Exact, and tight for the given three; with bounds it holds when all hold simultaneously.

    Source:
        docs/theory/second_order_dipole.md.

    >>> float(round(second_order_dipole_radius(0.6068, 0.1932, 0.195973344285), 6))
    0.976938
    """
    sigma = checked_sigma(sigma)
    gamma = checked("gradient_norm", gradient_norm, 0.0, np.inf, "at least 0") * sigma
    return in_input_units(second_order_dipole_region(c_s, c_n, gamma).radius(), sigma)


def _left_band(mass: Floats, gamma: Floats, largest: Floats) -> tuple[Floats, Floats]:
    """`[u, v]` left of 0 with `Φ(v) − Φ(u) = mass`, `φ(v) − φ(u) = γ`, and `u ≤ largest`.

    `u` is rounded down, which means a slightly larger gradient.
    """

    def right(u: Floats, mass: Floats) -> Floats:
        return special.ndtri((special.ndtr(u) + mass) * (1 - 4 * EPS))

    def excess(u: Floats, index: NDArray[np.intp]) -> tuple[Floats, Floats]:
        v = right(u, mass[index])
        return pdf(v) - pdf(u) - gamma[index], pdf(u) * (u - v)

    low = np.minimum(-38.5, largest)
    root = decreasing_root(
        excess, low, largest, np.maximum(special.ndtri(0.5 * special.ndtr(largest)), low)
    )
    slope = excess(root, np.arange(mass.size))[1]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        u = root - 8 * EPS * (np.abs(root) + (pdf(right(root, mass)) + gamma) / -slope)
    # A band that is too narrow for floats becomes the half-line, which has the largest gradient.
    u = np.where((u > -38.4) & (slope < 0), u, -np.inf)
    return u, right(u, mass)


def one_sided_cost(c_s: ArrayLike, c_n: ArrayLike, gradient_share: float) -> Floats:
    """What a pair right on one side costs the radius, relative to one right on none.

    It is `1 − b/(2a)` with the multipliers `a` of C_S and `b` of C_N of the linear programme
    (docs/theory/second_order_dipole.md). That is the slope of a level curve of the radius in the
    plane of the probabilities "right on one side" and "right on none".

    Args:
        c_s: as for `second_order_dipole_region`; any shape.
        c_n: as for `second_order_dipole_region`; broadcasts.
        gradient_share: the gradient norm as a fraction of the largest possible one, at least 0;
            from 1 on, the cost belongs to the dipole's radius.

    Returns:
        Float64 of the broadcast shape, in [0, 1]; 1/2 where the radius is 0. It only orders
        outcomes, so it is not rounded.
    """
    c_s, c_n = np.broadcast_arrays(*checked_pair_masses(c_s, c_n))
    region = second_order_dipole_region(c_s, c_n, gradient_share * pdf(special.ndtri(c_n)))
    r = np.minimum(region.radius(), 30.0)
    (u, v), (minus_s, right) = region.intervals
    s = -minus_s
    u, v, s, right = (np.clip(end, -30.0, 30.0) for end in (u, v, s, right))
    slope = np.where(u > -30, (np.exp(r * v) - np.exp(r * u)) / np.maximum(v - u, 1e-9), 0.0)
    one, both = np.exp(r * v) - slope * v, np.cosh(r * s)
    odd = right > s * (1 + 1e-9)
    slope = np.sinh(r * right) / np.maximum(right, 1e-9)
    one = np.where(odd, np.exp(r * u) - slope * u, one)
    both = np.where(odd, 0.5 * (np.exp(-r * s) + slope * s + one), both)
    return np.where(r > 0, np.clip(1 - 0.5 * one / both, 0.0, 1.0), 0.5)

"""The dual of the third-order programme: any multipliers bound the wrong mass from above.

On each `z > 0` a pair `(z, −z)` of evaluations is wrong on no side, at `z` only (P), at `−z` only
(M) or on both (N). At distance `r` along the direction, with `w(z) = exp(r z − r²/2)` and
`G(z) = w(z) − μ z − ν (z² − 1)`, the states gain

    0,    G(z) − b,    G(−z) − b,    G(z) + G(−z) − b − b'

and the bound is `b' P_0/2 + b (1 − C_S)/2 + μ γ + ν κ + ∫_{z>0} (largest gain) φ(z) dz`.
Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates.region import pdf

#: Rows of multipliers and of what they price: b' of P_0/2, b of (1 − C_S)/2, μ of γ, ν of κ.
BOTH, ONE, SLOPE, CURVATURE = range(4)
#: States of a pair: wrong on no side, at z only, at −z only, on both.
NONE, PLUS, MINUS, WRONG = range(4)
#: Cuts beyond this have no mass left behind them; unused cuts are put here.
FAR = 60.0
#: The smallest curvature multiplier: the roots below need a positive one.
SMALLEST = 1e-12
_NEWTON = 9
# By how many units in the last place of their absolute sum the sum of the terms may be off.
_ULPS = 64


@dataclass(frozen=True)
class Integral:
    """`∫_{z>0} (largest gain) φ` for each element, and what a search for better multipliers needs.

    Attributes:
        value: rounded up, (n,).
        gradient: by the four multipliers, (4, n).
        slope: by the distance, at fixed multipliers, (n,).
        cuts: where the best state changes, (k, n), rising; unused ones repeat a state.
        states: the best state left of each cut, and behind the last, (k + 1, n).
    """

    value: Floats
    gradient: Floats
    slope: Floats
    cuts: Floats
    states: NDArray[np.intp]


def allowed(multipliers: Floats) -> Floats:
    """The multipliers, none below 0, and that of the curvature positive."""
    used = np.maximum(multipliers, 0.0)
    used[CURVATURE] = np.maximum(used[CURVATURE], SMALLEST)
    return used


def integral(multipliers: Floats, r: Floats) -> Integral:
    """The dual's integral at distance `r` (units of sigma), (n,), for `allowed` multipliers (4, n).

    The largest gain changes only at zeros of differences of two gains; all of them are found, and
    between them the integrals are values of Φ and φ.
    """
    both, one, mu, nu = multipliers
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        turning = turning_points(r, mu, nu)
        candidates = np.concatenate(
            [
                np.abs(line_roots(one, r, mu, nu, turning)),
                np.abs(line_roots(both, r, mu, nu, turning)),
                _even_roots(both + one, r, nu),
                _sinhc_inverse(mu / (np.exp(-0.5 * r * r) * r))[None] / r,
            ]
        )
        cuts = np.sort(np.where(candidates > 0, np.minimum(candidates, FAR), 0.0), axis=0)
        edges = np.concatenate([np.zeros((1, r.size)), cuts, cuts[-1:] + 2.0])
        states = _best(0.5 * (edges[1:] + edges[:-1]), both, one, mu, nu, r)
    start = edges[:-1]
    plus, minus, wrong = (_jumps(states, state) for state in (PLUS, MINUS, WRONG))
    density = pdf(start)
    tail = special.ndtr(-start)
    away = start * density
    single = plus + minus
    parts = np.stack(
        [
            (plus + wrong) * special.ndtr(r - start),
            (minus + wrong) * special.ndtr(-r - start),
            -both * wrong * tail,
            -one * (single + wrong) * tail,
            -mu * (plus - minus) * density,
            -nu * (single + 2 * wrong) * away,
        ]
    )
    # A cut slightly off its place, or a tie broken the wrong way, loses at most this.
    changes = states[1:] != states[:-1]
    with np.errstate(over="ignore", invalid="ignore"):
        gain_plus, gain_minus = gains(cuts, one, mu, nu, r)
        gain_wrong = gain_plus + gain_minus + one - both
        tie = plus[1:] * gain_plus + minus[1:] * gain_minus + wrong[1:] * gain_wrong
        missed = np.where(changes & (cuts < FAR), np.abs(tie), 0.0) * density[1:]
    error = _ULPS * EPS * np.abs(parts).sum(axis=(0, 1)) + missed.sum(axis=0)
    gradient = -np.stack(
        [
            (wrong * tail).sum(axis=0),
            ((single + wrong) * tail).sum(axis=0),
            ((plus - minus) * density).sum(axis=0),
            ((single + 2 * wrong) * away).sum(axis=0),
        ]
    )
    slope = ((plus + wrong) * pdf(start - r) - (minus + wrong) * pdf(start + r)).sum(axis=0)
    value = parts.sum(axis=(0, 1)) + error
    return Integral(np.where(np.isfinite(value), value, np.inf), gradient, slope, cuts, states)


def gains(z: Floats, one: Floats, mu: Floats, nu: Floats, r: Floats) -> tuple[Floats, Floats]:
    """`G(z) − b` and `G(−z) − b`."""
    even = nu * (z * z - 1) + one
    rise = np.exp(r * z - 0.5 * r * r) - mu * z - even
    fall = np.exp(-r * z - 0.5 * r * r) + mu * z - even
    return rise, fall


def _jumps(states: NDArray[np.intp], state: int) -> Floats:
    """By what the indicator of `state` changes at 0 and at each cut."""
    inside = (states == state).astype(np.float64)
    return np.concatenate([inside[:1], np.diff(inside, axis=0)])


def _best(
    z: Floats, both: Floats, one: Floats, mu: Floats, nu: Floats, r: Floats
) -> NDArray[np.intp]:
    """The state of the largest gain, by comparisons that no large common term blurs."""
    plus, minus = gains(z, one, mu, nu, r)
    lower = np.minimum(plus, minus)
    wrong = (lower + one > both) & (plus + minus > both - one)
    single = (np.maximum(plus, minus) > 0) & ~wrong
    return np.where(wrong, WRONG, np.where(single, np.where(plus > minus, PLUS, MINUS), NONE))


def turning_points(r: Floats, mu: Floats, nu: Floats) -> tuple[Floats, Floats, Floats]:
    """Where `G` turns from rising to falling, has its inflection, and turns back.

    `G''' > 0`, so there is one inflection and at most two turning points; NaN where `G` only rises.
    """
    inflection = np.log(2 * nu / r**2) / r + 0.5 * r
    # In u = r (z − inflection) the slope of G is a positive multiple of exp(u) − u − a.
    a = r * mu / (2 * nu) + r * inflection
    depth = np.maximum(a - 1, 0.0)
    near = np.sqrt(2 * depth)
    once = np.log(np.maximum(a + np.log(np.maximum(a, 1.0)), 1.0))
    left = np.where(depth < 1, depth / 3 - near, np.exp(-np.clip(a, 0.0, 700.0)) - a)
    right = np.where(depth < 1, near - depth / 3 + near**3 / 36, np.log(np.maximum(a + once, 1.0)))
    u = np.stack([left, right])
    for _ in range(4):
        rising = np.exp(u)
        step = (rising - u - a) / (rising - 1)
        step = step / (1 - 0.5 * step * rising / (rising - 1))
        u = np.where(np.isfinite(step), u - step, u)
    turns = depth > 0
    first = np.where(turns, np.minimum(inflection + u[0] / r, inflection), np.nan)
    last = np.where(turns, np.maximum(inflection + u[1] / r, inflection), np.nan)
    return first, inflection, last


def line_roots(
    level: Floats, r: Floats, mu: Floats, nu: Floats, turning: tuple[Floats, Floats, Floats]
) -> Floats:
    """The roots of `G = level` on the whole axis, (3, n), rising; NaN where there are fewer.

    On each monotone piece Newton's method starts on the side from which it cannot leave.
    """
    first, inflection, last = turning
    turns = np.isfinite(first)

    def g(z: Floats) -> Floats:
        return np.exp(r * z - 0.5 * r * r) - mu * z - nu * (z * z - 1)

    top, bottom = np.where(turns, first, inflection), np.where(turns, last, inflection)
    at_top, at_bottom = g(top), g(bottom)
    # Left: concave, below a parabola with the value of w at the top and below one through the top.
    room = mu * mu + 4 * nu * (nu + np.exp(r * top - 0.5 * r * r) - level)
    left = (-mu - np.sqrt(np.maximum(room, 0.0))) / (2 * nu)
    below_top = np.sqrt(2 * np.maximum(at_top - level, 0.0) / -_bend(top, r, nu))
    left = np.where(turns, np.fmax(left, top - below_top), left)
    # Middle: from the inflection, or by the parabola of a turning point close by.
    above_bottom = np.sqrt(2 * np.maximum(level - at_bottom, 0.0) / _bend(bottom, r, nu))
    middle = np.where(below_top < 0.5 * (inflection - top), top + below_top, inflection)
    near_bottom = above_bottom < 0.5 * (bottom - inflection)
    middle = np.where(near_bottom, bottom - above_bottom, middle)
    # Right: convex, above its parabola at the bottom (above its cubic, where G only rises).
    at = np.exp(r * bottom - 0.5 * r * r)
    gap = np.maximum(level - at_bottom, 0.0)
    ahead = np.cbrt(6 * gap / (r**3 * at))
    ahead = np.where(turns, np.fmin(ahead, above_bottom), ahead)
    for _ in range(3):
        ahead = np.minimum(ahead, np.log1p(r * ahead + 0.5 * (r * ahead) ** 2 + gap / at) / r)
    z = np.stack([left, middle, bottom + ahead])
    for _ in range(_NEWTON):
        w = np.exp(r * z - 0.5 * r * r)
        step = (w - mu * z - nu * (z * z - 1) - level) / (r * w - mu - 2 * nu * z)
        z = np.where(np.isfinite(step), z - step, z)
    exists = np.stack(
        [
            level < at_top,
            turns & (level <= at_top) & (level >= at_bottom),
            (level > at_bottom) | (~turns & (level == at_bottom)),
        ]
    )
    return np.where(exists, z, np.nan)


def _bend(z: Floats, r: Floats, nu: Floats) -> Floats:
    """`G''`."""
    return r * r * np.exp(r * z - 0.5 * r * r) - 2 * nu


def _even_roots(level: Floats, r: Floats, nu: Floats) -> Floats:
    """The positive roots of `G(z) + G(−z) = level`, (2, n); NaN where there are fewer."""
    half = np.exp(-0.5 * r * r)
    steepness = 2 * nu / (half * r * r)

    def even(z: Floats) -> Floats:
        return 2 * half * np.cosh(r * z) - 2 * nu * (z * z - 1)

    bottom = _sinhc_inverse(steepness) / r
    lowest = even(bottom)
    inflection = np.arccosh(np.maximum(steepness, 1.0)) / r
    gap = np.maximum(level - lowest, 0.0)
    bend = 2 * half * r * r * np.cosh(r * bottom)
    near = np.sqrt(2 * gap / (bend - 4 * nu))
    ahead = np.fmin(near, (24 * gap / (bend * r * r)) ** 0.25)
    for _ in range(3):
        height = level + 2 * nu * ((bottom + ahead) ** 2 - 1)
        reach = np.arccosh(np.maximum(height / (2 * half), 1.0)) / r - bottom
        ahead = np.fmin(ahead, np.maximum(reach, 0.0))
    out = np.sqrt((2 * half + 2 * nu - level) / (2 * nu - half * r * r))
    falling = np.where(out < 0.5 * inflection, out, inflection)
    falling = np.where(near < 0.5 * (bottom - inflection), bottom - near, falling)
    z = np.stack([falling, bottom + ahead])
    for _ in range(_NEWTON):
        value = 2 * half * np.cosh(r * z) - 2 * nu * (z * z - 1) - level
        step = value / (2 * half * r * np.sinh(r * z) - 4 * nu * z)
        z = np.where(np.isfinite(step), z - step, z)
    falls = (steepness > 1) & (level < 2 * half + 2 * nu) & (level > lowest)
    return np.where(np.stack([falls, level > lowest]), z, np.nan)


def _sinhc_inverse(ratio: Floats) -> Floats:
    """The `v ≥ 0` with `sinh(v)/v = ratio`; 0 where the ratio is at most 1."""
    above = np.maximum(ratio, 1.0)
    small = np.sqrt(6 * (above - 1) / (1 + 0.15 * (above - 1)))
    v = np.where(
        above < 3, small, np.log(2 * above * np.log(2 * above * np.log(2 * above + 1) + 1))
    )
    for _ in range(5):
        sinh, cosh = np.sinh(v), np.cosh(v)
        step = (sinh / v - above) / ((cosh * v - sinh) / (v * v))
        v = np.where(np.isfinite(step), np.maximum(v - step, 1e-9), v)
    return np.where(ratio > 1, v, 0.0)

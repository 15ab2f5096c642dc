"""The dual of the look-ahead programme: any multipliers bound the smoothed value from below.

At `δ = a û + b ŵ` (units of sigma, `ŵ ⊥ û`, `b > 0`) let `t = û·z`, `s = ŵ·z` and
`w = exp(a t + b s − (a² + b²)/2)`. With `A(t) = ℓ + g t + ν (t² − 1)` the bound is

    ℓ p + (g's price) + ν k − μ γ_⊥ − E(A(t) + μ s − w)₊

For each t the positive part is an interval of s, in closed form; over t it is summed up on a grid,
from above. Statement and proof: docs/theory/look_ahead.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates.region import pdf

#: Rows of multipliers and prices: ℓ of p; g of the least slope, and minus g of the largest one; ν
#: of the curvature; μ of the orthogonal gradient.
VALUE, RISE, FALL, BEND, ACROSS = range(5)
# The grid ends here; what lies beyond is bounded in closed form.
_END = 8.5
# Beyond this no s has any mass.
_FAR = 40.0
#: The smallest multiplier of the orthogonal gradient: below it the roots lose their digits.
SMALLEST = 1e-9
_ULPS = 64
# A sum of the weights is off by less, relative.
_SUM_ERROR = 1e-12


@dataclass(frozen=True)
class Grid:
    """Nodes of t, and the integrals of the hat functions around them times the normal density.

    Attributes:
        t: rising, the first and last at ∓`_END`, (nodes,).
        weight: (nodes,); with them the chords of any function are integrated exactly.
        powers: products of 1, t and t² − 1, (nodes, 6).
        step: between nodes.
    """

    t: Floats
    weight: Floats
    powers: Floats
    step: float

    @staticmethod
    def of(cells: int) -> Grid:
        """The grid of so many cells."""
        t = np.linspace(-_END, _END, cells + 1)
        step = 2 * _END / cells
        x, share = np.polynomial.legendre.leggauss(8)
        up = 0.5 * (x + 1)
        mass = 0.5 * step * share * pdf(t[:-1, None] + step * up)
        weight = np.zeros(cells + 1)
        weight[:-1] += (mass * (1 - up)).sum(axis=1)
        weight[1:] += (mass * up).sum(axis=1)
        one, bend = np.ones_like(t), t * t - 1
        powers = np.stack([one, t, bend, t * t, t * bend, bend * bend], axis=1)
        return Grid(t, weight, powers, step)


@dataclass(frozen=True)
class Value:
    """The dual at some multipliers.

    Attributes:
        value: the bound of the smoothed value, without the error of the grid, (n,).
        slack: that error and all rounding, at most; infinite where it is unknown, (n,).
        gradient: of the value, (5, n).
        hessian: of the value, (n, 5, 5).
    """

    value: Floats
    slack: Floats
    gradient: Floats
    hessian: NDArray[np.float64]


# Overflow and undefined steps only spoil the search; `slack` is infinite there.
@np.errstate(all="ignore")
def dual(y: Floats, prices: Floats, a: Floats, b: Floats, grid: Grid) -> Value:
    """The dual at multipliers y, none below 0, (5, n).

    Args:
        y: multipliers, see `VALUE` and the others.
        prices: what they are multiplied by, (5, n) or (5, 1).
        a: of `δ` along û, (n,).
        b: of `δ` across, positive, (n,).
        grid: of t.
    """
    t, width = grid.t, b[:, None]
    level, bend, mu = y[VALUE][:, None], y[BEND][:, None], np.maximum(y[ACROSS], SMALLEST)[:, None]
    lean = (y[RISE] - y[FALL])[:, None]
    line = level + lean * t + bend * (t * t - 1)
    log_w = a[:, None] * t - 0.5 * (a * a + b * b)[:, None]
    # With u = b (s − lowest) the sign of w − A − μ s is that of exp(u) − u − depth.
    log_ratio = np.log(mu / width) - log_w
    depth = line * width / mu + log_ratio
    crosses = depth > 1
    left, right = _roots(depth)
    lowest = log_ratio / width
    s = [np.clip(lowest + u / width, -_FAR, _FAR) for u in (left, right)]
    low, high = s
    mass = special.ndtr(high) - special.ndtr(low)
    first = pdf(low) - pdf(high)
    moved = np.exp(a[:, None] * t - 0.5 * (a * a)[:, None])
    taken = special.ndtr(high - width) - special.ndtr(low - width)
    inside = line * mass + mu * first - moved * taken
    weight = np.where(crosses, grid.weight, 0.0)
    positive = (weight * inside).sum(axis=1)
    value = (y * prices).sum(axis=0) - positive
    slack = _slack(y, prices, a, mu[:, 0], b, grid, line, mass, moved, crosses, s, log_w)

    moments = (weight * mass) @ grid.powers[:, :3]
    gradient = prices - np.stack(
        [moments[:, 0], moments[:, 1], -moments[:, 1], moments[:, 2], (weight * first).sum(axis=1)]
    )
    rates = [
        np.where(crosses & (np.abs(at) < _FAR), grid.weight * pdf(at), 0.0)
        / np.maximum(mu * np.abs(np.expm1(u)), 1e-12)
        for at, u in zip(s, (left, right), strict=True)
    ]
    plain = (rates[0] + rates[1]) @ grid.powers
    once = (rates[0] * low + rates[1] * high) @ grid.powers[:, :3]
    twice = (rates[0] * low**2 + rates[1] * high**2).sum(axis=1)
    full = np.empty((len(a), 4, 4))
    for (i, j), k in {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (2, 2): 5}.items():
        full[:, i, j] = full[:, j, i] = plain[:, k]
    full[:, :3, 3] = full[:, 3, :3] = once
    full[:, 3, 3] = twice
    # ℓ, g and −g, ν, μ in terms of ℓ, g, ν, μ.
    spread = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    return Value(value, slack, gradient, -spread @ full @ spread.T)


def _roots(depth: Floats) -> tuple[Floats, Floats]:
    """The roots `u₁ ≤ 0 ≤ u₂` of `exp(u) − u = depth`; 0 where the depth is at most 1."""
    above = np.maximum(depth - 1, 0.0)
    near = np.sqrt(2 * above)
    once = np.log(np.maximum(depth + np.log(np.maximum(depth, 1.0)), 1.0))
    u = np.stack(
        [
            np.where(above < 1, above / 3 - near, np.exp(-np.clip(depth, 0.0, 700.0)) - depth),
            np.where(above < 1, near - above / 3, np.log(np.maximum(depth + once, 1.0))),
        ]
    )
    for _ in range(4):
        grown = np.expm1(u)
        step = (grown - u - above) / grown
        step = step / (1 - 0.5 * step * (grown + 1) / grown)
        u = np.where(np.isfinite(step), u - step, u)
    return np.minimum(u[0], 0.0), np.maximum(u[1], 0.0)


def _slack(
    y: Floats,
    prices: Floats,
    a: Floats,
    mu: Floats,
    b: Floats,
    grid: Grid,
    line: Floats,
    mass: Floats,
    moved: Floats,
    crosses: NDArray[np.bool_],
    s: list[Floats],
    log_w: Floats,
) -> Floats:
    """How far the positive part, and the value, may be off at most, (n,)."""
    # Chords: exp(a t) lies above its tangent in the middle of a cell.
    x = 0.5 * np.abs(a) * grid.step
    total = moved @ grid.weight
    chords = (1 - np.exp(x) * (1 - x)) * total
    # A root that is off loses at most the height there.
    off = np.zeros(line.shape)
    for at in s:
        w = np.exp(log_w + b[:, None] * at)
        height = np.abs(line + mu[:, None] * at - w)
        size = np.abs(line) + mu[:, None] * np.abs(at) + w
        off += np.where(np.abs(at) < _FAR, height + _ULPS * EPS * size, 0.0)
    log_ratio = np.abs(np.log(mu / b)[:, None] - log_w)
    size = np.abs(line) + mu[:, None] + moved + (mu / b)[:, None] * (1 + log_ratio)
    rounding = _ULPS * EPS * size + np.where(crosses, off, 0.0)
    rounding = (grid.weight * rounding).sum(axis=1) + _SUM_ERROR * total
    rounding += _ULPS * EPS * np.abs(y * prices).sum(axis=0)
    rounding += _SUM_ERROR * ((grid.weight * np.abs(line)).sum(axis=1) + mu)
    # Beyond the grid w is not counted.
    tail, density = float(special.ndtr(-_END)), float(pdf(_END))
    lean = y[RISE] + y[FALL]
    beyond = (
        2
        * ((y[VALUE] + mu) * tail + lean * density + y[BEND] * (_END * density + tail))
        * (1 + 1e-9)
    )
    slack = chords + rounding + beyond
    # The multiplier of the orthogonal gradient may be smaller than was asked for.
    slack += (mu - y[ACROSS]) * np.abs(prices[ACROSS])
    return np.where(np.isfinite(slack) & (x < 1), slack, np.inf)

"""The third-order dual with its maximum smoothed, which Newton's method minimises from afar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sosmooth._numbers import Floats
from sosmooth.certificates._third_order_dual import BOTH, CURVATURE, ONE, SLOPE
from sosmooth.certificates._third_order_prices import Prices
from sosmooth.certificates.region import pdf

# Temperatures of the smoothed dual, relative to the natural scale of the gains.
_HOT, _COLD, _COOLING = 0.3, 2e-3, 0.3
_SMOOTH_STEPS = 80
# How much far steps are shortened; what the value may rise by rounding.
_DAMPING, _ROUNDING = 0.3, 1e-13
# Nodes where the states change, and in the tail.
_INNER, _OUTER = (np.polynomial.legendre.leggauss(count) for count in (40, 8))


def natural_scale(multipliers: Floats, r: Floats) -> Floats:
    """By how much the gains differ where they matter: to third order in small distances."""
    return multipliers[ONE] * r**3 / (1 + r**3)


def carried(multipliers: Floats, r: Floats, to: Floats) -> Floats:
    """A guess of the best multipliers at another distance.

    `w(z) = 1 + r z + r²/2 (z² − 1) + …`: near the coefficients of that series all gains are of
    third order in r, and so is what the multipliers are off from them.
    """
    ratio = (to**3 / (1 + to**3)) / (r**3 / (1 + r**3))
    moved = series(to) + (multipliers - series(r)) * ratio
    return np.where(multipliers > 0, np.maximum(moved, 0.0), 0.0)


def series(r: Floats) -> Floats:
    """The multipliers with which the gains are of third order in r, (4, n)."""
    return np.stack([np.ones(r.shape), np.ones(r.shape), r, 0.5 * r * r])


def smoothed(
    multipliers: Floats, prices: Prices, r: Floats, *, tied: bool, hot: float = _HOT
) -> tuple[Floats, Floats]:
    """Minimise the dual with `max` replaced by a soft maximum of falling temperature.

    Args:
        multipliers: a start, (4, n).
        prices: of the multipliers.
        r: distance in units of sigma, (n,).
        tied: both masses have one multiplier: nothing is known of pairs.
        hot: the first temperature, relative to the natural scale of the gains.

    Returns:
        Multipliers, all positive, and the temperatures at the end.
    """
    n = r.size
    z, mass = _nodes(prices.wrong, r)
    base = series(r)
    odd, even = base[SLOPE] * z, base[ONE] + base[CURVATURE] * (z * z - 1)
    rise = np.exp(r * z - 0.5 * r * r) - even - odd
    fall = np.exp(-r * z - 0.5 * r * r) - even + odd
    grid = np.stack([z, mass, rise, fall])
    scale = natural_scale(multipliers, r)
    here = np.maximum(multipliers, 1e-4 * scale)
    temperature = hot * scale
    lowest, step, length = np.full(n, np.inf), np.zeros((4, n)), np.ones(n)
    active = np.arange(n)
    for _ in range(_SMOOTH_STEPS):
        if active.size == 0:
            break
        trial = here[:, active] + length[active] * step[:, active]
        heat, price = temperature[active], prices.take(active)
        barrier = 1e-3 * heat * price.wrong
        off = trial - base[:, active]
        value, gradient, hessian = _soft_dual(trial, off, price, heat, barrier, grid[..., active])
        better = value <= lowest[active] + _ROUNDING * np.abs(value)
        move = newton_step(hessian, -gradient, np.zeros((4, active.size), bool), tied=tied)
        decrease = -(gradient * move).sum(axis=0)
        good = active[better]
        here[:, good], step[:, good] = trial[:, better], move[:, better]
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(move < 0, -0.9 * trial / move, np.inf).min(axis=0)
        lowest[good], length[good] = value[better], np.minimum(room, 1.0)[better]
        far = np.sqrt(np.maximum(decrease, 0.0) / (heat * price.wrong))
        length[good] = np.minimum(length[good], 1 / (1 + _DAMPING * far[better]))
        length[active[~better]] *= 0.25
        settled = better & (decrease < 0.5 * heat * price.wrong)
        done = settled & (heat <= 1.001 * _COLD * scale[active])
        cooler = active[settled]
        # Looked at again where it is: a step that is good while it is hot may lead astray.
        lowest[cooler], length[cooler] = np.inf, 0.0
        temperature[cooler] = np.maximum(_COOLING * temperature[cooler], _COLD * scale[cooler])
        active = active[~done]
    return here, temperature


def newton_step(hessian: Floats, right: Floats, fixed: NDArray[np.bool_], *, tied: bool) -> Floats:
    """The solution of `hessian · step = right`, (4, n), with some components fixed at 0."""
    hessian, right = hessian.copy(), right.copy()
    if tied:
        hessian[:, ONE, :] += hessian[:, BOTH, :]
        hessian[:, :, ONE] += hessian[:, :, BOTH]
        right[ONE] += right[BOTH]
        fixed = fixed.copy()
        fixed[BOTH] = True
    held = fixed.T
    hessian[held[:, :, None] | held[:, None, :]] = 0.0
    size = np.einsum("nii->n", np.abs(hessian)) + 1e-30
    hessian = hessian + (held[:, :, None] + 1e-14) * size[:, None, None] * np.eye(4)
    right = np.where(fixed, 0.0, right)
    usable = np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(right).all(axis=0)
    hessian[~usable], right[:, ~usable] = np.eye(4), 0.0
    solved = np.linalg.solve(hessian, right.T[..., None])
    step = np.array(solved[..., 0].T, dtype=np.float64)
    if tied:
        step[BOTH] = step[ONE]
    return step


def _nodes(wrong_mass: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Nodes and Gaussian weights on `z > 0`, dense where the states change."""
    inner = np.maximum(-special.ndtri(np.minimum(0.02 * wrong_mass, 0.4)), 1.0)
    outer = np.maximum(inner, r) + 5.0 - inner
    (x, v), (tail_x, tail_v) = _INNER, _OUTER
    z = np.concatenate(
        [0.5 * inner * (x[:, None] + 1), inner + 0.5 * outer * (tail_x[:, None] + 1)]
    )
    weights = np.concatenate([0.5 * inner * v[:, None], 0.5 * outer * tail_v[:, None]])
    return z, weights * pdf(z)


def _soft_dual(
    y: Floats, off: Floats, prices: Prices, heat: Floats, barrier: Floats, grid: Floats
) -> tuple[Floats, Floats, Floats]:
    """Value, gradient and Hessian of the smoothed dual with a logarithmic barrier.

    `grid`, (4, nodes, n): the nodes, their weights, and by how much the likelihood ratios there
    exceed the `series`. `off` is what y exceeds its multipliers by: so gains keep their digits.
    """
    z, mass, rise, fall = grid
    both, one, mu, nu = off / heat
    bend = z * z - 1
    pull, even = mu * z, nu * bend + one
    plus, minus = rise / heat - pull - even, fall / heat + pull - even
    wrong = plus + minus + (one - both)
    top = np.maximum(np.maximum(plus, minus), np.maximum(wrong, 0.0))
    plus, minus, wrong = np.exp(plus - top), np.exp(minus - top), np.exp(wrong - top)
    total = plus + minus + wrong + np.exp(-top)

    paid, price, bends = prices.slopes(y)
    plus, minus, wrong = plus / total, minus / total, wrong / total
    single = plus + minus
    any_, lean, bent = single + wrong, z * (plus - minus), bend * (single + 2 * wrong)
    upper = {
        (BOTH, BOTH): wrong * (1 - wrong),
        (BOTH, ONE): wrong * (1 - any_),
        (BOTH, SLOPE): -wrong * lean,
        (BOTH, CURVATURE): wrong * (2 * bend - bent),
        (ONE, ONE): any_ * (1 - any_),
        (ONE, SLOPE): lean * (1 - any_),
        (ONE, CURVATURE): bent * (1 - any_),
        (SLOPE, SLOPE): z * z * single - lean * lean,
        (SLOPE, CURVATURE): lean * (bend - bent),
        (CURVATURE, CURVATURE): bend * bend * (single + 4 * wrong) - bent * bent,
    }
    values = np.stack([top + np.log(total), wrong, any_, lean, bent, *upper.values()])
    means = np.einsum("kn,ikn->in", mass, values)
    value = heat * means[0] + paid - (barrier * np.log(y)).sum(axis=0)
    gradient = price - means[1:5] - barrier / y
    hessian = np.empty((y.shape[1], 4, 4))
    for (i, j), row in zip(upper, means[5:] / heat, strict=True):
        hessian[:, i, j] = hessian[:, j, i] = row
    hessian[:, range(4), range(4)] += (barrier / y**2).T
    if bends is not None:
        hessian += bends
    return value, gradient, hessian

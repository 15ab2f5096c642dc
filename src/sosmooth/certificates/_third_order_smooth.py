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
# Nodes where the states change, and in the tail.
_INNER, _OUTER = (np.polynomial.legendre.leggauss(count) for count in (40, 8))


def natural_scale(multipliers: Floats, r: Floats) -> Floats:
    """By how much the gains differ where they matter: to third order in small distances."""
    return multipliers[ONE] * r**3 / (1 + r**3)


def smoothed(
    multipliers: Floats, prices: Prices, r: Floats, *, tied: bool, fast: bool = False
) -> tuple[Floats, Floats]:
    """Minimise the dual with `max` replaced by a soft maximum of falling temperature.

    Args:
        multipliers: a start, (4, n).
        prices: of the multipliers.
        r: distance in units of sigma, (n,).
        tied: both masses have one multiplier: nothing is known of pairs.
        fast: in float32, which now and then ends far from the minimum.

    Returns:
        Multipliers, all positive, and the temperatures at the end.
    """
    n = r.size
    z, mass = _nodes(prices.wrong, r)
    rise, fall = np.exp(r * z - 0.5 * r * r), np.exp(-r * z - 0.5 * r * r)
    kind = np.float32 if fast else np.float64
    grid = np.stack([z, mass, rise, fall]).astype(kind)
    blur = 1e-6 if fast else 1e-13
    scale = natural_scale(multipliers, r)
    here = np.maximum(multipliers, 1e-4 * scale)
    temperature = _HOT * scale
    lowest, step, length = np.full(n, np.inf), np.zeros((4, n)), np.ones(n)
    active = np.arange(n)
    for _ in range(_SMOOTH_STEPS):
        if active.size == 0:
            break
        trial = here[:, active] + length[active] * step[:, active]
        heat, price = temperature[active], prices.take(active)
        barrier = 1e-3 * heat * price.wrong
        value, gradient, hessian = _soft_dual(trial, price, heat, barrier, grid[..., active])
        better = value <= lowest[active] + blur * np.abs(value)
        move = newton_step(hessian, -gradient, np.zeros((4, active.size), bool), tied=tied)
        decrease = -(gradient * move).sum(axis=0)
        good = active[better]
        here[:, good], step[:, good] = trial[:, better], move[:, better]
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(move < 0, -0.9 * trial / move, np.inf).min(axis=0)
        lowest[good], length[good] = value[better], np.minimum(room, 1.0)[better]
        length[active[~better]] *= 0.25
        settled = better & (decrease < 0.5 * heat * price.wrong)
        done = settled & (heat <= 1.001 * _COLD * scale[active])
        cooler = active[settled]
        lowest[cooler] = np.inf
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
    y: Floats, prices: Prices, heat: Floats, barrier: Floats, grid: NDArray[np.floating]
) -> tuple[Floats, Floats, Floats]:
    """Value, gradient and Hessian of the smoothed dual with a logarithmic barrier.

    `grid`, (4, nodes, n): the nodes, their weights, and the likelihood ratios there.
    """
    z, mass, rise, fall = grid
    both, one, mu, nu = y.astype(z.dtype)
    warmth = heat.astype(z.dtype)
    bend = z * z - 1
    pull, even = (mu / warmth) * z, (nu / warmth) * bend + one / warmth
    plus, minus = rise / warmth - pull - even, fall / warmth + pull - even
    wrong = plus + minus + (one - both) / warmth
    top = np.maximum(np.maximum(plus, minus), np.maximum(wrong, 0.0))
    plus, minus, wrong = np.exp(plus - top), np.exp(minus - top), np.exp(wrong - top)
    total = plus + minus + wrong + np.exp(-top)

    def mean(values: Floats) -> Floats:
        return np.einsum("kn,kn->n", mass, values).astype(np.float64)

    value = heat * mean(top + np.log(total)) + prices.value(y)
    value -= (barrier * np.log(y)).sum(axis=0)
    plus, minus, wrong = plus / total, minus / total, wrong / total
    single = plus + minus
    any_, lean, bent = single + wrong, z * (plus - minus), bend * (single + 2 * wrong)
    price, bends = prices.slopes(y)
    gradient = price - np.stack([mean(wrong), mean(any_), mean(lean), mean(bent)]) - barrier / y
    hessian = np.empty((y.shape[1], 4, 4))
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
    for (i, j), values in upper.items():
        hessian[:, i, j] = hessian[:, j, i] = mean(values) / heat
    hessian[:, range(4), range(4)] += (barrier / y**2).T
    if bends is not None:
        hessian += bends
    return value, gradient, hessian

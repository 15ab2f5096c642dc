"""Newton's method on the third-order dual itself, damped: slower than the search, and stubborn.

The dual is convex with a continuous gradient; its second derivative follows from the cuts.
"""

from __future__ import annotations

import numpy as np

from sosmooth._numbers import Floats
from sosmooth.certificates._third_order_dual import (
    BOTH,
    CURVATURE,
    FAR,
    ONE,
    SLOPE,
    Integral,
    allowed,
)
from sosmooth.certificates._third_order_prices import Prices
from sosmooth.certificates._third_order_search import (
    bound,
    inward,
    jumps,
    pick,
    polished,
    put,
    residual,
)
from sosmooth.certificates._third_order_smooth import natural_scale
from sosmooth.certificates.region import pdf

_ROUNDS, _STEPS = 4, 30
_DAMPED, _LESS, _MORE = 1e-2, 0.2, 4.0
# Residual of the constraints, relative to the wrong mass, that is small enough.
_CLOSE = 1e-10
# A multiplier below this share of the largest counts as zero.
_ZERO = 1e-11


def descended(
    multipliers: Floats, prices: Prices, r: Floats, *, tied: bool
) -> tuple[Floats, Integral]:
    """The best multipliers at distance `r`, from some that may be far from them, and the integral.

    Args:
        multipliers: any, (4, n).
        prices: of the multipliers.
        r: distance in units of sigma, (n,).
        tied: both masses have one multiplier: nothing is known of pairs.
    """
    y = multipliers.copy()
    found = bound(y, prices, r)[1]
    for count in range(_ROUNDS):
        far = np.flatnonzero(residual(y, prices, found, tied=tied) > _CLOSE)
        if far.size == 0:
            break
        here, price, at = y[:, far], prices.take(far), r[far]
        if count:
            # Where states are narrow, the cuts are better unknowns.
            heat = 1e-3 * natural_scale(here, at)
            here, _, _ = polished(here, price, at, heat, tied=tied, rounds=6)
        y[:, far], ended = _damped(here, price, at, tied=tied)
        put(found, far, ended)
    return y, found


def _damped(y: Floats, prices: Prices, r: Floats, *, tied: bool) -> tuple[Floats, Integral]:
    """Steps that are shortened until the bound falls."""
    y = y.copy()
    value, found = bound(y, prices, r)
    damping = np.full(r.size, _DAMPED)
    for _ in range(_STEPS):
        far = np.flatnonzero(residual(y, prices, found, tied=tied) > _CLOSE)
        if far.size == 0:
            break
        here, price = y[:, far], prices.take(far)
        trial = _stepped(here, price, r[far], pick(found, far), damping[far], tied=tied)
        trial_value, trial_found = bound(trial, price, r[far])
        better = trial_value < value[far]
        good = far[better]
        y[:, good], value[good] = trial[:, better], trial_value[better]
        put(found, good, pick(trial_found, np.flatnonzero(better)))
        damping[far] *= np.where(better, _LESS, _MORE)
    return y, found


def _stepped(
    y: Floats, prices: Prices, r: Floats, found: Integral, damping: Floats, *, tied: bool
) -> Floats:
    """One step, none below 0; the units of a multiplier do not matter."""
    _, price, bends = prices.slopes(y)
    gradient, hessian = price + found.gradient, _hessian(allowed(y), r, found)
    if bends is not None:
        hessian = hessian + bends
    if tied:
        hessian[:, ONE] += hessian[:, BOTH]
        hessian[:, :, ONE] += hessian[:, :, BOTH]
        gradient[ONE] += gradient[BOTH]
    largest = y.max(axis=0)
    fixed = (y <= _ZERO * largest) & (gradient > 0)
    fixed[BOTH] |= tied
    scale = np.maximum(y, 1e-9 * largest)
    hessian = hessian * scale.T[:, :, None] * scale.T[:, None, :]
    gradient = np.where(fixed, 0.0, gradient * scale)
    hessian[fixed.T[:, :, None] | fixed.T[:, None, :]] = 0.0
    own = np.einsum("nii->in", hessian)
    ridge = damping * (np.abs(gradient) + own) + 1e-15 * own.sum(axis=0) + 1e-300
    hessian = hessian + np.where(fixed, 1.0, ridge).T[:, :, None] * np.eye(4)
    usable = np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=0)
    hessian[~usable], gradient[:, ~usable] = np.eye(4), 0.0
    step = np.linalg.solve(hessian, -gradient.T[..., None])[..., 0].T * scale
    trial = np.maximum(y + step, 0.0)
    if tied:
        trial[BOTH] = trial[ONE]
    return trial


def _hessian(y: Floats, r: Floats, found: Integral) -> Floats:
    """The second derivative of the integral by the multipliers, (n, 4, 4)."""
    cuts, states = found.cuts, found.states
    plus, minus, wrong = jumps(states)
    rise = r * np.exp(r * cuts - 0.5 * r * r) - y[SLOPE] - 2 * y[CURVATURE] * cuts
    fall = y[SLOPE] - r * np.exp(-r * cuts - 0.5 * r * r) - 2 * y[CURVATURE] * cuts
    steepness = np.abs(plus * rise + minus * fall + wrong * (rise + fall))
    used = (states[1:] != states[:-1]) & (cuts < FAR)
    weight = np.where(used, pdf(cuts) / np.maximum(steepness, 1e-12), 0.0)
    by = inward(cuts, plus, minus, wrong)
    return np.einsum("kn,ikn,jkn->nij", weight, by, by)

"""Good multipliers for the third-order dual. Nothing here has to be right: any are sound.

`_third_order_smooth.py` comes near the best ones from afar. Newton's method on the optimality
conditions, with the cuts between the states as further unknowns, then finds them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._third_order_dual import (
    BOTH,
    CURVATURE,
    FAR,
    MINUS,
    NONE,
    ONE,
    PLUS,
    SLOPE,
    SMALLEST,
    WRONG,
    Integral,
    allowed,
    gains,
    integral,
    turning_points,
)
from sosmooth.certificates._third_order_prices import Prices
from sosmooth.certificates._third_order_smooth import natural_scale, newton_step
from sosmooth.certificates.region import pdf

Integers = NDArray[np.intp]
# A state that is missing is put in where the smoothed dual gives it this share of the wrong mass.
_WORTH = 3e-4
# Residual of the constraints, relative to the wrong mass, that is small enough.
_CLOSE = 1e-7


class Stretches(NamedTuple):
    """Where each state is the best one.

    Attributes:
        cuts: where the state changes, (k, n), rising; unused ones repeat a state.
        states: left of each cut, and behind the last, (k + 1, n).
    """

    cuts: Floats
    states: Integers

    def take(self, index: Integers) -> Stretches:
        """Those of some elements."""
        return Stretches(self.cuts[:, index], self.states[:, index])


def bound(multipliers: Floats, prices: Prices, r: Floats) -> tuple[Floats, Integral]:
    """The dual's bound of the wrong mass at distance `r`, rounded up, (n,), and its integral.

    It holds for whatever multipliers are given; those below 0 are taken as 0.
    """
    used = allowed(multipliers)
    found = integral(used, r)
    price = prices.value(used)
    return price + found.value + 2 * EPS * (np.abs(price) + found.value), found


def polished(
    multipliers: Floats,
    prices: Prices,
    r: Floats,
    temperature: Floats,
    *,
    tied: bool,
    rounds: int,
    enough: float = 1e-14,
) -> tuple[Floats, Floats, Integral]:
    """Newton's method on the optimality conditions; a step is taken only if the bound falls.

    Args:
        multipliers: near the best ones, (4, n).
        prices: of the multipliers.
        r: distance in units of sigma, (n,).
        temperature: about how far the gains may be off, (n,).
        tied: both masses have one multiplier.
        rounds: at most so many.
        enough: the last round is one that lowers the bound by less.

    Returns:
        Multipliers, their bound of the wrong mass, rounded up, and its integral.
    """
    best = multipliers.copy()
    value, found = bound(best, prices, r)
    temperature = temperature.copy()
    reach = 20 * temperature
    active = np.arange(r.size)
    for _ in range(rounds):
        active = active[residual(best, prices, found, tied=tied)[active] > _CLOSE]
        if active.size == 0:
            break
        stretches = _completed(
            best[:, active],
            prices.wrong[active],
            r[active],
            temperature[active],
            pick(found, active),
            tied=tied,
        )
        open_, gained = active, np.zeros(active.size)
        rows = np.arange(active.size)
        for steps in (5, 1):
            trial = on_cuts(
                best[:, open_],
                prices.take(open_),
                r[open_],
                stretches.take(rows),
                temperature[open_],
                tied=tied,
                steps=steps,
            )
            if steps == 1:
                size = np.abs(trial - best[:, open_]).max(axis=0)
                length = np.minimum(1.0, reach[open_] / np.maximum(size, 1e-300))
                trial = best[:, open_] + length * (trial - best[:, open_])
                cut_short = length < 1
            else:
                cut_short = np.zeros(open_.size, bool)
            trial_value, trial_found = bound(trial, prices.take(open_), r[open_])
            better = trial_value < value[open_]
            good = open_[better]
            gained[rows[better]] = (value[open_] - trial_value)[better]
            best[:, good], value[good] = trial[:, better], trial_value[better]
            put(found, good, pick(trial_found, np.flatnonzero(better)))
            if steps == 1:
                reach[open_[better & cut_short]] *= 3
                reach[open_[~better]] *= 0.25
                temperature[open_[~cut_short]] *= 0.5
            else:
                temperature[good] *= 0.2
            open_, rows = open_[~better], rows[~better]
            if open_.size == 0:
                break
        active = active[(gained == 0) | (gained > enough)]
    return best, value, found


def on_cuts(
    multipliers: Floats,
    prices: Prices,
    r: Floats,
    stretches: Stretches,
    temperature: Floats,
    *,
    tied: bool,
    steps: int,
) -> Floats:
    """Newton's method for cuts and multipliers at once: every cut a tie, every constraint met."""
    y, t, states = multipliers.copy(), stretches.cuts.copy(), stretches.states
    change = states[1:] != states[:-1]
    plus, minus, wrong = jumps(states)
    scale = natural_scale(y, r)
    fixed = np.zeros(y.shape, bool)
    rows = np.arange(4)[:, None]
    for count in range(steps):
        _, price, bends = prices.slopes(y)
        shortfall = price - masses(t, states)
        if count == 0:
            # What the smoothed dual has pushed against its barrier is taken as zero.
            small = 1e-2 * scale * np.maximum(shortfall, 0) / np.maximum(price, 1e-12)
            fixed = (y <= small) & (shortfall > 0) & (rows >= SLOPE)
        else:
            fixed = (y <= 1e-11) & ((shortfall > 0) | (fixed & (shortfall > -1e-9)))
        y = np.where(fixed, 0.0, y)
        rise, fall = gains(t, y[ONE], y[SLOPE], y[CURVATURE], r)
        w, v = r * np.exp(r * t - 0.5 * r * r), r * np.exp(-r * t - 0.5 * r * r)
        d_rise = w - y[SLOPE] - 2 * y[CURVATURE] * t
        d_fall = y[SLOPE] - v - 2 * y[CURVATURE] * t
        tie = plus * rise + minus * fall + wrong * (rise + fall + y[ONE] - y[BOTH])
        d_tie = plus * d_rise + minus * d_fall + wrong * (d_rise + d_fall)
        d_tie = np.where(np.abs(d_tie) < 1e-10, 1e-10, d_tie)
        weight = np.where(change, pdf(t) / d_tie, 0.0)
        by = -inward(t, plus, minus, wrong)
        hessian = np.einsum("kn,ikn,jkn->nij", weight, by, by)
        if bends is not None:
            hessian = hessian + bends
        right = -shortfall - np.einsum("kn,ikn->in", weight * tie, by)
        off = np.abs(np.where(fixed, 0.0, shortfall)).max(axis=0) / (100 * temperature)
        ridge = 1e-13 * np.einsum("nii->n", np.abs(hessian)) + off
        hessian = hessian + ridge[:, None, None] * np.eye(4)
        dy = newton_step(hessian, right, fixed, tied=tied)
        dt = np.where(change, -(tie + np.einsum("ikn,in->kn", by, dy)) / d_tie, 0.0)
        # No cut crosses the one before, and none goes far.
        gap = np.diff(t, axis=0, prepend=0.0)
        closing = -np.diff(dt, axis=0, prepend=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(change & (closing > 0), 0.8 * gap / closing, np.inf).min(axis=0)
            far = 0.5 / np.abs(dt).max(axis=0)
        length = np.minimum(np.minimum(room, far), 1.0)
        y = np.maximum(y + length * dy, 0.0)
        t = t + length * dt
    return y


def jumps(states: Integers) -> list[Floats]:
    """By what the indicators of "at z only", "at −z only" and "on both" change at the cuts."""
    return [np.diff((states == s).astype(np.float64), axis=0) for s in (PLUS, MINUS, WRONG)]


def inward(cuts: Floats, plus: Floats, minus: Floats, wrong: Floats) -> Floats:
    """How fast the masses grow, over φ, where a cut moves towards 0, (4, k, n)."""
    single = plus + minus
    return np.stack(
        [
            wrong,
            single + wrong,
            (plus - minus) * cuts,
            (single + 2 * wrong) * (cuts * cuts - 1),
        ]
    )


def masses(cuts: Floats, states: Integers) -> Floats:
    """What the four prices pay for, of the states between the cuts, (4, n)."""
    plus, minus, wrong = jumps(states)
    tail, density = special.ndtr(-cuts), pdf(cuts)
    start_plus, start_minus, start_wrong = (
        (states[0] == s).astype(np.float64) for s in (PLUS, MINUS, WRONG)
    )
    at_zero = float(pdf(0.0))
    any_ = plus + minus + wrong
    return np.stack(
        [
            (wrong * tail).sum(axis=0) + 0.5 * start_wrong,
            (any_ * tail).sum(axis=0) + 0.5 * (start_plus + start_minus + start_wrong),
            ((plus - minus) * density).sum(axis=0) + at_zero * (start_plus - start_minus),
            ((any_ + wrong) * cuts * density).sum(axis=0),
        ]
    )


def residual(y: Floats, prices: Prices, found: Integral, *, tied: bool) -> Floats:
    """How far the constraints are from being met, relative to the wrong mass, (n,)."""
    gradient = prices.slopes(y)[1] + found.gradient
    if tied:
        gradient = np.concatenate([gradient[:1] + gradient[1:2], gradient[2:]])
        y = y[1:]
    off = np.where((y <= 1e-11) & (gradient > 0), 0.0, gradient)
    return np.abs(off).max(axis=0) / prices.wrong


def pick(found: Integral, index: Integers) -> Integral:
    return Integral(
        found.value[index],
        found.gradient[:, index],
        found.slope[index],
        found.cuts[:, index],
        found.states[:, index],
    )


def put(found: Integral, index: Integers, other: Integral) -> None:
    found.value[index], found.gradient[:, index] = other.value, other.gradient
    found.slope[index] = other.slope
    found.cuts[:, index], found.states[:, index] = other.cuts, other.states


def _completed(
    y: Floats, wrong_mass: Floats, r: Floats, heat: Floats, found: Integral, *, tied: bool
) -> Stretches:
    """The cuts, with stretches of states that are nearly best, as wide as the heat makes them.

    Such a state shows at a local maximum of its gain over the best one: at 0, at the turning points
    of `G`, or at a cut where "wrong on both" touches both neighbours.
    """
    both, one, mu, nu = y
    nu = np.maximum(nu, SMALLEST)
    n = r.size
    change = found.states[1:] != found.states[:-1]
    cuts = np.where(change, found.cuts, FAR)
    before, after = found.states[:-1].copy(), found.states[1:].copy()
    start = found.states[0].copy()

    def g(z: Floats) -> Floats:
        return np.exp(r * z - 0.5 * r * r) - mu * z - nu * (z * z - 1)

    def slope(z: Floats) -> Floats:
        return r * np.exp(r * z - 0.5 * r * r) - mu - 2 * nu * z

    def bend(z: Floats) -> Floats:
        return r * r * np.exp(r * z - 0.5 * r * r) - 2 * nu

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        first, _, last = turning_points(r, mu, nu)
        peaks = []
        for turn, sign in ((first, 1), (last, -1)):
            side = np.where(turn > 0, PLUS, MINUS)
            for level, low, high in (
                (one, np.full(n, NONE), side),
                (both, PLUS + MINUS - side, np.full(n, WRONG)),
            ):
                old, new = (low, high) if sign > 0 else (high, low)
                peaks.append((np.abs(turn), old, new, sign * (g(turn) - level), sign * bend(turn)))
        if not tied:
            zero = np.zeros(n)
            peaks.append(
                (
                    zero,
                    np.full(n, NONE),
                    np.full(n, WRONG),
                    2 * g(zero) - one - both,
                    2 * bend(zero),
                )
            )
        added = []
        for place, old, new, lead, curve in peaks:
            left, right = _room(place, cuts)
            index = (found.cuts < place).sum(axis=0)
            here = np.take_along_axis(found.states, index[None], axis=0)[0]
            half = 0.5 * np.sqrt(2 * np.pi * heat / -curve) * np.exp(np.maximum(lead / heat, -40.0))
            half = np.minimum(half, 0.4 * np.where(place > 0, np.minimum(left, right), right))
            fits = (
                (here == old)
                & (curve < 0)
                & (lead <= 0)
                & (half * pdf(place) > _WORTH * wrong_mass)
            )
            central = fits & (place == 0)
            start = np.where(central, new, start)
            added.append((np.where(fits & ~central, place - half, FAR), old, new))
            added.append((np.where(fits, place + half, FAR), new, old))
        for k in range(0 if tied else len(cuts)):
            place, left_state, right_state = cuts[k].copy(), before[k], after[k]
            side = np.maximum(left_state, right_state)
            other = np.where(side == PLUS, -place, place)
            # The gain of "both" over "one" beyond its price, and the slopes of its lead.
            lead = g(other) - both
            over_none = np.where(side == PLUS, -1, 1) * slope(other)
            over_side = over_none + np.where(side == PLUS, 1, -1) * slope(-other)
            rising = np.where(left_state == NONE, over_side, over_none)
            falling = np.where(right_state == NONE, over_side, over_none)
            wide = 0.7 * heat * np.exp(np.clip(lead / heat, -40.0, 0.0))
            left, right = wide / rising, -wide / falling
            fits = change[k] & (np.minimum(left_state, right_state) == NONE) & (side < WRONG)
            fits &= (rising > 0) & (falling < 0) & (lead <= 0)
            fits &= (left + right) * pdf(place) > _WORTH * wrong_mass
            room = _room(place, cuts)
            added.append(
                (
                    np.where(fits, place + np.minimum(right, 0.4 * room[1]), FAR),
                    np.full(n, WRONG),
                    right_state.copy(),
                )
            )
            cuts[k] = np.where(fits, place - np.minimum(left, 0.4 * room[0]), cuts[k])
            after[k] = np.where(fits, WRONG, after[k])
    places = np.concatenate([cuts, np.stack([place for place, _, _ in added])])
    arrives = np.concatenate([after, np.stack([new for _, _, new in added])])
    order = np.argsort(places, axis=0, kind="stable")[: len(cuts)]
    places = np.take_along_axis(places, order, axis=0)
    arrives = np.take_along_axis(arrives, order, axis=0)
    states = np.empty((len(places) + 1, n), dtype=np.intp)
    states[0] = start
    for k, place in enumerate(places):
        states[k + 1] = np.where(place < FAR, arrives[k], states[k])
    return Stretches(places, states)


def _room(place: Floats, cuts: Floats) -> tuple[Floats, Floats]:
    """The distance to the cuts left and right."""
    left = place - np.where(cuts < place, cuts, 0.0).max(axis=0)
    return left, np.where(cuts > place, cuts, FAR).min(axis=0) - place

"""From the dual at single distances to one certified radius.

Two lemmas carry the bound from a distance to all smaller ones (docs/theory/third_order.md):
`Φ⁻¹` of the smallest value is 1-Lipschitz in the distance, and the bound of the wrong mass, times
`exp(r²/2)`, is convex in the distance and the multipliers, scaled alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._third_order_descent import descended
from sosmooth.certificates._third_order_dual import Integral
from sosmooth.certificates._third_order_prices import Prices
from sosmooth.certificates._third_order_search import (
    Stretches,
    bound,
    on_cuts,
    pick,
    polished,
    put,
    residual,
)
from sosmooth.certificates._third_order_smooth import carried, natural_scale, series, smoothed
from sosmooth.certificates.region import Region, pdf

# Elements at a time: their arrays stay in the processor's cache.
_CHUNK = 8192
_ROUNDS = 24
# Below this distance the programme is not solved but extrapolated to: its terms would cancel.
_NEAREST = 0.02
# Over this distance the slope of the level is taken.
_STEP = 1e-4
# Where the search begins afresh at another distance, relative to the natural scale of the gains.
_WARM = 0.02
# Constraints missed by more than this, relative to the wrong mass: the search is begun afresh.
_LOST = 1e-3
#: A wrong mass that provably lies below zero by more than this contradicts the bounds given.
CONTRADICTION = -1e-9


class Level(Protocol):
    """The wrong mass below which the class is safe at a distance, for each of n elements.

    It is at least 1/2 and does not rise, and the normal quantile of it is 1-Lipschitz.
    """

    def take(self, index: NDArray[np.intp]) -> Level:
        """Those of some elements."""
        ...

    def at(self, r: Floats) -> Floats:
        """The level at distances, (n,), rounded down."""
        ...


@dataclass(frozen=True)
class OneHalf:
    """The class keeps more than one half of the probability."""

    def take(self, index: NDArray[np.intp]) -> OneHalf:
        return self

    def at(self, r: Floats) -> Floats:
        return np.full(r.shape, 0.5)


@dataclass(frozen=True)
class Rivals:
    """The class keeps more than one half, or more than each rival.

    Attributes:
        complements: extremal regions of `1 − f_c`, (rivals, n).
    """

    complements: Region

    def take(self, index: NDArray[np.intp]) -> Rivals:
        return Rivals(self.complements.take(index))

    def at(self, r: Floats) -> Floats:
        ends = 2 * len(self.complements.intervals)
        return np.maximum(self.complements.measure(r).min(axis=0) - 4 * EPS * ends, 0.5)


@dataclass(frozen=True)
class Marched:
    """What the march has found, for each element.

    Attributes:
        radius: up to here the wrong mass is at most the level, at least where the march started,
            (n,).
        least: the smallest bound of the wrong mass on the way; below 0 the bounds contradict.
        multipliers: of the last distance looked at, (4, n).
        distance: that distance, (n,).
    """

    radius: Floats
    least: Floats
    multipliers: Floats
    distance: Floats


@dataclass(frozen=True)
class Effort:
    """How hard good multipliers are looked for; any are sound.

    Attributes:
        tolerance: of the radius, relative to 1 + radius.
        rounds: of Newton's method at each further distance.
        rounds_afresh: at the first distance, and where the search has to begin afresh.
        enough: it ends where a round lowers the wrong mass by less.
        stubborn: a slower search follows where that one fails.
    """

    tolerance: float
    rounds: int
    rounds_afresh: int
    enough: float
    stubborn: bool


EXACT = Effort(1e-11, 2, 6, 1e-14, True)
#: For bounds whose statistical error is hundreds of times as large.
NEAR = Effort(2e-6, 1, 6, 1e-6, False)
_HALF = OneHalf()


def march(
    prices: Prices,
    start: Floats,
    *,
    tied: bool,
    level: Level = _HALF,
    effort: Effort = EXACT,
) -> Marched:
    """The largest distance up to which the dual certifies a wrong mass of at most the level.

    Args:
        prices: the bounds; `tied`: 0, `1 − p`, γ and κ.
        start: a distance certified already, positive, (n,).
        tied: nothing is known of pairs.
        level: where the class is lost.
        effort: how near to the largest distance that the dual allows.
    """
    parts = []
    for first in range(0, start.size, _CHUNK):
        chunk = slice(first, first + _CHUNK)
        index = np.arange(start.size)[chunk]
        parts.append(_march(prices.take(index), start[chunk], level.take(index), effort, tied=tied))
    if not parts:
        return Marched(start, start, series(start), start)
    return Marched(
        *(
            np.concatenate([getattr(part, name) for part in parts], axis=-1)
            for name in ("radius", "least", "multipliers", "distance")
        )
    )


# Overflow and undefined steps only spoil the search there, and the bound then certifies nothing.
@np.errstate(all="ignore")
def _march(prices: Prices, start: Floats, level: Level, effort: Effort, *, tied: bool) -> Marched:
    certified, r = start.copy(), np.maximum(start, _NEAREST)
    y, heat = smoothed(series(r), prices, r, tied=tied)
    y, wrong, found = polished(
        y, prices, r, heat, tied=tied, rounds=effort.rounds_afresh, enough=effort.enough
    )
    if effort.stubborn:
        _descend(y, wrong, found, prices, r, tied=tied)
    least = wrong.copy()
    active = np.arange(r.size)
    # The last distance that is connected to 0, and the bound of the wrong mass there.
    anchor, anchored = start.copy(), np.full(r.size, np.inf)
    for _ in range(_ROUNDS):
        at, limits = r[active], level.take(active)
        allowed = limits.at(at)
        score = -special.ndtri(np.clip(wrong[active], 1e-300, 1.0))
        height = special.ndtri(allowed)
        margin = score + height
        joins = (margin > 0) & (
            (at - margin <= certified[active])
            | _connected(anchor[active], anchored[active], at, allowed)
        )
        # Ahead both may move towards each other, unless the level has come down to one half.
        ahead = np.where(allowed > 0.5, 0.5, 1.0) * margin
        up_to = (at + ahead - 2e-15) * (1 - 4 * EPS)
        certified[active] = np.where(joins, np.fmax(certified[active], up_to), certified[active])
        anchor[active[joins]], anchored[active[joins]] = at[joins], wrong[active[joins]]
        # Where the level is expected to be met, by Newton's method on Φ⁻¹ of both.
        speed = np.clip(found.slope[active] / np.maximum(pdf(score), 1e-300), 0.05, 1.0)
        falls = (height - special.ndtri(limits.at(at + _STEP))) / _STEP
        aim = at + margin / (speed + np.clip(falls, 0.0, 1.0))
        off = np.abs(aim - at)
        ahead = np.maximum(aim - certified[active], 0.0)
        following = aim - np.minimum(0.25 * off * off, 0.2 * ahead) - 2e-12 * (1 + aim)
        too_far = (margin > 0) & ~joins
        following = np.where(too_far, 0.5 * (certified[active] + at), following)
        aim = np.where(too_far, at, aim)
        go = (aim - certified[active] > effort.tolerance * (1 + aim)) & (
            following > certified[active]
        )
        go &= (following < 30.0) & np.isfinite(following) & (wrong[active] > CONTRADICTION)
        active, following = active[go], following[go]
        if active.size == 0:
            break
        y[:, active], wrong[active], moved = _moved(
            y[:, active],
            r[active],
            following,
            pick(found, active),
            prices.take(active),
            effort,
            tied=tied,
        )
        r[active] = following
        least[active] = np.minimum(least[active], wrong[active])
        put(found, active, moved)
    return Marched(certified, least, y, r)


def _moved(
    y: Floats,
    r: Floats,
    to: Floats,
    found: Integral,
    prices: Prices,
    effort: Effort,
    *,
    tied: bool,
) -> tuple[Floats, Floats, Integral]:
    """Multipliers at another distance, their bound of the wrong mass, and its integral."""
    guess = carried(y, r, to)
    heat = 1e-3 * natural_scale(guess, to)
    stretches = Stretches(found.cuts, found.states)
    y = on_cuts(guess, prices, to, stretches, heat, tied=tied, steps=3)
    y, wrong, found = polished(
        y, prices, to, heat, tied=tied, rounds=effort.rounds, enough=effort.enough
    )
    lost = np.flatnonzero(residual(y, prices, found, tied=tied) > _LOST)
    if lost.size:
        # The states were not those of the best multipliers: from the guess again, smoothed.
        price, at = prices.take(lost), to[lost]
        again, heat = smoothed(guess[:, lost], price, at, tied=tied, hot=_WARM)
        again, mass, again_found = polished(
            again, price, at, heat, tied=tied, rounds=effort.rounds_afresh, enough=effort.enough
        )
        better = np.flatnonzero(mass < wrong[lost])
        y[:, lost[better]], wrong[lost[better]] = again[:, better], mass[better]
        put(found, lost[better], pick(again_found, better))
    if effort.stubborn:
        _descend(y, wrong, found, prices, to, tied=tied)
    return y, wrong, found


def _descend(
    y: Floats, wrong: Floats, found: Integral, prices: Prices, r: Floats, *, tied: bool
) -> None:
    """Better multipliers in place of those that still miss the constraints."""
    lost = np.flatnonzero(residual(y, prices, found, tied=tied) > _LOST)
    if lost.size == 0:
        return
    price, at = prices.take(lost), r[lost]
    again, again_found = descended(y[:, lost], price, at, tied=tied)
    mass, _ = bound(again, price, at)
    better = np.flatnonzero(mass < wrong[lost])
    y[:, lost[better]], wrong[lost[better]] = again[:, better], mass[better]
    put(found, lost[better], pick(again_found, better))


def _connected(near: Floats, wrong: Floats, far: Floats, level: Floats) -> NDArray[np.bool_]:
    """Whether bounds of `wrong` at `near` and `level` at `far` give at most `level` between them.

    The bound times `exp(r²/2)` is convex in distance and scaled multipliers together, so it lies
    below its chord; the chord lies below `level exp(r²/2)` if both ends lie below its tangent at
    `far`.
    """
    growth = np.exp(0.5 * (far - near) * (far + near))
    return wrong <= level * growth * (1 - far * (far - near)) * (1 - 1e-13)

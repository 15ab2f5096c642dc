"""From the multipliers at the certified radius to the region that attains the third-order bound.

Between the cuts the best state of a pair says whether `z` and `−z` are right. Where that meets the
bounds, it is a base classifier whose value is the bound: weak duality becomes an equality.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import Floats
from sosmooth.certificates._third_order_descent import descended
from sosmooth.certificates._third_order_dual import BOTH, FAR, MINUS, ONE, PLUS, WRONG, Integral
from sosmooth.certificates._third_order_prices import Fixed
from sosmooth.certificates._third_order_search import inward, jumps, masses
from sosmooth.certificates._third_order_smooth import series
from sosmooth.certificates.region import Region, interval, pdf

_PROJECTIONS = 4
# Cuts with hardly any mass come near their place in small steps.
_MORE_PROJECTIONS, _STRIDE = 40, 0.3
# Bounds that are missed by more than this, relative to the wrong mass, before the cuts are moved
# and after: the search has failed.
_MISSED_BEFORE, _MISSED = 1e-5, 1e-11


@np.errstate(all="ignore")
def attained(bounds: Floats, multipliers: Floats, r: Floats, *, tied: bool) -> Region:
    """The region whose value at distance `r` is the smallest that the bounds allow.

    Args:
        bounds: prices of the dual, (4, n); see `march`.
        multipliers: some to begin with, (4, n).
        r: distance, units of sigma, positive, (n,).
        tied: nothing is known of pairs.

    Returns:
        The region, (n,); NaN where the search for the best multipliers failed.
    """
    cuts, states, solved = _solved(bounds, multipliers, r, tied=tied)
    again = np.flatnonzero(~solved)
    if again.size:
        # Where a cut has hardly any mass, another start may end nearer.
        cuts[:, again], states[:, again], solved[again] = _solved(
            bounds[:, again], series(r[again]), r[again], tied=tied, light=True
        )
    return _right(np.where(solved, cuts, np.nan), states)


def _solved(
    bounds: Floats, multipliers: Floats, r: Floats, *, tied: bool, light: bool = False
) -> tuple[Floats, NDArray[np.intp], NDArray[np.bool_]]:
    """Cuts, the states between them, and whether they meet the bounds."""
    y, found = descended(multipliers, Fixed(bounds), r, tied=tied)
    cuts, states = _changes(found)
    cuts, before, after = _meeting(cuts, states, bounds, y > 0, tied=tied, light=light)
    wrong = bounds[ONE]
    solved = (before <= _MISSED_BEFORE * wrong) & (after <= _MISSED * wrong + 1e-15)
    return cuts, states, solved & (np.diff(cuts, axis=0, prepend=0.0) >= 0).all(axis=0)


def replaced(region: Region, other: Region, at: NDArray[np.intp]) -> Region:
    """The region, with some elements replaced by another one's.

    Args:
        region: of n elements.
        other: of some elements.
        at: which ones.
    """
    slots = max(len(region.intervals), len(other.intervals))
    sides = np.full((2, slots, region.intervals[0][0].size), -np.inf)
    for one, which in ((region, slice(None)), (other, at)):
        # Missing intervals are empty ones at the left end.
        sides[:, :, which] = -np.inf
        for k, (lower, upper) in enumerate(one.intervals, slots - len(one.intervals)):
            sides[0, k, which], sides[1, k, which] = lower, upper
    return Region(tuple(zip(*sides, strict=True)), falls=False)


def _changes(found: Integral) -> tuple[Floats, NDArray[np.intp]]:
    """The cuts where the state changes, unused ones behind them, and the states between them."""
    change = found.states[1:] != found.states[:-1]
    order = np.argsort(np.where(change, found.cuts, np.inf), axis=0, kind="stable")
    cuts = np.take_along_axis(np.where(change, found.cuts, FAR), order, axis=0)
    after = np.where(change, found.states[1:], found.states[-1:])
    return cuts, np.concatenate([found.states[:1], np.take_along_axis(after, order, axis=0)])


def _meeting(
    cuts: Floats,
    states: NDArray[np.intp],
    bounds: Floats,
    limits: NDArray[np.bool_],
    *,
    tied: bool,
    light: bool,
) -> tuple[Floats, Floats, Floats]:
    """The cuts, moved as little as it takes to meet the bounds that limit.

    Also by how much these were missed before, and are after, (n,). With `light` the mass that moves
    is what is small, so that cuts with hardly any mass move too.
    """
    changes = jumps(states)
    missed = []
    for _ in range(_MORE_PROJECTIONS if light else _PROJECTIONS):
        gap = bounds - masses(cuts, states)
        by = -pdf(cuts) * inward(cuts, *changes)
        if tied:
            gap[ONE] += gap[BOTH]
            by[ONE] += by[BOTH]
            gap[BOTH] = by[BOTH] = 0.0
        # A bound without a price may be met with room to spare.
        held = limits | (gap < 0)
        gap, by = np.where(held, gap, 0.0), np.where(held[:, None], by, 0.0)
        missed.append(np.abs(gap).max(axis=0))
        size = np.sqrt((by * by).sum(axis=0)) if light else np.ones_like(cuts)
        by = by / np.where(size > 0, size, 1.0)
        gram = np.einsum("ikn,jkn->nij", by, by)
        trace = np.einsum("nii->n", gram)
        gram += (1e-14 * trace + 1e-300)[:, None, None] * np.eye(4)
        usable = np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(gap).all(axis=0)
        gram[~usable], gap[:, ~usable] = np.eye(4), np.nan
        pull = np.linalg.solve(gram, gap.T[..., None])[..., 0]
        step = np.einsum("ikn,ni->kn", by, pull) / np.where(size > 0, size, 1.0)
        cuts = cuts + (np.clip(step, -_STRIDE, _STRIDE) if light else step)
    return cuts, missed[0], missed[-1]


def _right(cuts: Floats, states: NDArray[np.intp]) -> Region:
    """The points of the whole axis that are right, as intervals from left to right."""
    after, before = ~np.isin(states, (PLUS, WRONG)), ~np.isin(states, (MINUS, WRONG))
    inside = np.concatenate([before[::-1], after])
    outside = np.zeros_like(inside[:1])
    opens = inside & ~np.concatenate([outside, inside[:-1]])
    closes = inside & ~np.concatenate([inside[1:], outside])
    ends = np.where(cuts >= FAR, np.inf, cuts)
    edges = np.concatenate([-ends[::-1], np.zeros_like(ends[:1]), ends])
    infinite = np.where(np.isnan(ends[:1]), np.nan, np.inf)
    edges = np.concatenate([-infinite, edges, infinite])
    count = opens.sum(axis=0)
    slots = int(count.max())
    sides = []
    for which, offset in ((opens, 0), (closes, 1)):
        side = np.full((slots, count.size), -np.inf)
        at, element = np.nonzero(which)
        # Counted from the right, so that missing intervals are empty ones at the left end.
        slot = slots - count[element] + np.cumsum(which, axis=0)[at, element] - 1
        side[slot, element] = edges[at + offset, element]
        sides.append(side)
    return Region(tuple(interval(lower, upper) for lower, upper in zip(*sides, strict=True)))

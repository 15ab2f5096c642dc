"""From the dual at single points to one radius: rays of the half-plane, and sectors between them.

`H(δ) = exp(‖δ‖²/2) (1 − value)` is convex in δ. So its bounds at points of two rays bound it on the
chords between them, and the sector between the rays is certified where both rays stay below a level
that is slightly lower than `exp(ρ²/2)/2`. Statement and proof: docs/theory/look_ahead.md.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from sosmooth._numbers import Floats
from sosmooth.certificates._look_ahead_search import better, first_multipliers, wrong_mass
from sosmooth.certificates.region import Region

_FIRST_RAYS = 24
_NARROWEST = np.pi / 800
# Rounds of Newton's method: on a new ray, and after a small move.
_AFRESH, _WARM = 20, 8
# The radius aimed at is below the smallest distance at which a ray meets the level, by this share.
_TOLERANCE = 3e-4
_ROUNDS = 24
# Distances at which a ray is looked at to find where it meets the level.
_MARCHES = 4
# No ray is followed further than this share beyond the shortest one, nor further than the other
# share beyond its last distance: the multipliers would no longer suit.
_BEYOND, _STRIDE = 0.04, 0.1
_ROUNDING = 1e-12
#: A wrong mass that provably lies below zero by more than this contradicts the bounds given.
CONTRADICTION = -1e-9


@dataclass
class _Ray:
    """Bounds of the wrong mass along one direction.

    Attributes:
        angle: to û, in (0, π).
        nodes: distances and bounds there, rising.
        y: the multipliers of each node, (5,).
        reach: about where the bound is 1/2.
    """

    angle: float
    nodes: list[tuple[float, float]]
    y: list[Floats]
    reach: float = np.inf

    def nearest(self, r: float) -> Floats:
        """The multipliers of the node next to a distance."""
        return self.y[min(range(len(self.nodes)), key=lambda i: abs(self.nodes[i][0] - r))]

    def add(self, r: float, mass: float, y: Floats) -> None:
        """Add a node."""
        place = bisect(self.nodes, (r, mass))
        self.nodes.insert(place, (r, mass))
        self.y.insert(place, y)
        self.reach = _meets_one_half(self.nodes, place)


class Rays:
    """What the dual shows along rays, for one element.

    Args:
        prices: see `dual`, (5,).
        second: the region of second order, of one element; its bound holds in every direction.
        start: a distance at which that bound is used; it is certified.
    """

    def __init__(self, prices: Floats, second: Region, start: float):
        self._prices = prices[:, None]
        self._second, self._start = second, start
        self.least = np.inf
        angles = (np.arange(_FIRST_RAYS) + 0.5) * np.pi / _FIRST_RAYS
        self._rays = [self._ray(angle) for angle in angles.tolist()]

    def radius(self) -> float:
        """The largest distance that is proved; at least `start`, where the level allows it."""
        self._follow(self._rays, self._start * 1.05)
        share = 1 - _TOLERANCE
        for _ in range(_ROUNDS):
            aim = share * min(ray.reach for ray in self._rays)
            if aim <= self._start or self.least < CONTRADICTION:
                break
            wanted, wide, lost = self._open(aim)
            if not (wanted or wide or lost):
                return aim
            if lost:
                share *= 1 - _TOLERANCE
            self._look(wanted, _WARM)
            if wide:
                added = [self._ray(angle, like) for angle, like in wide]
                self._rays = sorted([*self._rays, *added], key=lambda ray: ray.angle)
                self._follow(added, aim)
        return self._start

    def _ray(self, angle: float, like: _Ray | None = None) -> _Ray:
        """A ray at which nothing was looked at beyond the start."""
        ((lower, upper),) = self._second.intervals
        y = first_multipliers((float(lower), float(upper)), self._start, angle)
        at_start = float(self._second.complement_measure(self._start))
        return _Ray(angle, [(self._start, at_start)], [y if like is None else like.y[-1]])

    def _follow(self, rays: Sequence[_Ray], first: float) -> None:
        """Find where each ray meets one half, or that it reaches far enough."""
        going = [(ray, first) for ray in rays]
        for turn in range(_MARCHES):
            self._look(going, _WARM if turn else _AFRESH)
            far = (1 + _BEYOND) * min(ray.reach for ray in self._rays)
            following = [(ray, min(ray.reach, far, (1 + _STRIDE) * last)) for ray, last in going]
            # Those that are close, or far enough already, need no other look.
            going = [
                (ray, r)
                for (ray, r), (_, last) in zip(following, going, strict=True)
                if abs(r - last) > 1e-5 * last and not last >= far <= ray.reach
            ]

    def _look(self, at: Sequence[tuple[_Ray, float]], rounds: int) -> None:
        """Bound the wrong mass at distances on rays."""
        if not at:
            return
        r, angle = (np.array(of) for of in zip(*((r, ray.angle) for ray, r in at), strict=True))
        start = np.stack([ray.nearest(distance) for ray, distance in at], axis=1)
        y = better(start, self._prices, r, angle, rounds)
        mass = wrong_mass(y, self._prices, r, angle)
        self.least = min(self.least, float(mass.min()))
        for i, (ray, distance) in enumerate(at):
            ray.add(distance, float(np.clip(mass[i], 1e-300, 1.0)), y[:, i])

    def _sectors(self) -> Iterator[tuple[_Ray, _Ray, float]]:
        """Neighbours and the angle between them; the first and last ray have their mirror image."""
        first, last = self._rays[0], self._rays[-1]
        yield first, first, 2 * first.angle
        for one, other in pairwise(self._rays):
            yield one, other, other.angle - one.angle
        yield last, last, 2 * (np.pi - last.angle)

    def _open(self, aim: float) -> tuple[list[tuple[_Ray, float]], list[tuple[float, _Ray]], bool]:
        """What is missing at a radius.

        Returns:
            Distances to look at on rays; angles of further rays, each with a ray like it; whether
            a sector that is narrow already is above the level.
        """
        wanted, wide, lost = {}, [], False
        for one, other, width in self._sectors():
            missing = [_first_gap(ray.nodes, aim, width) for ray in (one, other)]
            for ray, gap in zip((one, other), missing, strict=True):
                if gap is not None and gap > 0:
                    wanted[ray.angle] = (ray, gap)
            if 0.0 in missing:
                if width <= _NARROWEST:
                    lost = True
                    continue
                middle = 0.5 * (one.angle + other.angle)
                if one is other:
                    away = 0.25 * width
                    middle = away if one is self._rays[0] else np.pi - away
                wide.append((middle, one))
        return list(wanted.values()), wide, lost


def _meets_one_half(nodes: Sequence[tuple[float, float]], last: int) -> float:
    """About where the wrong mass is 1/2, from the last look and what is nearest to it."""
    r, mass = nodes[last]
    score = -float(special.ndtri(mass))
    speed = 0.6
    if len(nodes) > 1:
        near, near_mass = nodes[last - 1] if last else nodes[last + 1]
        if r != near:
            speed = (-float(special.ndtri(near_mass)) - score) / (r - near)
    return r + score / min(max(speed, 0.2), 1.0)


def _first_gap(nodes: Sequence[tuple[float, float]], aim: float, width: float) -> float | None:
    """Where a ray is not yet below the level of a sector of this width, up to the radius `aim`.

    Returns:
        None: it is below everywhere. 0: a bound is above the level. Else a distance to look at.
    """
    far = aim / np.cos(0.5 * width) * (1 + _ROUNDING)
    shrink = np.cos(0.5 * width) ** 2 * (1 - _ROUNDING)

    def level(r: float) -> float:
        return 0.5 * np.exp(0.5 * r * r * shrink)

    heights = [(r, mass * np.exp(0.5 * r * r) * (1 + _ROUNDING)) for r, mass in nodes]
    hull = _lower_hull(heights)
    if hull[0][1] > level(hull[0][0]):
        return 0.0
    for (near, low), (after, high) in pairwise(hull):
        if near >= far:
            return None
        if after <= far and high > level(after):
            return 0.0
        end = min(after, far)
        at_end = low + (high - low) * ((end - near) / (after - near))
        if not _below(near, end, low, at_end, shrink):
            if end - near < 1e-4 * end:
                return 0.0
            # The end of the chord may lie beyond the level, or the middle of it alone.
            return end if end < after and at_end > level(end) else 0.5 * (near + end)
    return None if hull[-1][0] >= far else far


def _lower_hull(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The lower convex hull, from the first point to the last."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    return hull


def _below(near: float, far: float, low: float, high: float, shrink: float) -> bool:
    """Whether the chord from `low` to `high` is below `exp(shrink r²/2)/2` on `[near, far]`.

    It is if both its ends are below one tangent of that convex function.
    """
    slope = (high - low) / (far - near)
    left, right = near, far
    for _ in range(50):
        middle = 0.5 * (left + right)
        rises = shrink * middle * 0.5 * np.exp(0.5 * shrink * middle * middle) > slope
        left, right = (left, middle) if rises else (middle, right)
    at = 0.5 * np.exp(0.5 * shrink * left * left)
    steep = shrink * left * at
    ends = [(near, low), (far, high)]
    return all(value <= (at + steep * (r - left)) * (1 - _ROUNDING) for r, value in ends)

"""The extremal region: what every theorem of smoothing comes down to.

Many base classifiers agree with what is known around `x`. The one among them that loses class `a`
fastest on the way to `x'` is the indicator of a union of intervals of the axis
`(x' - x)/‖x' - x‖`. At distance `r` (in units of sigma) its smoothed value is the Gaussian measure
of the region shifted by `r`. The certified radius is the distance where that value is 1/2.

So a theorem is a function *bounds → region*; measure, radius and indicator are written here, once.
Source: Levine, Kumar, Goldstein, Feizi 2020, "Tight Second-Order Certificates for Randomized
Smoothing", Theorems 1 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._root import decreasing_root

# The error of one call of SciPy's normal distribution function. It is accurate to a few units in
# the last place of its value, and the value is below one. tests/unit/test_rounding.py compares it
# with mpmath.
_CDF_ERROR = 2 * EPS
# The same for a quantile, relative to itself.
_END_ERROR = 8 * EPS
# Where the measure exceeds one half by less than this, the mass lost on the way is computed, not
# the mass that is left.
_NEAR_HALF = 1e-3
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
# The error of the computed loss of one interval, relative to the way: it comes from the ends of the
# interval and from the density.
_LOSS_ERROR = 32 * EPS
# Measures as near as this count as equal when the worst of several is searched. It is far above
# their errors.
_TIE = 1e-9
# Steps to the first crossing; each is safe, and the last ones at least double the digits.
_MOST_STEPS = 400
# The error of a tail mass, relative to itself, down to the smallest floats.
_TAIL_ERROR = 1e-12


def pdf(z: ArrayLike) -> Floats:
    """Standard normal density."""
    z = np.asarray(z, dtype=np.float64)
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


def moment(z: Floats) -> Floats:
    """`z φ(z)`, 0 at infinity."""
    finite = np.clip(z, -60.0, 60.0)
    return finite * pdf(finite)


def quantile_from_tail(upper_tail: ArrayLike) -> Floats:
    """The point `v` with `1 - Φ(v) = upper_tail`; `inf` for a tail of zero."""
    return -special.ndtri(np.asarray(upper_tail, dtype=np.float64))


def interval(lower: ArrayLike, upper: ArrayLike) -> tuple[Floats, Floats]:
    """The interval, shrunk at both ends by more than the rounding of its quantiles."""
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf
        return (
            np.where(np.isfinite(lower), lower + _END_ERROR * np.abs(lower), lower),
            np.where(np.isfinite(upper), upper - _END_ERROR * np.abs(upper), upper),
        )


@dataclass(frozen=True)
class Region:
    """A union of disjoint intervals of one axis, in units of sigma.

    The input is at 0 and the adversary moves to the right.

    Attributes:
        intervals: pairs `(lower, upper)` of broadcastable float arrays, from left to right; an
            interval with `upper <= lower` is empty. At the last end at most half of the measure is
            left.
        excess: the measure minus one half, where it is known better than the rounded ends give it,
            and never more than the truth; None where it is not known.
        half_line: the end of the half-line of the same measure, rounded down. No region of that
            measure has a smaller radius. None where it would say nothing.
        falls: whether the measure falls as the adversary moves away; it is enough that the midpoint
            of each interval is at or left of 0. Else it may cross 1/2 more than once.
    """

    intervals: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]
    excess: NDArray[np.float64] | None = None
    half_line: NDArray[np.float64] | None = None
    falls: bool = True

    def measure(self, shift: ArrayLike = 0.0) -> Floats:
        """The smoothed value at a distance: `Σ Φ(upper − shift) − Φ(lower − shift)`.

        Args:
            shift: distance from the input, units of sigma, any shape that broadcasts against the
                region's arrays.

        Returns:
            Float array of the broadcast shape, in [0, 1].
        """
        shift = np.asarray(shift, dtype=np.float64)
        total = np.zeros(())
        for lower, upper in self.intervals:
            total = total + np.maximum(
                special.ndtr(upper - shift) - special.ndtr(lower - shift), 0.0
            )
        return np.minimum(total, 1.0)[()]

    def complement_measure(self, shift: ArrayLike = 0.0) -> Floats:
        """One minus the measure at a distance, without loss of digits where that is small.

        For an upper bound of `p_c(x')`, take the region of `1 − f_c`. Make it from an upper bound
        of `p_c(x)` as `error` and an upper bound of the norm of its gradient (section 3.2).

        Args:
            shift: distance from the input, units of sigma, any shape that broadcasts against the
                region's arrays.

        Returns:
            Float array of the broadcast shape, in [0, 1], rounded up.

        Guarantee:
            Tight for the given bounds; it holds when they hold simultaneously.

        Source:
            Levine et al. 2020, section 3.2.
        """
        shift = np.asarray(shift, dtype=np.float64)
        total, end = np.zeros(()), np.full((), -np.inf)
        for lower, upper in self.intervals:
            total = total + _mass(end - shift, lower - shift)
            end = np.maximum(end, upper)
        total = total + special.ndtr(shift - end)
        return np.minimum(total * (1 + _TAIL_ERROR), 1.0)[()]

    def indicator(self, z: ArrayLike) -> NDArray[np.bool_]:
        """Whether a coordinate along the axis lies in the region.

        Args:
            z: units of sigma, any shape that broadcasts against the region's arrays.

        Returns:
            Bool array of the broadcast shape.
        """
        z = np.asarray(z, dtype=np.float64)
        inside = np.zeros((), dtype=bool)
        for lower, upper in self.intervals:
            inside = inside | ((z > lower) & (z <= upper))
        return inside[()]

    def slope(self) -> Floats:
        """The derivative of the measure by the distance, at the input.

        Returns:
            `Σ φ(lower) − φ(upper)`, float array of the region's shape.
        """
        total = np.zeros(())
        for lower, upper in self.intervals:
            total = total + np.where(upper > lower, pdf(lower) - pdf(upper), 0.0)
        return total[()]

    def curvature(self) -> Floats:
        """The second derivative of the measure by the distance, at the input.

        Returns:
            `Σ lower φ(lower) − upper φ(upper)`, float array of the region's shape.
        """
        total = np.zeros(())
        for lower, upper in self.intervals:
            total = total + np.where(upper > lower, moment(lower) - moment(upper), 0.0)
        return total[()]

    def take(self, index: slice | NDArray) -> Region:
        """The regions of some elements of the last axis, the batch.

        Args:
            index: a slice, indices, or a mask of the batch; all arrays have that axis.
        """

        def of(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
            return None if values is None else values[..., index]

        intervals = tuple((lower[..., index], upper[..., index]) for lower, upper in self.intervals)
        return Region(intervals, of(self.excess), of(self.half_line), self.falls)

    def radius(self) -> Floats:
        """The distance up to which the smoothed value is at least 1/2, rounded down.

        Returns:
            Float array in units of sigma; 0 where the region's measure is at most 1/2, `inf` where
            the region is the whole axis.
        """
        if not self.falls:
            return _first_crossing(self)
        result = np.array(_crossing([_alone(self)]))
        if self.excess is not None:
            excess = np.broadcast_to(self.excess, result.shape)
            near = (excess > 0) & (excess < _NEAR_HALF)
            if np.any(near):
                ends = [
                    tuple(np.broadcast_to(end, result.shape)[near] for end in interval)
                    for interval in self.intervals
                ]
                # A half-line crosses at its end, which is known to every digit.
                half_line = np.isneginf(ends[0][0]) & (len(ends) == 1)
                result[near] = np.where(
                    half_line, result[near], _crossing_near_half(ends, excess[near])
                )
        if self.half_line is not None:
            result = np.maximum(result, self.half_line)
        return result[()]


def multiclass_radius(top: Region, others: Sequence[Region]) -> Floats:
    """The largest distance at which the top class provably beats each other class (section 3.2).

    Args:
        top: extremal region of the top class: its measure bounds `p_top(x')` from below.
        others: for each other class `c`, the extremal region of `1 − f_c`, made from a *lower*
            bound of `1 − p_c` and an upper bound of its gradient norm: one minus its measure bounds
            `p_c(x')` from above.

    Returns:
        Float array in units of sigma, rounded down; 0 where some other class is not beaten at the
        input itself.

    Raises:
        ValueError: `others` is empty.

    Guarantee:
        Holds with the probability that all the bounds hold *simultaneously*; split the failure
        probability over every class and every estimated quantity. Every class counts, not only the
        runner-up: a class with a smaller probability but a larger gradient may catch up first.

    Source:
        Levine et al. 2020, section 3.2.
    """
    if not others:
        raise ValueError(
            "multiclass_radius got no other class; give one region for each class but the top one"
        )
    return _crossing([_alone(top)], [_alone(other) for other in others])


def worst_multiclass_radius(tops: Region, others: Region) -> Floats:
    """`multiclass_radius` of a batch with several alternatives, of which the worst counts.

    At every `r` the worst of `tops` and the worst of `others` can be found separately. So all pairs
    of alternatives take the time of one.

    Args:
        tops: regions of the top class, (corners, batch) or (batch,): the truth is at least as good
            as one of them.
        others: a region of `1 − f_c` for each other class, (classes, batch).

    Returns:
        Float array (batch,), units of sigma, rounded down: the minimum of `multiclass_radius` over
        the corners.

    Guarantee:
        As for `multiclass_radius`.

    Source:
        Levine et al. 2020, section 3.2; docs/theory/several_classes.md.
    """
    tops = Region(
        tuple((np.atleast_2d(lower), np.atleast_2d(upper)) for lower, upper in tops.intervals),
        falls=tops.falls,
    )
    return _crossing([tops], [others])


def _mass(lower: Floats, upper: Floats) -> Floats:
    """The measure of `[lower, upper]`, computed in its own tail; 0 where it is empty."""
    mirrored = lower > 0
    left, right = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    return np.maximum(special.ndtr(right) - special.ndtr(left), 0.0)


def _crossing_near_half(ends: Sequence[tuple[Floats, ...]], excess: Floats) -> Floats:
    """Where the measure lost on the way reaches the excess over 1/2, rounded down.

    Args:
        ends: the `(lower, upper)` of each interval, (elements,).
        excess: the measure at 0 minus 1/2, positive, (elements,).
    """

    def lost(z: Floats, r: Floats) -> Floats:
        """`Φ(z) − Φ(z − r)` by quadrature, to full relative precision for small r."""
        nodes = zip(_NODES, _WEIGHTS, strict=True)
        return 0.5 * r * np.sum([w * pdf(z - 0.5 * r * (1 + x)) for x, w in nodes], axis=0)

    def left_and_slope(r: Floats, index: NDArray[np.intp]) -> tuple[Floats, Floats]:
        value, slope = excess[index], np.zeros(r.shape)
        for lower, upper in ends:
            u, v = lower[index], np.maximum(lower[index], upper[index])
            value = value - (lost(v, r) - lost(u, r))
            slope += pdf(u - r) - pdf(v - r)
        return value, slope

    high = np.maximum.reduce([upper for _, upper in ends])
    root = decreasing_root(left_and_slope, np.zeros(high.shape), high, np.minimum(excess, high))
    slope = left_and_slope(root, np.arange(root.size))[1]
    with np.errstate(divide="ignore"):
        return np.maximum(root - _LOSS_ERROR * len(ends) * root / -slope - 4 * EPS * root, 0.0)


def _alone(region: Region) -> Region:
    """The region with a first axis of length 1: it has no alternatives."""
    intervals = tuple((lower[None], upper[None]) for lower, upper in region.intervals)
    return Region(intervals, falls=region.falls)


def _crossing(*groups: Sequence[Region]) -> Floats:
    """The distance where the mean over the groups of their smallest measure falls to 1/2.

    Of two groups it is the distance where the top class meets another one.

    Args:
        groups: the smallest measure is taken over all regions of a group and over the first axis of
            their arrays, (alternatives, *shape). `shape` is the batch, and the same for all regions
            after broadcasting.

    Returns:
        Float array of `shape`, units of sigma, rounded down.
    """
    regions = [region for group in groups for region in group]
    if not all(region.falls for region in regions):
        raise ValueError(
            "several classes need regions whose measure falls with the distance; that of the third"
            " order need not"
        )
    shape = np.broadcast_shapes(
        *(end.shape[1:] for region in regions for interval in region.intervals for end in interval)
    )
    flat = [[_flat_intervals(region, shape) for region in group] for group in groups]
    weight = 1.0 / len(groups)

    def value_and_slope(r: Floats, index: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Mean measure minus 1/2 and slope, at `r` of the elements `index`; all (active,)."""
        value, slope = np.zeros(r.shape), np.zeros(r.shape)
        for group in flat:
            # For each region of the group two arrays (alternatives, active).
            worst = [_excess_and_slope(intervals, r, index) for intervals in group]
            least = np.minimum.reduce([excess.min(axis=0) for excess, _ in worst])
            # Of those that are nearly the worst, the flattest: the margin below must hold for each.
            slopes = [
                np.where(excess <= least + _TIE, fall, -np.inf).max(axis=0)
                for excess, fall in worst
            ]
            value += weight * least
            slope += weight * np.maximum.reduce(slopes)
        return value, slope

    zero = np.zeros(int(np.prod(shape)))  # `shape` flattened, as all arrays from here on
    at_zero = value_and_slope(zero, np.arange(zero.size))[0]
    result = np.where(np.logical_or.reduce([_whole(group) for group in flat]), np.inf, 0.0)
    solve = np.flatnonzero((at_zero > 0) & (result == 0))
    if solve.size:
        # Right of every end the worst of each group has at most half its measure left: the bracket
        # closes there.
        ends = [
            np.where(np.isfinite(v), v, 0.0).max(axis=0)
            for group in flat
            for intervals in group
            for _, v in intervals
        ]
        high = np.maximum.reduce(ends)[solve]
        root = decreasing_root(lambda r, i: value_and_slope(r, solve[i]), zero[solve], high, high)
        slope = value_and_slope(root, solve)[1]
        count = sum(max(len(region.intervals) for region in group) for group in groups)
        with np.errstate(divide="ignore"):
            safe = root - _CDF_ERROR * (1 + count) / -slope - 4 * EPS * root
        result[solve] = np.maximum(safe, 0.0)
    if len(regions) == 1 and len(regions[0].intervals) == 1:
        # A half-line needs no search: its measure is Φ(upper − r), exactly 1/2 at its end.
        ((lower, upper),) = flat[0][0]
        lower, upper = lower.max(axis=0), upper.min(axis=0)
        result = np.where(np.isneginf(lower) & (at_zero > 0), upper, result)
    return result.reshape(shape)[()]


def _first_crossing(region: Region) -> Floats:
    """The distance where the measure first reaches 1/2, rounded down.

    No step passes it: the second derivative of the measure is at most the number of ends times the
    steepest slope of the density.
    """
    shape = np.broadcast_shapes(*(end.shape for ends in region.intervals for end in ends))
    intervals = _flat_intervals(_alone(region), shape)
    bend = float(pdf(1.0)) * 2 * len(intervals)
    r = np.where(_whole([intervals]), np.inf, 0.0)
    active = np.flatnonzero(r == 0)
    for _ in range(_MOST_STEPS):
        if active.size == 0:
            break
        excess, slope = (part[0] for part in _excess_and_slope(intervals, r[active], active))
        excess = excess - _CDF_ERROR * (1 + len(intervals))
        with np.errstate(invalid="ignore"):
            step = 2 * excess / (np.sqrt(slope * slope + 2 * bend * excess) - slope)
        following = r[active] + step * (1 - 8 * EPS)
        going = (excess > 0) & (following > r[active] * (1 + 2 * EPS))
        active, following = active[going], following[going]
        r[active] = following
    return np.where(np.isnan(region.measure()), np.nan, r.reshape(shape))[()]


def _flat_intervals(region: Region, shape: tuple[int, ...]) -> list[tuple[Floats, Floats]]:
    """The ends of each interval as arrays (alternatives, elements of `shape`)."""
    ends = np.broadcast_arrays(*(end for interval in region.intervals for end in interval))
    full = [np.broadcast_to(end, (end.shape[0], *shape)).reshape(end.shape[0], -1) for end in ends]
    full = [np.ascontiguousarray(end, dtype=np.float64) for end in full]
    return list(zip(full[::2], full[1::2], strict=True))


def _excess_and_slope(
    intervals: list[tuple[Floats, Floats]], r: Floats, index: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Measure minus one half of each alternative, and its slope, (alternatives, active).

    Args:
        intervals: of one region, arrays (alternatives, elements).
        r: distances, (active,).
        index: the elements that they belong to, (active,).
    """
    excess, slope = np.array(-0.5), np.array(0.0)
    for lower, upper in intervals:
        u, v = lower[:, index] - r, upper[:, index] - r
        v = np.maximum(u, v)
        excess = excess + (special.ndtr(v) - special.ndtr(u))
        slope = slope + (pdf(u) - pdf(v))
    return excess, slope


def _whole(group: list[list[tuple[Floats, Floats]]]) -> NDArray[np.bool_]:
    """Whether every alternative of every region is the whole axis, (elements,)."""
    whole = [
        np.logical_or.reduce(
            [np.isneginf(lower) & np.isposinf(upper) for lower, upper in intervals]
        ).all(axis=0)
        for intervals in group
    ]
    return np.logical_and.reduce(whole)

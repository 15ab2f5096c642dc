"""A joint confidence region for the probabilities of the antithetic pairs.

Of `n` pairs `K_W` are not right on both sides, and of those `K_Z` are right on neither. `K_W` is
binomial with `W = 1 − p_S`; given `K_W`, `K_Z` is binomial with `ρ = p_Z / W`. So their lower-tail
p-values, those of Clopper and Pearson's bounds, are independent. One test combines them with
weights that depend on the hypothesis alone. Statement and proof: docs/theory/pair_counts.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_alpha
from sosmooth.confidence._bisection import safe_end

#: `(c_s, c_n) → ` what a pair right on one side costs, in [0, 1], relative to one right on none.
#: It is fixed before the samples are seen.
OneSidedCost = Callable[[Floats, Floats], Floats]

# Cells of ρ where the second score is capped; cells of ρ beyond; pieces of W in each cell.
_NEAR_CELLS, _FAR_CELLS, _PIECES = 24, 256, 8
#: Corners of the region of one input.
CELLS = _NEAR_CELLS + _FAR_CELLS
# Cap of the score of the second p-value; `_levels` says what the cap adds to the level.
_SCORE_CAP = 2.5
# Fraction of alpha for the bound of ρ alone, which closes the region on the far side.
_FAR_SHARE = 0.005
# Points where the binomial tails are evaluated; boxes along each axis, the weights are constant in
# each.
_NODES, _BOXES = 40, 64
_LARGEST_TANGENT = 1.0
_TAIL_ERROR = 1e-9
_HAZARD_ERROR = 1e-5
_NODE_SCORES = np.linspace(-8.0, 2.6, _NODES)
_EDGES = np.sin(np.arange(_BOXES + 1) * (np.pi / (2 * _BOXES))) ** 2
_LEVELS = 7  # the last one spans all the boxes: 2^6 = _BOXES


@dataclass(frozen=True)
class PairCells:
    """The worst corners of the region: every truth in it is at least as good as one of them.

    All arrays are (batch, cells).

    Attributes:
        not_both: probability that a pair is not right on both sides, rounded up.
        c_s: the corner's probability that a pair is right on both sides, rounded down.
        c_n: half of its probability that a pair is right on exactly one side, rounded down; c_s + 2
            c_n ≤ 1.
        error: the corner's `1 − p`, exact in the tail, rounded up.
    """

    not_both: Floats
    c_s: Floats
    c_n: Floats
    error: Floats


def pair_cells(
    pair_both: ArrayLike,
    pair_one: ArrayLike,
    pair_none: ArrayLike,
    alpha: float,
    *one_sided_costs: OneSidedCost,
) -> PairCells:
    """Corners of a joint confidence region for `(p_E, p_Z)`, right on one side and right on none.

    The test rejects a truth `(W, ρ)` where `cos ψ Φ⁻¹(P₁) + sin ψ min(Φ⁻¹(P₂), 2.5) ≤ −z`, or
    `P₂ ≤ alpha/200`. Here `P₁ = P(Bin(n, W) ≤ k_W)`, `P₂ = P(Bin(k_W, ρ) ≤ k_Z)`, and along the
    angle `ψ(W, ρ)` the radius falls fastest. With several angles it rejects where this holds for
    some ψ between the first and the last; z is then larger by what that costs.

    Args:
        pair_both: pairs right on both sides; whole numbers (batch,).
        pair_one: pairs right on exactly one side; broadcasts.
        pair_none: pairs right on none; broadcasts.
        alpha: failure probability of the region, in (0, 1).
        one_sided_costs: one or more functions that order the outcomes. Any functions keep the
            guarantee; the slopes of the radius that is minimised give the largest radii. They must
            be hashable, since their tables are kept.

    Returns:
        Corners (batch, cells), in the order of rising ρ. For a radius that falls when a pair moves
        from "both" to "one" or from "one" to "none", its minimum over the cells is a lower bound.

    Raises:
        ValueError: a count is negative, there is no pair at all, or alpha is outside (0, 1).

    Guarantee:
        For every truth and every n, with probability at least 1 − alpha, some corner dominates the
        truth: the radius at the corner, for any such radius function, is at most the radius at the
        truth.

    Source:
        docs/theory/pair_counts.md; the weighted sum of scores is that of Stouffer et al. (1949) and
        Liptak (1958).
    """
    both, one, none = (
        np.atleast_1d(np.asarray(k, dtype=np.float64)) for k in (pair_both, pair_one, pair_none)
    )
    both, one, none = np.broadcast_arrays(both, one, none)
    bad = ~((np.minimum(np.minimum(both, one), none) >= 0) & (both + one + none >= 1))
    if np.any(bad):
        i = int(np.argmax(bad))
        raise ValueError(
            "pair counts must be whole numbers of at least 0, with one pair or more; got"
            f" {both[i]:g}, {one[i]:g}, {none[i]:g}"
        )
    n, wrong = both + one + none, one + none
    combined, far = _levels(alpha)
    hedged, alone = (
        _directions(costs, combined) for costs in (one_sided_costs, one_sided_costs[-1:])
    )
    # With so many wrong pairs expected, the probability to see none is alpha.
    few = -np.log(alpha)

    # From here on arrays are (batch, cells), or (batch, 1).
    tail = _Tail(none, wrong)
    scores = np.linspace(_SCORE_CAP, special.ndtri(far), _FAR_CELLS + 1)
    far_rho = tail.upper_bound(scores)  # (batch, _FAR_CELLS + 1)
    # Below the first bound of ρ every truth has the capped score, so any cells are valid there.
    near = np.arcsin(np.sqrt(far_rho[:, :1])) * (np.arange(1, _NEAR_CELLS) / _NEAR_CELLS)
    near = np.minimum(np.sin(near) ** 2, far_rho[:, :1])
    rho = np.concatenate([near, far_rho], axis=1)
    rho_from = np.concatenate([np.zeros((len(n), 1)), rho[:, :-1]], axis=1)
    # Cell i is ρ in [rho_from, rho]; there the second score is at most y, (cells,).
    y = np.concatenate([np.full(_NEAR_CELLS, _SCORE_CAP), scores[:-1]])

    def rejecting(directions: _Directions, low: Floats, high: Floats) -> Floats:
        """The same for one way of testing."""
        first, last, z = directions.over(low, high, rho_from, rho)
        first, last = first * fade(high), last * fade(low)
        # If every truth of the rectangle tests some common directions, the best of them counts.
        # Else a truth may test any direction in between, and the worst counts.
        best = np.clip(-y / np.sqrt(np.maximum(z**2 - y**2, 1e-9)), first, np.maximum(first, last))
        least, most = np.where(first <= last, best, last), np.where(first <= last, best, first)
        return -z * np.sqrt(1 + most**2) - np.maximum(y * least, y * most)

    def fade(w: Floats) -> Floats:
        """A factor for the tangents: 0 where few pairs are expected to be wrong, else up to 1."""
        return np.clip((n[:, None] * w / few - 1) / 3, 0.0, 1.0)

    def needed(low: Floats, high: Floats) -> Floats:
        """A score of the first p-value that rejects all W in [low, high], for every ρ of a cell."""
        if hedged is alone:
            return rejecting(alone, low, high)
        # Truths below the limit are tested in one way, those above it in the other way. Each
        # bracket needs the scores of the ways that its truths are tested in.
        limit = 2 * few / n[:, None]
        below = np.where(low < limit, rejecting(alone, low, high), np.inf)
        return np.minimum(below, np.where(high >= limit, rejecting(hedged, low, high), np.inf))

    observed, spread = (wrong / n)[:, None], (np.sqrt((wrong + 1) * (both + 1)) / n**1.5)[:, None]
    tail = _Tail(wrong, n)
    # A truth with W up to `low` needs no test: the corner is at least as bad. Any `low` is valid,
    # and one near the answer gives the best bound.
    start = np.broadcast_to(np.minimum(observed + 3 * spread, 1.0), rho.shape)
    low = np.clip(observed - (needed(start, start) + 1) * spread, 0.0, 1.0)
    high = np.ones_like(low)
    for _ in range(5):
        furthest = np.min(needed(low, high), axis=1, keepdims=True)
        high = np.maximum(tail.upper_bound(furthest), low)
    # Piece by piece: a truth that is not rejected lies below the bound of its own piece.
    inner = np.linspace(0, 1, _PIECES + 1)[1:-1]
    cuts = [low, *(np.minimum(low + part * (high - low), high) for part in inner), high]
    not_both = low
    for start, end in pairwise(cuts):
        bound = np.minimum(tail.upper_bound(needed(start, end)), end)
        not_both = np.where(bound >= start, np.maximum(not_both, bound), not_both)
    return _corners(not_both, rho)


def _levels(alpha: float) -> tuple[float, float]:
    """Levels of the combined test, if its scores were exactly normal, and of the test of ρ alone.

    The cap of the second score adds at most `Φ(−cap)` times the first level to it.
    """
    checked_alpha(alpha)
    far = _FAR_SHARE * alpha
    return float((alpha - far) / (1 + special.ndtr(-_SCORE_CAP)) * (1 - 1e-9)), far


def _corners(not_both: Floats, rho: Floats) -> PairCells:
    up, down = 1 + 8 * EPS, 1 - 8 * EPS
    c_s = np.maximum((1 - not_both) - EPS, 0.0)
    c_n = 0.5 * not_both * np.maximum(1 - rho - EPS, 0.0) * down
    error = np.minimum(0.5 * not_both * (1 + rho) * up, 1.0)
    return PairCells(not_both, c_s, c_n, error)


class _Tail:
    """Upper bounds of a binomial proportion at many levels, from few exact tails.

    `P(Bin(n, p) ≤ k)` is log-concave in p: it is the survival function of a beta law whose density
    is log-concave. So a tangent of its logarithm lies above it everywhere.

    Args:
        count: k, (batch,).
        n: trials, (batch,).
    """

    # The points p, the logarithm of the tail there and minus its slope: (batch, _NODES).
    _p: Floats
    _log_tail: Floats
    _hazard: Floats

    def __init__(self, count: Floats, n: Floats) -> None:
        count, n = count[:, None], n[:, None]
        self._full = count == n
        a, b = count + 1, np.maximum(n - count, 1)
        self._p = np.clip(special.betainccinv(a, b, special.ndtr(_NODE_SCORES)), 1e-300, 1 - 1e-12)
        with np.errstate(divide="ignore"):
            self._log_tail = np.log(special.betaincc(a, b, self._p) * (1 + _TAIL_ERROR))
        log_density = (
            special.xlogy(a - 1, self._p) + special.xlog1py(b - 1, -self._p) - special.betaln(a, b)
        )
        self._hazard = np.exp(log_density - self._log_tail)

    def upper_bound(self, score: Floats) -> Floats:
        """For each row the `p` with `P(Bin(n, p) ≤ k) ≤ Φ(score)`, rounded up, (batch, cells).

        Args:
            score: (cells,) or (batch, cells).
        """
        node = np.rint((score - _NODE_SCORES[0]) / (_NODE_SCORES[1] - _NODE_SCORES[0]))
        node = np.broadcast_to(
            np.clip(node, 0, _NODES - 1).astype(np.intp), (len(self._p), score.shape[-1])
        )
        p, log_tail, hazard = (
            np.take_along_axis(v, node, axis=1) for v in (self._p, self._log_tail, self._hazard)
        )
        missing = log_tail - special.log_ndtr(score) + 1e-12
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = (
                p
                + missing / (hazard * np.where(missing > 0, 1 - _HAZARD_ERROR, 1 + _HAZARD_ERROR))
                + 4 * EPS * p
            )
        return np.where(self._full | ~(np.isfinite(log_tail) & (bound < 1)), 1.0, bound)


@dataclass(frozen=True)
class _Directions:
    """How each truth is tested: extremes over windows of boxes of (W, ρ).

    The arrays are (levels, levels, boxes, boxes): log2 of the size of the window along W and along
    ρ, then its first box along W and along ρ.

    Attributes:
        first: largest tangent of the first angle that a truth is tested in.
        last: smallest tangent of the last angle.
        z: largest score that rejects.
        plain: the score that rejects where there is one angle.
    """

    first: NDArray[np.float32]
    last: NDArray[np.float32]
    z: NDArray[np.float32]
    plain: float

    def over(
        self, low: Floats, high: Floats, rho_low: Floats, rho_high: Floats
    ) -> tuple[Floats, ...]:
        """`first`, `last` and `z`, or safe bounds of them, over rectangles of (W, ρ)."""
        j, i = _box(low), _box(rho_low)
        k, l = _level(_box(np.maximum(low, high)) - j), _level(_box(rho_high) - i)  # noqa: E741
        return tuple(
            table[k, l, j, i].astype(np.float64) for table in (self.first, self.last, self.z)
        )


@lru_cache(maxsize=24)
def _directions(one_sided_costs: tuple[OneSidedCost, ...], level: float) -> _Directions:
    """The directions of the test on boxes of (W, ρ).

    Both axes are cut evenly in `asin √·`, where binomial spreads are even. With the slope `w` of
    the radius, the best statistic is `w K_W + (1 − w) K_Z`. Its two independent parts have the
    spreads `(w + (1 − w) ρ) √(W (1 − W))` and `(1 − w) √(W ρ (1 − ρ))`: tan ψ is their ratio.
    """
    middle = np.sin((np.arange(_BOXES) + 0.5) * (np.pi / (2 * _BOXES))) ** 2
    wrong, rho = middle[:, None], middle[None, :]
    tangents = []
    for one_sided_cost in one_sided_costs:
        cost = one_sided_cost(1 - wrong, 0.5 * wrong * (1 - rho))
        with np.errstate(divide="ignore", invalid="ignore"):
            spread_of_z = (1 - cost) * np.sqrt(rho * (1 - rho))
            tangent = spread_of_z / ((cost + (1 - cost) * rho) * np.sqrt(1 - wrong))
        tangents.append(np.clip(np.nan_to_num(tangent), 0.0, _LARGEST_TANGENT).astype(np.float32))
    first, last = np.minimum.reduce(tangents), np.maximum.reduce(tangents)
    first_angle, last_angle = (np.arctan(each.astype(np.float64)) for each in (first, last))
    z = _rejecting_score(level, last_angle - first_angle)
    return _Directions(
        _over_windows(first, np.maximum),
        _over_windows(last, np.minimum),
        _over_windows((z * (1 + 1e-6)).astype(np.float32), np.maximum),
        float(_rejecting_score(level, np.zeros(()))),
    )


def _rejecting_score(level: float, angle: Floats) -> Floats:
    """The distance `z ≥ 0` of half-planes whose union has normal measure at most `level`.

    The half-planes lie in all directions of an `angle`. The measure of their union is
    `Φ(−z) + angle/2π · exp(−z²/2)`.
    """

    def is_far(z: Floats) -> NDArray[np.bool_]:
        return special.ndtr(-z) + angle / (2 * np.pi) * np.exp(-0.5 * z * z) <= level

    return safe_end(is_far, np.zeros(angle.shape), np.full(angle.shape, 40.0), 60) * (1 + 1e-12)


def _over_windows(values: NDArray[np.float32], extreme: np.ufunc) -> NDArray[np.float32]:
    """`extreme` over windows of `2^k × 2^l` boxes, cut off at the edge: (k, l, boxes, boxes)."""
    after = [np.minimum(np.arange(_BOXES) + 2**level, _BOXES - 1) for level in range(_LEVELS - 1)]

    def along_rows(table: NDArray[np.float32], next_: NDArray[np.intp]) -> NDArray[np.float32]:
        return extreme(table, table[next_])

    def along_columns(table: NDArray[np.float32], next_: NDArray[np.intp]) -> NDArray[np.float32]:
        return extreme(table, table[:, next_])

    rows = accumulate(after, along_rows, initial=values)
    return np.array([list(accumulate(after, along_columns, initial=row)) for row in rows])


def _level(span: NDArray[np.intp]) -> NDArray[np.intp]:
    """The smallest level whose windows hold `span + 1` boxes."""
    return np.searchsorted(2 ** np.arange(_LEVELS), span + 1)


def _box(p: Floats) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(_EDGES, p, side="right") - 1, 0, _BOXES - 1)

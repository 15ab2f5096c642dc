"""A joint confidence region for the probabilities of the antithetic pairs, made of pairs of Clopper–Pearson bounds.

Of `n` pairs `K_W` are not right on both sides, and of those `K_Z` are right on neither. `K_W` is binomial with
`W = 1 − p_S`; given `K_W`, `K_Z` is binomial with `ρ = p_Z / W`. Their lower-tail p-values are therefore independent, and one
test combines them with weights that depend on the hypothesis alone. Statement and proof: docs/theory/pair_counts.md.
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
#: Fixed before the samples are seen.
OneSidedCost = Callable[[Floats, Floats], Floats]

# Cells of ρ where the second score is capped, and beyond; pieces of W in which each cell is looked at.
_NEAR_CELLS, _FAR_CELLS, _PIECES = 24, 256, 8
#: Corners of the region of one input.
CELLS = _NEAR_CELLS + _FAR_CELLS
# Score of the second p-value above which it counts as this; what that adds to the level is in `_levels`.
_SCORE_CAP = 2.5
# Share of alpha for the bound of ρ alone, which closes the region on the far side.
_FAR_SHARE = 0.005
# Points where the binomial tails are evaluated, and boxes per axis on which the weights are constant.
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

    Attributes:
        not_both: probability that a pair is not right on both sides, rounded up, (batch, cells).
        c_s, c_n: the corner's pair probabilities, rounded down; c_s + 2 c_n ≤ 1.
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
    """Corners of a joint confidence region for `(p_E, p_Z)`, right on exactly one side and right on none.

    A truth `(W, ρ)` is rejected where `cos ψ Φ⁻¹(P₁) + sin ψ min(Φ⁻¹(P₂), 2.5) ≤ −z`, or `P₂ ≤ alpha/200`, with
    `P₁ = P(Bin(n, W) ≤ k_W)`, `P₂ = P(Bin(k_W, ρ) ≤ k_Z)` and the angle `ψ(W, ρ)` along which the radius falls fastest; for
    several angles, where it holds for some ψ between the first and the last, and z is larger by what that costs.

    Args:
        pair_both, pair_one, pair_none: counts of the pairs right on both sides, on exactly one, on none; integers (batch,).
        alpha: failure probability of the region, in (0, 1).
        one_sided_costs: order the outcomes, one at least; any functions whatever keep the guarantee, the slopes that the radius
            to be minimised may have give the largest radii. Hashable: the tables made of them are kept.
    Returns:
        Corners (batch, cells), in the order of rising ρ. For a radius that falls when a pair moves from "both" to "one" or from
        "one" to "none", its minimum over the cells is a lower bound.
    Raises:
        ValueError: counts that are negative or not whole, no pair at all, alpha outside (0, 1).
    Guarantee:
        For every truth and every n, with probability at least 1 − alpha, the truth is dominated by some corner: the radius
        at the corner, for any such radius function, is at most the radius at the truth.
    Source:
        docs/theory/pair_counts.md; the weighted sum of scores is Stouffer's et al. (1949) and Liptak's (1958).
    """
    both, one, none = (
        np.atleast_1d(np.asarray(k, dtype=np.float64)) for k in (pair_both, pair_one, pair_none)
    )
    both, one, none = np.broadcast_arrays(both, one, none)
    bad = ~((np.minimum(np.minimum(both, one), none) >= 0) & (both + one + none >= 1))
    if np.any(bad):
        i = int(np.argmax(bad))
        raise ValueError(
            f"pair counts must be whole numbers of at least 0, one pair at least; got {both[i]}, {one[i]}, {none[i]}"
        )
    n, wrong = both + one + none, one + none
    combined, far = _levels(alpha)
    hedged, alone = (
        _directions(costs, combined) for costs in (one_sided_costs, one_sided_costs[-1:])
    )
    # As many wrong pairs as must be expected for it to be unlikely that none is seen.
    few = -np.log(alpha)

    tail = _Tail(none, wrong)
    scores = np.linspace(_SCORE_CAP, special.ndtri(far), _FAR_CELLS + 1)
    far_shares = tail.upper_bound(scores)
    # Below the first bound of ρ every truth has the capped score: the cells may be cut anywhere.
    near = np.arcsin(np.sqrt(far_shares[:, :1])) * (np.arange(1, _NEAR_CELLS) / _NEAR_CELLS)
    near = np.minimum(np.sin(near) ** 2, far_shares[:, :1])
    share = np.concatenate([near, far_shares], axis=1)
    share_from = np.concatenate([np.zeros((len(n), 1)), share[:, :-1]], axis=1)
    # Cell i is ρ in [share_from, share]; there the second score is at most y.
    y = np.concatenate([np.full(_NEAR_CELLS, _SCORE_CAP), scores[:-1]])

    def rejecting(directions: _Directions, low: Floats, high: Floats) -> Floats:
        first, last, z = directions.over(low, high, share_from, share)
        first, last = first * fade(high), last * fade(low)
        # Directions that every truth of the rectangle tests: the best. None: any between, so the worst of those.
        best = np.clip(-y / np.sqrt(np.maximum(z**2 - y**2, 1e-9)), first, np.maximum(first, last))
        least, most = np.where(first <= last, best, last), np.where(first <= last, best, first)
        return -z * np.sqrt(1 + most**2) - np.maximum(y * least, y * most)

    def fade(share_wrong: Floats) -> Floats:
        """By what the tangents shrink where few pairs are expected to be wrong; rises with them."""
        return np.clip((n[:, None] * share_wrong / few - 1) / 3, 0.0, 1.0)

    def needed(low: Floats, high: Floats) -> Floats:
        """A score at which the first p-value rejects every W in [low, high], whatever ρ in the cell."""
        if hedged is alone:
            return rejecting(alone, low, high)
        # Truths below the limit are tested in one way, those above in the other; no score rejects by the way not taken.
        limit = 2 * few / n[:, None]
        below = np.where(low < limit, rejecting(alone, low, high), np.inf)
        return np.minimum(below, np.where(high >= limit, rejecting(hedged, low, high), np.inf))

    observed, spread = (wrong / n)[:, None], (np.sqrt((wrong + 1) * (both + 1)) / n**1.5)[:, None]
    tail = _Tail(wrong, n)
    # A truth with W up to `low` needs no look, for the corner is as bad: any `low` will do, one near the answer does best.
    start = np.broadcast_to(np.minimum(observed + 3 * spread, 1.0), share.shape)
    low = np.clip(observed - (needed(start, start) + 1) * spread, 0.0, 1.0)
    high = np.ones_like(low)
    for _ in range(5):
        furthest = np.min(needed(low, high), axis=1, keepdims=True)
        high = np.maximum(tail.upper_bound(furthest), low)
    # Piece by piece: a truth that is not rejected lies below the bound of its own piece.
    inner = np.linspace(0, 1, _PIECES + 1)[1:-1]
    cuts = [low, *(np.minimum(low + share_of * (high - low), high) for share_of in inner), high]
    not_both = low
    for start, end in pairwise(cuts):
        bound = np.minimum(tail.upper_bound(needed(start, end)), end)
        not_both = np.where(bound >= start, np.maximum(not_both, bound), not_both)
    return _corners(not_both, share)


def _levels(alpha: float) -> tuple[float, float]:
    """Levels of the combined test, were its scores exactly normal, and of the test of ρ alone.

    Capping the second score adds at most `Φ(−cap)` of the first level to it.
    """
    checked_alpha(alpha)
    far = _FAR_SHARE * alpha
    return float((alpha - far) / (1 + special.ndtr(-_SCORE_CAP)) * (1 - 1e-9)), far


def _corners(not_both: Floats, share: Floats) -> PairCells:
    up, down = 1 + 8 * EPS, 1 - 8 * EPS
    c_s = np.maximum((1 - not_both) - EPS, 0.0)
    c_n = 0.5 * not_both * np.maximum(1 - share - EPS, 0.0) * down
    error = np.minimum(0.5 * not_both * (1 + share) * up, 1.0)
    return PairCells(not_both, c_s, c_n, error)


class _Tail:
    """Upper bounds of a binomial proportion at many levels, from few exact tails.

    `P(Bin(n, p) ≤ k)` is log-concave in p (it is the survival function of a beta law whose density is log-concave), so a
    tangent of its logarithm lies above it everywhere.
    """

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
        """For each row the `p` with `P(Bin(n, p) ≤ k) ≤ Φ(score)`, rounded up; scores of (cells,) or (batch, cells)."""
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
    """Tangents of the first and the last angle that a truth is tested in, and the score that rejects, by windows of boxes."""

    first: NDArray[np.float32]
    last: NDArray[np.float32]
    z: NDArray[np.float32]
    plain: float

    def over(
        self, low: Floats, high: Floats, share_low: Floats, share_high: Floats
    ) -> tuple[Floats, ...]:
        """At least the largest first, at most the smallest last, at least the largest z over rectangles of (W, ρ)."""
        j, i = _box(low), _box(share_low)
        k, l = _level(_box(np.maximum(low, high)) - j), _level(_box(share_high) - i)  # noqa: E741
        return tuple(
            table[k, l, j, i].astype(np.float64) for table in (self.first, self.last, self.z)
        )


@lru_cache(maxsize=24)
def _directions(one_sided_costs: tuple[OneSidedCost, ...], level: float) -> _Directions:
    """The directions of the test on boxes of (W, ρ), both axes cut evenly in `asin √·`, where binomial spreads are even.

    With the radius' slope `w` the best statistic is `w K_W + (1 − w) K_Z`, whose two independent parts have the spreads
    `(w + (1 − w) ρ) √(W (1 − W))` and `(1 − w) √(W ρ (1 − ρ))`: tan ψ is their ratio.
    """
    middle = np.sin((np.arange(_BOXES) + 0.5) * (np.pi / (2 * _BOXES))) ** 2
    wrong, share = middle[:, None], middle[None, :]
    tangents = []
    for one_sided_cost in one_sided_costs:
        cost = one_sided_cost(1 - wrong, 0.5 * wrong * (1 - share))
        with np.errstate(divide="ignore", invalid="ignore"):
            tangent = (
                (1 - cost)
                * np.sqrt(share * (1 - share))
                / ((cost + (1 - cost) * share) * np.sqrt(1 - wrong))
            )
        tangents.append(np.clip(np.nan_to_num(tangent), 0.0, _LARGEST_TANGENT).astype(np.float32))
    first, last = np.minimum.reduce(tangents), np.maximum.reduce(tangents)
    z = _rejecting_score(
        level, np.arctan(last.astype(np.float64)) - np.arctan(first.astype(np.float64))
    )
    return _Directions(
        _over_windows(first, np.maximum),
        _over_windows(last, np.minimum),
        _over_windows((z * (1 + 1e-6)).astype(np.float32), np.maximum),
        float(_rejecting_score(level, np.zeros(()))),
    )


def _rejecting_score(level: float, angle: Floats) -> Floats:
    """The distance `z ≥ 0` of half-planes whose union over all directions of an `angle` has normal measure at most `level`.

    That measure is `Φ(−z) + angle/2π · exp(−z²/2)`.
    """

    def is_far(z: Floats) -> NDArray[np.bool_]:
        return special.ndtr(-z) + angle / (2 * np.pi) * np.exp(-0.5 * z * z) <= level

    return safe_end(is_far, np.zeros(angle.shape), np.full(angle.shape, 40.0), 60) * (1 + 1e-12)


def _over_windows(values: NDArray[np.float32], extreme: np.ufunc) -> NDArray[np.float32]:
    """`extreme` over every window of `2^k × 2^l` boxes, cut off at the edge."""
    after = [np.minimum(np.arange(_BOXES) + 2**level, _BOXES - 1) for level in range(_LEVELS - 1)]
    rows = list(
        accumulate(after, lambda table, next_: extreme(table, table[next_]), initial=values)
    )
    return np.array(
        [
            list(
                accumulate(after, lambda table, next_: extreme(table, table[:, next_]), initial=row)
            )
            for row in rows
        ]
    )


def _level(span: NDArray[np.intp]) -> NDArray[np.intp]:
    """The smallest level whose windows hold `span + 1` boxes."""
    return np.searchsorted(2 ** np.arange(_LEVELS), span + 1)


def _box(p: Floats) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(_EDGES, p, side="right") - 1, 0, _BOXES - 1)

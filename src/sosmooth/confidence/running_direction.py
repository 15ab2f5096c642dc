"""An upper bound of the gradient norm from slopes along a direction that pairs keep improving.

Statement and proof: docs/theory/running_direction.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import Floats, checked_alpha, checked_sigma
from sosmooth.confidence._bisection import safe_end
from sosmooth.confidence.pair_gradient import FOR_GRADIENT, FOR_SIDE, SUM_ERROR, psi_at
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.tally import SLOPE_CAP

#: No classifier has a larger gradient, in units of the noise.
_LARGEST = float(1 / np.sqrt(2 * np.pi)) * (1 + 1e-12)
# Cells of γ and of the disagreement. Each pair of cells has its own stakes: neighbours differ by a
# few per cent, which costs a tenth of that of the slack.
_GAMMAS = _LARGEST * 1.15 ** np.arange(-96.0, 1.0)
_DISAGREEMENTS = 1.2 ** np.arange(-120.0, 1.0)
# The stake is planned so that it stays below these: of the direction, and of the slopes in units of
# their limit. The second cannot be met exactly beforehand; at the last value the bet is void.
_LARGEST_LAMBDA, _PLANNED_STAKE, _LARGEST_STAKE = 20.0, 0.7, 0.97
# At the true γ, 1 + ψ − λγ is at least a mean of exponentials: for these λ it is above 0.07.
_LEAST_CHANGE = -1 + 1e-9
# Part of the terms of the capital that rounding may have changed.
_ROUNDING = 1e-9
# Rows, and cells of γ, at a time.
_CHUNK, _CELLS_AT_ONCE = 256, 8


def _cap_bias(cap: float) -> float:
    """`E[(|g|/2 − cap)₊] = φ(c) − c Φ(−c)`, `c = 2 cap`, rounded up."""
    c = 2 * cap
    return float(np.exp(-0.5 * c * c) / np.sqrt(2 * np.pi) - c * special.ndtr(-c)) * (1 + 1e-9)


#: What the cap takes off the mean of a slope, at most.
CAP_BIAS = _cap_bias(SLOPE_CAP)


def running_gradient_norm_upper_bound(
    *,
    block_pairs: Sequence[int],
    direction_norms: ArrayLike,
    slope_sums: ArrayLike,
    slope_sq_sums: ArrayLike,
    pair_one: ArrayLike,
    pairs: ArrayLike | None = None,
    dimension: int,
    sigma: float,
    alpha: float,
) -> NDArray[np.float64]:
    """Upper bound of `‖∇p‖₂`: the largest γ against which a bet has not won, divided by sigma.

    Let `z = ε/σ` and `h = (f(x + ε) − f(x − ε))/2`. The pairs come in K blocks. `X̄_k` is the mean
    of `h z` over all pairs before block k, and `v_k = X̄_k/‖X̄_k‖`. Block k gives the slope along
    v_k, for k = 2, …, K. Two blocks are a direction from some pairs and its slope from the others.

    Args:
        block_pairs: pairs of each block, (blocks,), at least two blocks of at least one pair.
        direction_norms: `‖X̄_k‖` for k = 2, …, K, (…, blocks − 1).
        slope_sums: sums over block k of `y = min(h v_k·z, SLOPE_CAP)`, likewise.
        slope_sq_sums: sums of `y²`, likewise.
        pair_one: pairs right on exactly one side, among all; any shape, broadcasts with `…`.
        pairs: number of all pairs, likewise. None: those of the blocks; else they may be more.
        dimension: features of one input. It only tunes the stakes: any number gives a valid bound.
        sigma: noise level, input units.
        alpha: failure probability of this bound alone, in (0, 1).

    Returns:
        Float64 of shape `…`, per input unit, rounded up; never above `1/(σ √(2π))` by more than
        1.1e-6 of it.

    Raises:
        ValueError: a value is outside its range, or the blocks do not fit the sums.

    Guarantee:
        P(bound < ‖∇p‖₂) ≤ alpha for every base classifier with values in {0, 1}, every dimension
        and every number of pairs. This needs two things: the blocks were fixed before the pairs
        were drawn, and the sums are accurate to 1e-6 a slope, the norms to 1e-6.

    Source:
        docs/theory/running_direction.md.
    """
    level = -float(np.log(FOR_GRADIENT * checked_alpha(alpha)))
    noise = float(checked_sigma(sigma))
    blocks = np.asarray(block_pairs, dtype=np.float64)
    if blocks.ndim != 1 or len(blocks) < 2 or not np.all(blocks >= 1):
        raise ValueError(f"block_pairs must be at least two numbers from 1; got {block_pairs!r}")
    if not dimension >= 1:
        raise ValueError(f"dimension must be at least 1; got {dimension!r}")
    counts = (pair_one, blocks.sum() if pairs is None else pairs)
    given = (
        direction_norms,
        slope_sums,
        slope_sq_sums,
        *(np.asarray(value)[..., None] for value in counts),
    )
    lengths, totals, squares, one, of_all = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in given)
    )
    if lengths.shape[-1] != len(blocks) - 1:
        raise ValueError(
            f"there must be sums of {len(blocks) - 1} blocks, all but the first;"
            f" got {lengths.shape[-1]}"
        )
    shape = lengths.shape[:-1]
    lengths, totals, squares = (
        array.reshape(-1, len(blocks) - 1) for array in (lengths, totals, squares)
    )
    count, n = one[..., 0].ravel(), of_all[..., 0].ravel()
    low = proportion_lower_bound(count, n, FOR_SIDE * alpha)
    high = proportion_upper_bound(count, n, FOR_SIDE * alpha)
    gamma = np.zeros(len(count))
    for index, possible in _possible_cells(low, high, 4 / blocks.sum()):
        middle = float(np.sqrt(_DISAGREEMENTS[index] * _DISAGREEMENTS[index + 1]))
        stakes = _planned_stakes(blocks, middle, dimension, level)
        for start in range(0, len(possible), _CHUNK):
            rows = possible[start : start + _CHUNK]
            seen = _Seen(lengths[rows], totals[rows], squares[rows], high[rows])
            found = _largest_gamma(seen, stakes, level)
            gamma[rows] = np.maximum(gamma[rows], found)
    return (gamma * (1 + SUM_ERROR) / noise).reshape(shape)[()]


@dataclass(frozen=True)
class _Seen:
    """What pairs showed: norms and sums (rows, blocks − 1), a bound of the disagreement (rows,)."""

    lengths: Floats
    totals: Floats
    squares: Floats
    disagreement: Floats

    def of(self, rows: NDArray[np.intp]) -> _Seen:
        """Some rows."""
        return _Seen(*(array[rows] for array in vars(self).values()))


@dataclass(frozen=True)
class _Stakes:
    """The stakes of each cell of γ, fixed before the pairs are drawn.

    Attributes:
        pairs: of each block, (blocks,).
        weights: `c_k` of the blocks from the second, of sum 1, (blocks − 1,).
        shares: `θ_k`: how much of a block's bet is on the direction, (cells, blocks); 1 in the
            first block, 0 in the last.
        lambdas: `λ_k`, (cells, blocks).
        total: `κγ`, (cells,).
        gammas: a value in the cell, (cells,).
    """

    pairs: Floats
    weights: Floats
    shares: Floats
    lambdas: Floats
    total: Floats
    gammas: Floats

    def of(self, cells: NDArray[np.intp]) -> _Stakes:
        """Those of some cells."""
        chosen = (array[cells] for array in (self.shares, self.lambdas, self.total, self.gammas))
        return _Stakes(self.pairs, self.weights, *chosen)


def _possible_cells(
    low: Floats, high: Floats, least: float
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each cell that can hold a disagreement between low and high, and the rows where it can.

    Disagreements below `least` share one cell.
    """

    def cell(values: ArrayLike) -> NDArray[np.intp]:
        found = np.searchsorted(_DISAGREEMENTS, values, side="right") - 1
        return np.clip(found, 0, len(_DISAGREEMENTS) - 2)

    floor = cell(least)
    first, last = np.maximum(cell(low), floor), np.maximum(cell(high), floor)
    for index in range(int(first.min(initial=0)), int(last.max(initial=-1)) + 1):
        rows = np.nonzero((first <= index) & (index <= last))[0]
        if len(rows):
            yield index, rows


def _planned_stakes(blocks: Floats, disagreement: float, dimension: int, level: float) -> _Stakes:
    """Stakes that suit a classifier of this disagreement whose gradient lies in the cell.

    They take the spread of `h w·z` to be the largest that is possible, and what is across w to be
    pure noise. Any stakes are valid.
    """
    gamma = np.sqrt(_GAMMAS[:-1] * _GAMMAS[1:])[:, None]
    before = np.cumsum(blocks) - blocks
    weights = blocks * before / np.sum(blocks * before)
    per_pair = np.divide(weights, before, out=np.zeros_like(weights), where=before > 0)
    later = np.cumsum(per_pair[::-1])[::-1] - per_pair  # a_k
    later[-1] = 0.0
    length = np.sqrt(gamma**2 + 0.25 * dimension * disagreement / np.maximum(before, 1))
    cosine_sq = (gamma / length) ** 2
    cut = -special.ndtri(0.5 * disagreement)
    more = 2 * cut * np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi)

    def spread(share: ArrayLike) -> Floats:
        """Standard deviation of `h u·z` where the square of `u·w` is this."""
        second = 0.25 * (disagreement + share * more)
        return np.sqrt(np.maximum(second - share * gamma**2, 0.1 * second))

    along = gamma * later * spread(1.0)
    slope = weights / blocks * length * spread(cosine_sq)
    shares = along / (along + slope)
    total = np.sqrt(2 * level / np.sum(blocks * (along + slope) ** 2, axis=1))  # κ
    with np.errstate(divide="ignore", invalid="ignore"):
        lambdas = np.where(shares > 0, total[:, None] * gamma * later / shares, 0.0)
        stake = total[:, None] * weights[1:] * length[:, 1:] / (blocks * (1 - shares))[:, 1:]
    largest = np.maximum(
        lambdas.max(axis=1) / _LARGEST_LAMBDA, SLOPE_CAP * stake.max(axis=1) / _PLANNED_STAKE
    )
    smaller = 1 / np.maximum(largest, 1.0)
    return _Stakes(
        blocks,
        weights[1:],
        shares,
        lambdas * smaller[:, None],
        total * smaller * gamma[:, 0],
        gamma[:, 0],
    )


def _largest_gamma(seen: _Seen, stakes: _Stakes, level: float) -> Floats:
    """The largest γ against which the bet of its cell has not won, (rows,), rounded up."""
    edges = _GAMMAS[:-1]
    highest = np.zeros(len(seen.lengths), dtype=np.intp)
    left = np.arange(len(highest))  # rows where the bets have won in all cells so far
    for end in range(len(edges), 0, -_CELLS_AT_ONCE):
        cells = np.arange(max(end - _CELLS_AT_ONCE, 0), end)
        at_edges = np.broadcast_to(edges[cells], (len(left), len(cells)))
        # In a cell the capital rises with γ: having won at its lower end, it has won in the cell.
        some, own = seen.of(left), stakes.of(cells)
        lost = ~_has_won(at_edges, some, own, _psi(some, own), level)
        highest[left] = cells[-1] - np.argmax(lost[:, ::-1], axis=1)
        left = left[~lost.any(axis=1)]
        if not len(left):
            break
    own = stakes.of(highest[:, None])
    excess = _psi(seen, own)

    def has_won(gamma: Floats) -> NDArray[np.bool_]:
        return _has_won(gamma[:, None], seen, own, excess, level)[:, 0]

    found = safe_end(has_won, edges[highest], _GAMMAS[highest + 1], 40)
    found[left] = edges[0]
    return found


def _psi(seen: _Seen, stakes: _Stakes) -> Floats:
    """`ψ(λ_k)` of each block, (rows, cells, blocks), rounded up."""
    return psi_at(seen.disagreement[:, None, None], stakes.lambdas)


def _has_won(
    gamma: Floats, seen: _Seen, stakes: _Stakes, psi: Floats, level: float
) -> NDArray[np.bool_]:
    """Whether the bet against γ has won, whatever its capital's rounding, (rows, cells).

    Args:
        gamma: (rows, cells).
        seen: of the rows.
        stakes: arrays of (cells, …), or (rows, 1, …).
        psi: of these.
        level: logarithm of what it must win.
    """
    shares, n = stakes.shares, stakes.pairs
    change = np.maximum(psi - stakes.lambdas * gamma[..., None], _LEAST_CHANGE)
    direction = -shares * n * np.log1p(change)
    lengths, totals, squares = (
        array[:, None, :] for array in (seen.lengths, seen.totals, seen.squares)
    )
    rest = (1 - shares[..., 1:]) * n[1:]
    tau = (stakes.total / gamma)[..., None] * stakes.weights * lengths / rest
    center = stakes.gammas[..., None]
    with np.errstate(divide="ignore"):
        expected = center * np.minimum(1.0, center / lengths)
    stake = tau / (1 + tau * expected)
    void = SLOPE_CAP * stake > _LARGEST_STAKE
    share = np.minimum(SLOPE_CAP * stake, _LARGEST_STAKE)
    price = (-np.log1p(-share) - share) / SLOPE_CAP**2
    slopes = (1 - shares[..., 1:]) * (stake * np.maximum(totals, 0.0) + price * squares)
    slopes = slopes + rest * (tau * expected - np.log1p(tau * expected))
    error = SUM_ERROR * (1 + 2 * lengths)
    error = error + lengths * (CAP_BIAS + 2 * SUM_ERROR) / gamma[..., None]
    given_away = stakes.total * (stakes.weights * error).sum(axis=-1)
    size = np.abs(direction).sum(axis=-1) + slopes.sum(axis=-1)
    capital = direction.sum(axis=-1) - slopes.sum(axis=-1) - given_away
    return ~void.any(axis=-1) & (capital > level + _ROUNDING * (1 + size))

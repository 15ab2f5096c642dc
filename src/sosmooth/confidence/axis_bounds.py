"""From antithetic pairs to what is known along one axis, and of the gradient across it.

The axis û is fixed before the pairs that estimate along it. Then slope and curvature along û are
means of scalars, and nothing is charged for the dimension; the gradient across û is bounded as that
of any classifier is, with the noise projected. Statement and proof: docs/theory/look_ahead.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats, checked_alpha
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.direction_bounds import curvature_shortfall, slope_shortfall
from sosmooth.confidence.pair_counts import OneSidedCost, pair_cells
from sosmooth.confidence.pair_gradient import SUM_ERROR
from sosmooth.confidence.pair_mean import PairMean
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.tally import Tally

#: What the axis gets of alpha; the pair counts get the rest.
AXIS_SHARE = 0.3
# Parts of that: for each side of the slope, for the curvature, for the gradient across, for the
# whole gradient or else for that across too, and for each of the two probabilities that slope and
# curvature use. The part of the whole gradient is large: it keeps the radius near that of the
# second-order dipole where the axis tells little.
_SLOPE, _CURVATURE, _ACROSS, _WHOLE, _PROBABILITY = 0.05, 0.2, 0.2, 0.45, 0.025


@dataclass(frozen=True)
class AxisPairs:
    """What antithetic pairs `x ± ε` show along a unit vector û; each array is (batch,).

    With `z = ε/σ`, `t = û·z`, `h = (f(x + ε) − f(x − ε))/2` and the wrong share u of a pair (0, 1/2
    or 1). û does not depend on the pairs of `axis_pairs` and `across`. It may come from other pairs
    of the same counts, or from anything else. The sums are accurate to 1e-6 a pair.

    Attributes:
        both: pairs right on both sides, of all.
        one: pairs right on exactly one.
        none: pairs right on none.
        axis_pairs: pairs in the next two means, at least 1.
        slope: mean of `h t`.
        curvature: mean of `−(u − c)(t² − 1)`.
        center: c, in [0, 1/2], fixed without these pairs.
        across: of `h (z − t û)`.
        whole: of `h z`; None: not counted. This was fixed before the pairs were drawn.
        dimension: features of one input. It only tunes the bounds across: any number is valid.
    """

    both: NDArray[np.int64]
    one: NDArray[np.int64]
    none: NDArray[np.int64]
    axis_pairs: NDArray[np.int64]
    slope: Floats
    curvature: Floats
    center: Floats
    across: PairMean
    whole: PairMean | None = None
    dimension: int = 1

    @classmethod
    def of(cls, tally: Tally) -> AxisPairs:
        """What a tally that has an axis and a gradient for every input holds.

        Args:
            tally: of antithetic pairs.

        Raises:
            LookupError: it has none.
        """
        return cls(
            tally.required("pair_both"),
            tally.required("pair_plus_only") + tally.required("pair_minus_only"),
            tally.required("pair_none"),
            tally.required("axis_pairs"),
            tally.required("axis_slope"),
            tally.required("axis_curvature"),
            tally.required("axis_center"),
            PairMean.across_axis(tally),
            PairMean.of_gradient(tally),
            tally.dimension or 1,
        )


@dataclass(frozen=True)
class AxisBounds:
    """Bounds that hold at the same time, units of the noise.

    Attributes:
        corners: `c_s_lower`, `c_n_lower`, `error_upper`, `p_lower` are (corners, batch); alone none
            of them is a bound.
        slope_lower: of `û·∇p`, (batch,).
        slope_upper: likewise.
        curvature_lower: of `ûᵀ∇²p û`, (batch,).
        across_upper: of the gradient's part orthogonal to û, (batch,).
        gradient_norm_upper: of the whole gradient, (batch,).
    """

    corners: Bounds
    slope_lower: Floats
    slope_upper: Floats
    curvature_lower: Floats
    across_upper: Floats
    gradient_norm_upper: Floats


def axis_bounds(
    pairs: AxisPairs, alpha: float, *, costs: Sequence[OneSidedCost], share: float = AXIS_SHARE
) -> AxisBounds:
    """Bounds of the counts, of slope and curvature along the axis, and of the gradient.

    Args:
        pairs: what was counted.
        alpha: failure probability of all bounds together, in (0, 1).
        costs: the order of the outcomes of the pairs, see `pair_cells`.
        share: of alpha, for all but the counts, in (0, 1), fixed before the pairs were drawn.

    Raises:
        ValueError: alpha, the share, a count or the centre is out of range.

    Guarantee:
        For each input by itself, every base classifier with values in {0, 1}, every dimension and
        every axis: with probability at least 1 − alpha all of this holds. The truth is at least as
        good as some corner, and slope, curvature and gradient meet their bounds.

    Source:
        docs/theory/look_ahead.md, "From pairs".
    """
    checked_alpha(alpha)
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1); got {share:g}")
    both, one, none, m = pairs.both, pairs.one, pairs.none, pairs.axis_pairs
    n, budget = both + one + none, share * alpha
    if np.any((m < 1) | (m > n)):
        raise ValueError("axis_pairs must be at least 1, and at most all pairs")
    if not np.all(np.isfinite([pairs.slope, pairs.curvature])):
        raise ValueError("slope and curvature must be finite")
    cells = pair_cells(both, one, none, (1 - share) * alpha, *costs)
    corners = Bounds(
        2 * n,
        p_lower=np.maximum(1 - cells.error.T - EPS, 0.0),
        error_upper=cells.error.T,
        c_s_lower=cells.c_s.T,
        c_n_lower=cells.c_n.T,
    )
    one_upper = proportion_upper_bound(one, n, _PROBABILITY * budget)
    none_upper = proportion_upper_bound(none, n, _PROBABILITY * budget)
    off = slope_shortfall(one_upper, m, _SLOPE * budget) + SUM_ERROR
    bent = curvature_shortfall(one_upper, none_upper, m, _CURVATURE * budget, center=pairs.center)
    low, high = _outward(pairs.slope - off, -1), _outward(pairs.slope + off, 1)
    part = _ACROSS + (_WHOLE if pairs.whole is None else 0.0)
    across = pairs.across.norm_upper_bound(one, n, part * budget, dimension=pairs.dimension)
    whole = np.hypot(np.maximum(np.abs(low), np.abs(high)), across)
    if pairs.whole is not None:
        other = pairs.whole.norm_upper_bound(one, n, _WHOLE * budget, dimension=pairs.dimension)
        whole = np.minimum(whole, other)
        least = np.maximum(np.maximum(low, -high), 0.0)
        # Pythagoras: what the slope along û takes of the whole gradient is not across.
        with np.errstate(invalid="ignore"):
            rest = np.sqrt(np.maximum((other - least) * (other + least), 0.0))
        across = np.fmin(across, _outward(rest, 1))
    return AxisBounds(
        corners,
        low,
        high,
        _outward(pairs.curvature - bent - SUM_ERROR, -1),
        across,
        _outward(whole, 1),
    )


def _outward(values: Floats, sign: int) -> Floats:
    """Moved up or down by more than the rounding of a few operations on numbers of at most 1."""
    return values + sign * 16 * EPS * (1 + np.abs(values))

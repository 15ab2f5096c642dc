"""From the tally of antithetic pairs to the worst truths along every direction.

Slope and curvature get the share of alpha that the tally names, and the pair counts get the rest.
Whether the curvature was drawn, and the share, is decided from the selection samples
(`planned_curvature`), so the split depends on no estimation sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.direction_bounds import (
    curvature_rounding,
    curvature_shortfall,
    slope_rounding,
    slope_shortfall,
)
from sosmooth.confidence.joint_pairs import drawn_gradient_norm_upper, pair_corners
from sosmooth.confidence.pair_counts import OneSidedCost
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.confidence.shares import named_share
from sosmooth.tally import Tally

# Parts of the share: for the slope, for the curvature, for the norm of the gradient, for each of
# the two probabilities that slope and curvature use, and for the rounding of the noise.
_SLOPE, _CURVATURE, _GRADIENT, _PROBABILITY, _ROUNDING = 0.25, 0.5, 0.16, 0.04, 0.01


@dataclass(frozen=True)
class DirectionCorners:
    """What the truth can be along a direction that does not depend on the samples.

    Attributes:
        bounds: `c_s_lower`, `c_n_lower`, `error_upper`, `p_lower` are (corners, batch); alone none
            of them is a bound.
        gradient_norm_upper: of the gradient, units of the noise, (batch,); inf where its sums were
            not drawn.
        slack: by how much slope and curvature may fall short of their estimates, units of the
            noise, (2, batch).
        eigenvalues: of Ĥ or below, (values, batch).
        squares: squared coefficients of X̂ in its eigenvectors or above, (values, batch).
    """

    bounds: Bounds
    gradient_norm_upper: Floats
    slack: Floats
    eigenvalues: Floats
    squares: Floats


def curvature_share(tally: Tally) -> NDArray[np.float64]:
    """What slope and curvature of each input get of alpha, (batch,): 0 where none was drawn.

    Raises:
        ValueError: a share outside (0, 1).
    """
    if tally.curvature_share is None or tally.curvature_center is None:
        return np.zeros(len(tally))
    drawn = ~np.isnan(tally.curvature_center)
    return named_share("curvature_share", tally.curvature_share, drawn)


def direction_corners(
    tally: Tally, alpha: float, *, costs: Sequence[OneSidedCost]
) -> DirectionCorners:
    """The corners of the joint region of the pair counts, and the slack of slope and curvature.

    Args:
        tally: of antithetic pairs; the curvature was drawn for all inputs.
        alpha: failure probability, in (0, 1).
        costs: the order of the outcomes of the pairs, see `pair_cells`.

    Raises:
        LookupError: the tally lacks what is needed (the message names it).

    Guarantee:
        For each input and each fixed direction v, with probability at least 1 − alpha: the truth is
        at least as good as some corner, `σ v·∇p ≥ X̂·v − slack[0]`, `σ ‖∇p‖` is at most
        `gradient_norm_upper`, and `σ² vᵀ∇²p v ≥ vᵀĤv − slack[1]`.

    Source:
        docs/theory/third_order.md.
    """
    none, center = tally.required("pair_none"), tally.required("curvature_center")
    one = tally.required("pair_plus_only") + tally.required("pair_minus_only")
    pairs, shares = tally.required("pair_both") + one + none, curvature_share(tally)
    slack, gradient = np.zeros((2, len(tally))), np.full(len(tally), np.inf)
    with_gradient = tally.required("direction_pairs") > 0
    for share in np.unique(shares).tolist():
        i, budget = shares == share, share * alpha
        n, rounding = pairs[i], _ROUNDING * budget
        one_upper = proportion_upper_bound(one[i], n, _PROBABILITY * budget)
        none_upper = proportion_upper_bound(none[i], n, _PROBABILITY * budget)
        slack[0, i] = slope_shortfall(one_upper, n, _SLOPE * budget) + slope_rounding(n, rounding)
        slack[1, i] = curvature_shortfall(
            one_upper, none_upper, n, _CURVATURE * budget, center=center[i]
        ) + curvature_rounding(n, rounding)
        if np.any(summed := i & with_gradient):
            gradient[summed] = drawn_gradient_norm_upper(tally[summed], _GRADIENT * budget, 1.0)
    eigenvalues, squares = (
        tally.required(f"curvature_{name}").T for name in ("eigenvalues", "squares")
    )
    return DirectionCorners(
        pair_corners(tally, alpha, shares, lambda share: costs),
        gradient,
        slack * (1 + 4 * EPS),
        eigenvalues,
        squares,
    )

"""From the tally of antithetic pairs to the worst truths that it allows, with one place where alpha is split.

Of alpha, the gradient norm gets `GRADIENT_SHARE` where the tally holds a gradient, the pair counts all the rest. Whether there
is a gradient is decided before the pairs are drawn (`planned_direction_share`), so the split depends on no estimation sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.pair_counts import CELLS, OneSidedCost, pair_cells
from sosmooth.confidence.pair_gradient import direction_share, pair_gradient_norm_upper_bound
from sosmooth.confidence.published import required
from sosmooth.tally import Tally

#: What the gradient norm gets of alpha: five per cent cost the surest images 0.05 % of their radius.
GRADIENT_SHARE = 0.05


def planned_direction_share(
    selection_wrong: int, n0: int, n: int, dimension: int, alpha: float
) -> float:
    """The share of the pairs that gives the direction of the gradient; 0: draw none (see `direction_share`).

    Args:
        selection_wrong: of the `n0` selection evaluations, those that did not return the selected class.
        n: estimation evaluations. dimension: features of one input. alpha: failure probability of the certificate.
    """
    return direction_share(selection_wrong, n0, n, dimension, GRADIENT_SHARE * alpha)


def joint_corners(
    tally: Tally,
    alpha: float,
    sigma: float,
    *,
    costs: Sequence[OneSidedCost],
    costs_with_gradient: Sequence[OneSidedCost] | None = None,
) -> Bounds:
    """The corners of the joint region of the pair counts, and the gradient bound that holds at each of them.

    Args:
        tally: of antithetic pairs. alpha: failure probability, in (0, 1). sigma: input units.
        costs: the order of the outcomes (see `pair_cells`) where there is no gradient.
        costs_with_gradient: the order where there is one; None where the certificate uses none.
    Returns:
        Bounds whose `c_s_lower`, `c_n_lower`, `error_upper`, `p_lower` are (corners, batch). They are not bounds each for itself.
        `gradient_norm_upper` is (batch,), `inf` where no gradient was drawn.
    Raises:
        LookupError: the tally lacks what is needed (the message names it).
    Guarantee:
        With probability at least 1 − alpha, for each input on its own: at some corner, with the gradient bound, every measure at
        a distance that falls when a pair moves from "both" to "one" or from "one" to "none" is at most that at the truth.
    """
    both, none = required(tally, "pair_both"), required(tally, "pair_none")
    one = required(tally, "pair_plus_only") + required(tally, "pair_minus_only")
    gradient = np.full(len(tally), np.inf)
    drawn = np.zeros(len(tally), dtype=bool)
    if costs_with_gradient is not None:
        drawn = required(tally, "direction_pairs") > 0
        part = tally[drawn]
        gradient[drawn] = pair_gradient_norm_upper_bound(
            direction_norm=required(part, "direction_norm"),
            direction_pairs=required(part, "direction_pairs"),
            direction_one=required(part, "direction_one"),
            slope_pairs=required(part, "slope_pairs"),
            slope_sum=required(part, "slope_sum"),
            slope_sq_sum=required(part, "slope_sq_sum"),
            pair_one=one[drawn],
            pairs=(both + one + none)[drawn],
            sigma=sigma,
            alpha=GRADIENT_SHARE * alpha,
        )
    c_s, c_n, error = np.zeros((3, CELLS, len(tally)))
    for i, level, order in (
        (drawn, (1 - GRADIENT_SHARE) * alpha, costs_with_gradient or costs),
        (~drawn, alpha, costs),
    ):
        if np.any(i):
            cells = pair_cells(both[i], one[i], none[i], level, *order)
            c_s[:, i], c_n[:, i], error[:, i] = cells.c_s.T, cells.c_n.T, cells.error.T
    return Bounds(
        tally.n,
        p_lower=np.maximum(1 - error - np.finfo(float).eps, 0.0),
        error_upper=error,
        c_s_lower=c_s,
        c_n_lower=c_n,
        gradient_norm_upper=None if costs_with_gradient is None else gradient,
    )

"""From the tally of antithetic pairs to the worst truths that it allows.

If the tally holds a gradient, its norm gets the share of alpha that the tally names, and the pair
counts get the rest. Whether there is a gradient, and its share, is decided from the selection
samples before the pairs are drawn (gradient_plan.py), so the split depends on no estimation sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.gradient_plan import GRADIENT_SHARE
from sosmooth.confidence.pair_counts import CELLS, OneSidedCost, pair_cells
from sosmooth.confidence.pair_mean import PairMean
from sosmooth.tally import Tally


def joint_corners(
    tally: Tally,
    alpha: float,
    sigma: float,
    *,
    costs: Sequence[OneSidedCost],
    costs_with_gradient: Sequence[OneSidedCost] | None = None,
) -> Bounds:
    """The corners of the joint region of the pair counts, and the gradient bound of all of them.

    Args:
        tally: of antithetic pairs.
        alpha: failure probability, in (0, 1).
        sigma: noise level, input units.
        costs: the order of the outcomes (see `pair_cells`) where there is no gradient.
        costs_with_gradient: the order where there is one; None where the certificate uses none.

    Returns:
        Bounds whose `c_s_lower`, `c_n_lower`, `error_upper`, `p_lower` are (corners, batch); alone
        none of them is a bound. `gradient_norm_upper` is (batch,), `inf` where no gradient was
        drawn.

    Raises:
        LookupError: the tally lacks what is needed (the message names it).

    Guarantee:
        With probability at least 1 − alpha, for each input by itself: take any measure at a
        distance that falls when a pair moves from "both" to "one" or from "one" to "none". At some
        corner, with the gradient bound, it is at most the measure at the truth.
    """
    both, none = tally.required("pair_both"), tally.required("pair_none")
    one = tally.required("pair_plus_only") + tally.required("pair_minus_only")
    gradient = np.full(len(tally), np.inf)
    share = np.zeros(len(tally)) if costs_with_gradient is None else _gradient_share(tally)
    c_s, c_n, error = np.zeros((3, CELLS, len(tally)))
    for value in np.unique(share).tolist():
        i = share == value
        if value:
            gradient[i] = drawn_gradient_norm_upper(tally[i], value * alpha, sigma)
        order = costs_with_gradient if value and costs_with_gradient else costs
        cells = pair_cells(both[i], one[i], none[i], (1 - value) * alpha, *order)
        c_s[:, i], c_n[:, i], error[:, i] = cells.c_s.T, cells.c_n.T, cells.error.T
    return Bounds(
        tally.n,
        p_lower=np.maximum(1 - error - EPS, 0.0),
        error_upper=error,
        c_s_lower=c_s,
        c_n_lower=c_n,
        gradient_norm_upper=None if costs_with_gradient is None else gradient,
    )


def drawn_gradient_norm_upper(tally: Tally, alpha: float, sigma: float) -> Floats:
    """Upper bound of the norm of the gradient whose sums a tally holds, per input unit, (batch,).

    Args:
        tally: of antithetic pairs; the gradient was drawn for all inputs.
        alpha: failure probability, in (0, 1).
        sigma: noise level, input units.

    Raises:
        LookupError: the tally lacks what is needed (the message names it).
    """
    one = tally.required("pair_plus_only") + tally.required("pair_minus_only")
    pairs = tally.required("pair_both") + one + tally.required("pair_none")
    mean = PairMean.of_gradient(tally)
    return mean.norm_upper_bound(one, pairs, alpha, dimension=tally.dimension or 1) / sigma


def _gradient_share(tally: Tally) -> NDArray[np.float64]:
    """What the gradient norm of each input gets of alpha, (batch,): 0 where no gradient was drawn.

    Raises:
        ValueError: a share outside (0, 1).
    """
    drawn = tally.required("direction_pairs") > 0
    named = tally.gradient_share
    # Tallies of earlier versions name none: then it was always the same.
    share = np.full(len(tally), GRADIENT_SHARE) if named is None else named
    share = np.where(drawn, share, 0.0)
    if np.any(drawn & ~((share > 0) & (share < 1))):
        raise ValueError(f"gradient_share must be in (0, 1); got {share[drawn].tolist()[:3]}")
    return share

"""From the tally of antithetic pairs to the worst truths that it allows.

If the tally holds a gradient, its norm gets the share of alpha that the tally names, and the pair
counts get the rest. Whether there is a gradient, and its share, is decided from the selection
samples before the pairs are drawn (gradient_plan.py), so the split depends on no estimation sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.gradient_plan import GRADIENT_SHARE
from sosmooth.confidence.pair_counts import CELLS, OneSidedCost, pair_cells
from sosmooth.confidence.pair_mean import PairMean
from sosmooth.confidence.shares import named_share
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
    if costs_with_gradient is None:
        return pair_corners(tally, alpha, np.zeros(len(tally)), lambda share: costs)
    shares = _gradient_share(tally)
    bounds = pair_corners(
        tally, alpha, shares, lambda share: costs_with_gradient if share else costs
    )
    gradient = np.full(len(tally), np.inf)
    for share in np.unique(shares[shares > 0]).tolist():
        i = shares == share
        gradient[i] = drawn_gradient_norm_upper(tally[i], share * alpha, sigma)
    return replace(bounds, gradient_norm_upper=gradient)


def pair_corners(
    tally: Tally,
    alpha: float,
    shares: NDArray[np.float64],
    costs: Callable[[float], Sequence[OneSidedCost]],
) -> Bounds:
    """The corners of the joint region of the pair counts, which get what is left of alpha.

    Args:
        tally: of antithetic pairs.
        alpha: failure probability of the whole, in (0, 1).
        shares: what all others get of it, in [0, 1), (batch,).
        costs: from such a share to the order of the outcomes, see `pair_cells`.

    Returns:
        `c_s_lower`, `c_n_lower`, `error_upper`, `p_lower`, (corners, batch).

    Raises:
        LookupError: the tally lacks what is needed (the message names it).
    """
    both, none = tally.required("pair_both"), tally.required("pair_none")
    one = tally.required("pair_plus_only") + tally.required("pair_minus_only")
    c_s, c_n, error = np.zeros((3, CELLS, len(tally)))
    for share in np.unique(shares).tolist():
        i = shares == share
        cells = pair_cells(both[i], one[i], none[i], (1 - share) * alpha, *costs(share))
        c_s[:, i], c_n[:, i], error[:, i] = cells.c_s.T, cells.c_n.T, cells.error.T
    return Bounds(
        tally.n,
        p_lower=np.maximum(1 - error - EPS, 0.0),
        error_upper=error,
        c_s_lower=c_s,
        c_n_lower=c_n,
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
    # Tallies of earlier versions name none: then it was always the same.
    named = GRADIENT_SHARE if tally.gradient_share is None else tally.gradient_share
    return named_share("gradient_share", named, tally.required("direction_pairs") > 0)

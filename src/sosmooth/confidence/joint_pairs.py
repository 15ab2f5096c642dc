"""From the tally of antithetic pairs to the worst truth that it allows, with one place where alpha is split.

Of alpha, the gradient norm gets `GRADIENT_SHARE` where the tally holds a gradient, the pair counts all the rest. Whether there
is a gradient is decided before the pairs are drawn (`gradient_can_help`), so the split depends on no estimation sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sosmooth.confidence.bounds import Bounds, Floats
from sosmooth.confidence.pair_counts import OneSidedCost, PairCells, pair_cells
from sosmooth.confidence.pair_gradient import gradient_can_help, pair_gradient_norm_upper_bound
from sosmooth.confidence.published import required
from sosmooth.tally import Tally

#: What the gradient norm gets of alpha: two per cent cost the surest images less than 0.1 % of their radius.
GRADIENT_SHARE = 0.02
#: `(cells, gradient norm (batch, 1), sigma) → radii (batch, cells)`; it must fall when a pair moves from "both" to "one" or
#: from "one" to "none".
CellRadius = Callable[[PairCells, Floats, float], Floats]

_CHUNK = 256


def draws_gradient(selection_wrong: int, n0: int, n: int, alpha: float) -> bool:
    """Whether to draw the gradient of an input, from its selection samples alone (see `gradient_can_help`).

    Args:
        selection_wrong: of the `n0` selection evaluations, those that did not return the selected class.
        n: estimation evaluations. alpha: failure probability of the certificate.
    """
    return n >= 4 and bool(gradient_can_help(selection_wrong, n0, n, GRADIENT_SHARE * alpha))


def joint_bounds(
    tally: Tally,
    alpha: float,
    sigma: float,
    *,
    radius: CellRadius,
    costs: Sequence[OneSidedCost],
    costs_with_gradient: Sequence[OneSidedCost] | None = None,
) -> Bounds:
    """The corner of the joint region of the pair counts where the radius is smallest, and the gradient bound used there.

    Args:
        tally: of antithetic pairs. alpha: failure probability, in (0, 1). sigma: input units.
        radius: what is minimised.
        costs: the order of the outcomes (see `pair_cells`) where there is no gradient.
        costs_with_gradient: the order where there is one; None where the radius uses none.
    Returns:
        Bounds whose `c_s_lower`, `c_n_lower`, `error_upper` belong to one corner: the radius there is certified. They are not
        bounds each for itself. `gradient_norm_upper` is `inf` where no gradient was drawn.
    Raises:
        LookupError: the tally lacks what is needed (the message names it).
    Guarantee:
        With probability at least 1 − alpha, for each input on its own, the radius at the corner is at most that at the truth.
    """
    both, none = required(tally, "pair_both"), required(tally, "pair_none")
    one = required(tally, "pair_plus_only") + required(tally, "pair_minus_only")
    gradient = np.full(len(tally), np.inf)
    drawn = np.zeros(len(tally), dtype=bool)
    if costs_with_gradient is not None:
        drawn = required(tally, "slope_pairs") > 0
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
    c_s, c_n, error = (np.zeros(len(tally)) for _ in range(3))
    for where, level, order in ((drawn, (1 - GRADIENT_SHARE) * alpha, costs_with_gradient or costs), (~drawn, alpha, costs)):
        index = np.flatnonzero(where)
        for i in np.split(index, range(_CHUNK, len(index), _CHUNK)) if len(index) else ():
            cells = pair_cells(both[i], one[i], none[i], level, *order)
            worst = np.argmin(radius(cells, gradient[i, None], sigma), axis=1)[:, None]
            for bound, corners in ((c_s, cells.c_s), (c_n, cells.c_n), (error, cells.error)):
                bound[i] = np.take_along_axis(corners, worst, axis=1)[:, 0]
    return Bounds(
        tally.n,
        p_lower=np.maximum(1 - error - np.finfo(float).eps, 0.0),
        error_upper=error,
        c_s_lower=c_s,
        c_n_lower=c_n,
        gradient_norm_upper=None if costs_with_gradient is None else gradient,
    )

"""Bounds of the rivals, all classes but the selected one, and the one place where alpha is split.

The split follows from the selection samples alone. So it is fixed before the estimation samples are
drawn, and a union bound over all that is bounded holds. Statement, proof and figures:
docs/theory/several_classes.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS
from sosmooth.confidence.bounds import UNSEEN, Bounds
from sosmooth.confidence.pair_counts import OneSidedCost, pair_cells
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.tally import NO_CLASS, Design, Tally

# Of a rival's share, for "neither side is it"; the rest is for "exactly one side is it".
_NEITHER_SHARE = 0.9


@dataclass(frozen=True)
class Split:
    """How alpha is split; the three add up to 1.

    Attributes:
        selected: for the bounds of the selected class.
        runner_up: for those of the runner-up in the selection samples.
        rest: for those of all other classes together, each the same.
    """

    selected: float
    runner_up: float
    rest: float


#: The selection samples returned a second class.
WITH_RUNNER_UP = Split(0.85, 0.10, 0.05)
#: They returned the selected class only.
WITHOUT_RUNNER_UP = Split(0.95, 0.0, 0.05)


@dataclass(frozen=True)
class Rivals:
    """Bounds of the complement `1 − f_c` of each rival c; several rows may belong to one class.

    Attributes:
        class_ids: the rival that a row bounds, int64 (rows, batch); `UNSEEN` for all classes that
            no estimation sample returned; −1 where a row bounds nothing.
        bounds: float64 (rows, batch). From pairs `c_s_lower` and `c_n_lower`, else `error_upper`.
            The truth of a class is at least as good as one of its rows.
        upper: upper bounds of the probabilities of the classes in `Tally.class_ids`, (batch, seen),
            NaN where the tally has −1.
        unseen_upper: an upper bound of the probability of each class that no estimation sample
            returned, (batch,); NaN where there is none.
    """

    class_ids: NDArray[np.int64]
    bounds: Bounds
    upper: NDArray[np.float64]
    unseen_upper: NDArray[np.float64]


def rival_bounds(tally: Tally, alpha: float, split: Split, cost: OneSidedCost) -> Rivals:
    """Bounds of the complement of every rival, all at once.

    Independent samples: the Clopper–Pearson upper bound of `p_c`. Antithetic pairs: for the
    runner-up the joint region of its pairs (`pair_cells`), whose corners are the rows; for each
    other class lower bounds of "neither side is c" and of "exactly one side is c", 90 and 10 % of
    its share. Half of the second is the lower bound of `C_N`. Classes that were never returned
    have the same bounds, so one row serves for all of them.

    Args:
        tally: with the counts of the classes, of at least three; all inputs have a runner-up, or
            none has.
        alpha: failure probability of the whole certificate, in (0, 1).
        split: `WITH_RUNNER_UP` or `WITHOUT_RUNNER_UP`, as the tally has.
        cost: orders the outcomes of the runner-up's pairs, see `pair_cells`.

    Raises:
        LookupError: the tally lacks the counts of the classes.

    Guarantee:
        For each input, all of them hold simultaneously with probability at least
        `1 − (split.runner_up + split.rest) · alpha`.

    Source:
        docs/theory/several_classes.md; Levine et al. 2020, section 3.2; Clopper, Pearson 1934.
    """
    tally.class_votes()  # or LookupError
    ids, runner_up = tally.required("class_ids"), tally.required("runner_up")
    same = tally.required("class_same")
    one = tally.required("class_one") if tally.design is Design.ANTITHETIC else np.zeros_like(same)
    assert tally.num_classes is not None
    separate = split.runner_up > 0
    is_runner_up = separate & (ids == runner_up[:, None])
    is_rest = (ids != NO_CLASS) & ~is_runner_up
    rest = tally.num_classes - 1 - separate
    unseen = rest - is_rest.sum(axis=1)
    level = split.rest * alpha / max(rest, 1)
    # The rows of the rest: each class that was seen, and one for all that were not.
    nobody = np.zeros((1, len(tally)), dtype=np.int64)
    counts = np.stack([np.concatenate([np.where(is_rest, k, 0).T, nobody]) for k in (same, one)])
    row_ids = np.concatenate(
        [np.where(is_rest, ids, NO_CLASS).T, np.where(unseen > 0, UNSEEN, NO_CLASS)[None]]
    )
    bounds = _rest_bounds(tally, counts, level)
    if separate:
        own_same, own_one = (np.where(is_runner_up, k, 0).sum(axis=1) for k in (same, one))
        first = _runner_up_bounds(tally, own_same, own_one, split.runner_up * alpha, cost)
        bounds = replace(
            bounds,
            **{
                name: np.concatenate([first.required(name), bounds.required(name)])
                for name in _NEUTRAL
                if getattr(bounds, name) is not None
            },
        )
        corners = len(first.required("error_upper"))
        row_ids = np.concatenate([np.broadcast_to(runner_up, (corners, len(tally))), row_ids])
        runner_up_upper = first.required("error_upper").max(axis=0)
    else:
        runner_up_upper = np.full(len(tally), np.nan)
    error = bounds.required("error_upper")[-ids.shape[1] - 1 :]
    upper = np.where(is_rest, error[:-1].T, np.nan)
    upper = np.where(is_runner_up, runner_up_upper[:, None], upper)
    unseen_upper = np.fmax(
        np.where(unseen > 0, error[-1], np.nan),
        np.where(is_runner_up.any(axis=1), np.nan, runner_up_upper),
    )
    return Rivals(row_ids, _neutral_where(bounds, row_ids == NO_CLASS), upper, unseen_upper)


# What bounds the complement of a class of probability 0.
_NEUTRAL = {"error_upper": 0.0, "c_s_lower": 1.0, "c_n_lower": 0.0}


def _rest_bounds(tally: Tally, counts: NDArray[np.int64], level: float) -> Bounds:
    """Bounds (rows, batch) from counts (2, rows, batch) on both sides, or alone, and on one."""
    same, one = counts
    if tally.design is not Design.ANTITHETIC:
        upper = _of_distinct(proportion_upper_bound, same, tally.n, level)
        return Bounds(tally.n, error_upper=upper)
    pairs = tally.n // 2
    c_s = _of_distinct(proportion_lower_bound, pairs - same - one, pairs, _NEITHER_SHARE * level)
    one_lower = _of_distinct(proportion_lower_bound, one, pairs, (1 - _NEITHER_SHARE) * level)
    c_n = np.minimum(0.5 * one_lower, 0.5 * (1 - c_s))
    error = np.minimum((1 - c_s) - c_n + 2 * EPS, 1.0)
    return Bounds(tally.n, error_upper=error, c_s_lower=c_s, c_n_lower=c_n)


def _runner_up_bounds(
    tally: Tally, same: NDArray[np.int64], one: NDArray[np.int64], level: float, cost: OneSidedCost
) -> Bounds:
    """Bounds (rows, batch) of the complement of the runner-up, from its counts (batch,)."""
    if tally.design is not Design.ANTITHETIC:
        return Bounds(tally.n, error_upper=proportion_upper_bound(same, tally.n, level)[None])
    cells = pair_cells(tally.n // 2 - same - one, one, same, level, cost)
    return Bounds(tally.n, error_upper=cells.error.T, c_s_lower=cells.c_s.T, c_n_lower=cells.c_n.T)


def _neutral_where(bounds: Bounds, nothing: NDArray[np.bool_]) -> Bounds:
    """The bounds, but of a class of probability 0 where a row is to bound nothing."""
    return replace(
        bounds,
        **{
            name: np.where(nothing, value, bounds.required(name))
            for name, value in _NEUTRAL.items()
            if getattr(bounds, name) is not None
        },
    )


def _of_distinct(
    bound: Callable[..., NDArray[np.float64]],
    counts: NDArray[np.int64],
    n: NDArray[np.int64],
    alpha: float,
) -> NDArray[np.float64]:
    """The bound of each count, computed once for equal ones: most classes have few votes."""
    cases = np.stack([counts, np.broadcast_to(n, counts.shape)]).reshape(2, -1)
    (count, of), inverse = np.unique(cases, axis=1, return_inverse=True)
    return bound(count, of, alpha)[inverse.ravel()].reshape(counts.shape)

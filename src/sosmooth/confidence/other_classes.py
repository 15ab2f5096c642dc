"""Bounds of all classes but the selected one, and the one place where alpha is split between it and them.

The selected class gets `1 − OTHERS_SHARE` of alpha, the K − 1 others the rest, each the same. Statement and figures:
docs/theory/several_classes.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.confidence.published import required
from sosmooth.tally import Design, Tally

#: What the other classes together get of alpha: the radius of the selected class alone, which stays valid, loses under 1 %.
OTHERS_SHARE = 0.1


def selected_class_alpha(alpha: float) -> float:
    """What is left of alpha for the selected class where all classes are bounded."""
    return (1 - OTHERS_SHARE) * alpha


def other_class_bounds(tally: Tally, selected: NDArray[np.int64], alpha: float) -> Bounds:
    """Bounds of the complement `1 − f_c` of each class c but the selected one, all at once.

    Independent samples: Clopper–Pearson upper bound of `p_c`. Antithetic pairs: Clopper–Pearson lower bounds of "neither side
    is c" and of "exactly one side is c", half of a class's share each; half of the second is the lower bound of `C_N`.

    Args:
        tally: with the counts of all classes. selected: of each input, (batch,), in [0, classes).
        alpha: failure probability of the whole certificate, in (0, 1).
    Returns:
        Bounds with arrays (classes − 1, batch), the classes in their order: `error_upper` is an upper bound of `p_c`; from pairs
        also `c_s_lower`, `c_n_lower`.
    Raises:
        LookupError: the tally lacks the counts of the classes.
    Guarantee:
        For each input, all of them hold simultaneously with probability at least `1 − OTHERS_SHARE · alpha`.
    Source:
        Levine et al. 2020, section 3.2; Clopper, Pearson 1934.
    """
    if tally.design is Design.ANTITHETIC:
        both, one = (
            _others(required(tally, "class_both"), selected),
            _others(required(tally, "class_one"), selected),
        )
        pairs, level = tally.n // 2, OTHERS_SHARE * alpha / len(both) / 2
        c_s = _of_distinct(proportion_lower_bound, pairs - both - one, pairs, level)
        c_n = np.minimum(
            0.5 * _of_distinct(proportion_lower_bound, one, pairs, level), 0.5 * (1 - c_s)
        )
        error = np.minimum((1 - c_s) - c_n + 2 * np.finfo(float).eps, 1.0)
        return Bounds(tally.n, error_upper=error, c_s_lower=c_s, c_n_lower=c_n)
    counts = _others(required(tally, "class_counts"), selected)
    level = OTHERS_SHARE * alpha / len(counts)
    return Bounds(tally.n, error_upper=_of_distinct(proportion_upper_bound, counts, tally.n, level))


def by_class(others: NDArray[np.float64], selected: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values (classes − 1, batch) of the other classes as (batch, classes), NaN for the selected class."""
    result = np.full((others.shape[1], others.shape[0] + 1), np.nan)
    result[_is_other(result.shape, selected)] = others.T.ravel()
    return result


def _others(counts: NDArray[np.int64], selected: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns of (batch, classes) but the selected one, as (classes − 1, batch)."""
    batch, classes = counts.shape
    return counts[_is_other(counts.shape, selected)].reshape(batch, classes - 1).T


def _is_other(shape: tuple[int, ...], selected: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.arange(shape[1]) != np.asarray(selected)[:, None]


def _of_distinct(
    bound, counts: NDArray[np.int64], n: NDArray[np.int64], alpha: float
) -> NDArray[np.float64]:
    """The bound of each count, computed once for those that are the same: of a thousand classes most have no vote at all."""
    cases = np.stack([counts, np.broadcast_to(n, counts.shape)]).reshape(2, -1)
    (count, of), inverse = np.unique(cases, axis=1, return_inverse=True)
    return bound(count, of, alpha)[inverse.ravel()].reshape(counts.shape)

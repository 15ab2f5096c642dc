"""The paper's histogram: how much a method changes certified radii, relative to first order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth.report.series import Pair, RunLike, check_norms, on_shared_inputs, series_of

#: The eleven bins, from the worst for the method to the best, and their names in text.
BINS = {
    "baseline_only": "only first order certifies",
    "dec_25_plus": "smaller by more than 25 %",
    "dec_15_25": "smaller by 15–25 %",
    "dec_5_15": "smaller by 5–15 %",
    "dec_1_5": "smaller by 1–5 %",
    "within_1": "within 1 %",
    "inc_1_5": "larger by 1–5 %",
    "inc_5_15": "larger by 5–15 %",
    "inc_15_25": "larger by 15–25 %",
    "inc_25_plus": "larger by more than 25 %",
    "method_only": "only the method certifies",
}

_EDGES = np.array([0.01, 0.05, 0.15, 0.25])
# Radii read from decimals have rounding errors near 1e-16 in their ratio: a change this close to
# an edge is meant to lie on it.
_ON_THE_EDGE = 1e-9


def relative_change_counts(
    baseline_radius_correct: ArrayLike, method_radius_correct: ArrayLike
) -> dict[str, int]:
    """Inputs in each bin of the relative change `method / baseline − 1`.

    An edge belongs to the bin nearer to no change.

    Args:
        baseline_radius_correct: the baseline's radii certified with the right class, 0 elsewhere;
            (inputs,), input units, at least 0.
        method_radius_correct: the method's radii, for the same inputs in the same order.

    Returns:
        Counts by the names of `BINS`, in that order; inputs certified by neither are left out.

    Raises:
        ValueError: the shapes differ, or a radius is negative or NaN.

    Source:
        Levine, Kumar, Goldstein, Feizi 2020, Figures 5 and 6.
    """
    baseline, method = (
        np.asarray(radius, np.float64)
        for radius in (baseline_radius_correct, method_radius_correct)
    )
    if baseline.shape != method.shape or baseline.ndim != 1:
        raise ValueError(
            "both need radii of the same inputs, with one axis; got the shapes"
            f" {baseline.shape} and {method.shape}"
        )
    if not (np.all(baseline >= 0) and np.all(method >= 0)):
        raise ValueError(
            "radii must be 0 or more, 0 where nothing is certified; got a negative one or NaN"
        )
    found = bins_of(baseline, method)
    counts = np.bincount(found[found >= 0], minlength=len(BINS))
    return {name: int(count) for name, count in zip(BINS, counts, strict=True)}


@dataclass(frozen=True)
class Gain:
    """How much larger the radii of a method are than first order's.

    Only certificates of the right class count, and of infinite radii only their number.

    Attributes:
        both: inputs that both certify with finite radii.
        larger: those of them with a larger radius.
        smaller: those of them with a smaller radius.
        mean_change: of the mean radius over them, as a fraction of first order's; NaN without one.
        only_method: inputs that only the method certifies.
        only_baseline: inputs that only first order certifies.
    """

    both: int
    larger: int
    smaller: int
    mean_change: float
    only_method: int
    only_baseline: int


def gain_of(pair: Pair) -> Gain:
    """How much larger the radii of a method are than those of its baseline.

    The mean change compares the two mean radii. The mean of the single changes would be ruled by
    the few inputs whose first-order radius is close to 0.

    Args:
        pair: a method and its baseline.
    """
    baseline, method = pair.baseline.right_radius, pair.method.right_radius
    both = (baseline > 0) & (method > 0) & np.isfinite(baseline) & np.isfinite(method)
    ours, theirs = method[both], baseline[both]
    return Gain(
        both=int(np.sum(both)),
        larger=int(np.sum(ours > theirs)),
        smaller=int(np.sum(ours < theirs)),
        mean_change=float(np.sum(ours) / np.sum(theirs) - 1) if np.any(both) else math.nan,
        only_method=int(np.sum((method > 0) & (baseline == 0))),
        only_baseline=int(np.sum((baseline > 0) & (method == 0))),
    )


def compare_runs(baseline: RunLike, method: RunLike) -> dict[str, int]:
    """`relative_change_counts` of two runs, on the inputs of both.

    Args:
        baseline: the run of first order.
        method: the run to compare with it.

    Raises:
        ValueError: as for `pair_of`.
    """
    pair = pair_of(baseline, method)
    return relative_change_counts(pair.baseline.right_radius, pair.method.right_radius)


def pair_of(baseline: RunLike, method: RunLike) -> Pair:
    """Two runs on the inputs of both.

    Args:
        baseline: the run of first order.
        method: the run to compare with it.

    Raises:
        ValueError: a run has no rows, their radii are of different norms, they have no input
            in common, or their data or labels differ.
    """
    check_norms([baseline, method])
    pair = on_shared_inputs(series_of(baseline), series_of(method))
    if pair is None:
        raise ValueError(
            f"{baseline.path} and {method.path} have no inputs of the same data and labels in"
            " common; certify the same inputs"
        )
    return pair


def bins_of(baseline: NDArray[np.float64], method: NDArray[np.float64]) -> NDArray[np.int64]:
    """The position in `BINS` of each input.

    Args:
        baseline: radii as for `relative_change_counts`.
        method: radii as for `relative_change_counts`.

    Returns:
        Int64 (inputs,); −1 where neither certifies the input.
    """
    change = _relative_change(baseline, method)
    step = np.sign(change) * np.searchsorted(_EDGES + _ON_THE_EDGE, np.abs(change), side="left")
    within = 1 + len(_EDGES) + step.astype(np.int64)
    return np.select(
        [(baseline > 0) & (method > 0), baseline > 0, method > 0], [within, 0, len(BINS) - 1], -1
    )


def _relative_change(
    baseline: NDArray[np.float64], method: NDArray[np.float64]
) -> NDArray[np.float64]:
    same = baseline == method  # two infinite radii among them
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return np.where(
            same, 0.0, np.where(np.isinf(baseline), -1.0, (method - baseline) / baseline)
        )

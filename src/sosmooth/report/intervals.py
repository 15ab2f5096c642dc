"""95 % intervals of figures over the inputs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound

LEVEL = 0.95


def pointwise_interval(
    count: ArrayLike, inputs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two-sided 95 % interval of a fraction of inputs, at each count on its own.

    Args:
        count: inputs that count, any shape.
        inputs: number of inputs.

    Returns:
        Lower and upper ends, in [0, 1], of the shape of `count`.

    Source:
        Clopper, Pearson 1934.
    """
    return _ends(count, inputs, (1 - LEVEL) / 2)


def difference_interval(
    only_method: ArrayLike, only_baseline: ArrayLike, inputs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A 95 % interval of the difference of two fractions of the same inputs.

    The difference is `P(only method) − P(only baseline)`: the probabilities that only one of the
    two counts an input. Each side of both is bounded by Clopper and Pearson at a quarter of 5 %.

    Args:
        only_method: inputs that only the method counts, any shape.
        only_baseline: inputs that only the baseline counts, of that shape.
        inputs: number of inputs.

    Returns:
        Lower and upper ends, in [−1, 1], of that shape.

    Guarantee:
        Each interval on its own covers with probability at least 95 % for inputs drawn
        independently, however many.

    Source:
        Clopper, Pearson 1934; Bonferroni's inequality.
    """
    alpha = (1 - LEVEL) / 4
    low_method, high_method = _ends(only_method, inputs, alpha)
    low_baseline, high_baseline = _ends(only_baseline, inputs, alpha)
    return low_method - high_baseline, high_method - low_baseline


def mean_interval(
    method: NDArray[np.float64], baseline: NDArray[np.float64]
) -> tuple[float, float]:
    """Student's 95 % interval of the mean of the differences: `d̄ ± t s / √inputs`.

    Args:
        method: values of the method, (inputs,).
        baseline: values of the baseline for the same inputs, (inputs,).

    Returns:
        Its ends; NaN for fewer than two inputs, or where a difference is not finite.

    Guarantee:
        Asymptotic in the number of inputs.

    Source:
        Student 1908, "The probable error of a mean".
    """
    with np.errstate(invalid="ignore"):
        difference = method - baseline
    if len(difference) < 2 or not np.all(np.isfinite(difference)):
        return math.nan, math.nan
    half = (
        stats.t.ppf(0.5 + LEVEL / 2, len(difference) - 1)
        * np.std(difference, ddof=1)
        / math.sqrt(len(difference))
    )
    middle = float(np.mean(difference))
    return float(middle - half), float(middle + half)


def _ends(
    count: ArrayLike, inputs: int, alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(proportion_lower_bound(count, inputs, alpha)), np.asarray(
        proportion_upper_bound(count, inputs, alpha)
    )

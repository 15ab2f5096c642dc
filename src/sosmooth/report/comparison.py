"""Differences of two runs on the same images, with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.measures import floored
from sosmooth.report.figures import accuracy_name
from sosmooth.report.series import Pair

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A figure of two runs on the same images: `method − baseline`, and its 95 % interval.

    Attributes:
        at: the radius, input units; None for the average certified radius.
        baseline: the figure of the baseline.
        method: the figure of the method.
        lower: lower end of the interval, NaN where there is none.
        upper: upper end of the interval, NaN where there is none.
    """

    at: float | None
    baseline: float
    method: float
    lower: float
    upper: float

    @property
    def difference(self) -> float:
        """`method − baseline`."""
        return self.method - self.baseline

    @property
    def settled(self) -> bool:
        """Whether the interval does not contain 0."""
        return self.lower > 0 or self.upper < 0


def paired_differences(pair: Pair, radii: Sequence[float]) -> list[Difference]:
    """Differences of the average certified radius and of the certified accuracy of two runs.

    Args:
        pair: the runs on the images that both looked at.
        radii: of the certified accuracy, input units.

    Returns:
        The average certified radius first. Where labels are unknown, every answer counts as right.

    Guarantee:
        Each interval on its own, over the choice of the images and the noise drawn for each: that
        of certified accuracy covers with probability at least 95 %, that of the average certified
        radius asymptotically in the number of images.

    Source:
        `accuracy_interval` and `mean_interval`.
    """
    baseline, method = pair.baseline.right_radius, pair.method.right_radius
    found = [
        Difference(
            None,
            pair.baseline.average_radius(),
            pair.method.average_radius(),
            *mean_interval(method, baseline),
        )
    ]
    for at in radii:
        interval = accuracy_interval(pair.baseline.reaches(at), pair.method.reaches(at))
        by_baseline, by_method = (float(one.share_at(at)) for one in (pair.baseline, pair.method))
        found.append(Difference(at, by_baseline, by_method, *interval))
    return found


def difference_row(pair: Pair, radii: Sequence[str]) -> dict[str, str]:
    """The differences of `paired_differences` as text: title → difference and interval.

    Intervals are rounded outward, so that nothing looks more certain than it is.

    Args:
        pair: the runs on the images that both looked at.
        radii: of the certified accuracy, decimals.
    """
    row = {"difference": f"{pair.method.name} − {pair.baseline.name}"}
    for found in paired_differences(pair, [0.0, *map(float, radii)]):
        title = (
            "average certified radius"
            if found.at is None
            else f"{accuracy_name([pair.baseline])} at {found.at:g}"
        )
        row[title] = difference_text(found)
    return row


def difference_text(found: Difference) -> str:
    """The difference and its interval, rounded outward; a star where it does not contain 0."""
    scale, unit, digits = (1, "", 4) if found.at is None else (100, " pp", 2)

    def written(value: float) -> str:
        return f"{value:+.{digits}f}".replace("-", "−") + unit

    text = written(scale * found.difference)
    if math.isnan(found.lower):
        return text
    lower, upper = (
        float(floored(scale * found.lower, digits)),
        -float(floored(-scale * found.upper, digits)),
    )
    return f"{text} ({written(lower)} to {written(upper)}){' *' if found.settled else ''}"


def mean_interval(
    method: NDArray[np.float64], baseline: NDArray[np.float64]
) -> tuple[float, float]:
    """Student's 95 % interval of the mean of the differences: `d̄ ± t s / √images`.

    Args:
        method: values of the method, (images,).
        baseline: values of the baseline for the same images, (images,).

    Returns:
        Its ends; NaN for fewer than two images, or where a difference is not finite.

    Guarantee:
        Asymptotic in the number of images.

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


def accuracy_interval(
    baseline: NDArray[np.bool_], method: NDArray[np.bool_]
) -> tuple[float, float]:
    """A 95 % interval of the difference of two fractions of the same images.

    The difference is `P(only method) − P(only baseline)`: the probabilities that only one of the
    two counts per image. Each side of both is bounded by Clopper and Pearson at a quarter of 5 %.

    Args:
        baseline: whether the baseline counts each image, (images,).
        method: whether the method counts each image, (images,).

    Returns:
        Its ends, in [−1, 1].

    Guarantee:
        Covers with probability at least 95 % for images drawn independently, however many.

    Source:
        Clopper, Pearson 1934; Bonferroni's inequality.
    """
    only_method, only_baseline, images = (
        int(np.sum(method & ~baseline)),
        int(np.sum(baseline & ~method)),
        len(method),
    )
    alpha = (1 - LEVEL) / 4

    def ends(count: int) -> tuple[float, float]:
        return float(proportion_lower_bound(count, images, alpha)), float(
            proportion_upper_bound(count, images, alpha)
        )

    (low_method, high_method), (low_baseline, high_baseline) = (
        ends(only_method),
        ends(only_baseline),
    )
    return low_method - high_baseline, high_method - low_baseline

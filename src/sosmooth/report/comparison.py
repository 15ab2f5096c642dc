"""Differences of two runs on the same inputs, with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import floored
from sosmooth.report.intervals import difference_interval, mean_interval
from sosmooth.report.series import Pair, accuracy_name


@dataclass(frozen=True)
class Difference:
    """A figure of two runs on the same inputs: `method − baseline`, and its 95 % interval.

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


@dataclass(frozen=True)
class DifferenceCurve:
    """The certified accuracy of a method minus that of its baseline. Arrays are (radii,).

    Attributes:
        difference: in [−1, 1].
        lower: lower ends of its 95 % intervals.
        upper: upper ends of them.
    """

    difference: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def difference_curve(pair: Pair, at: NDArray[np.float64]) -> DifferenceCurve:
    """The certified accuracy of a method minus that of its baseline, against the radius.

    Args:
        pair: the runs on the inputs that both looked at.
        at: radii, input units, (radii,).

    Guarantee:
        That of `difference_interval`, at each radius on its own.
    """
    method, baseline = (one.reaches(at[:, None]) for one in (pair.method, pair.baseline))
    only_method, only_baseline = (
        np.sum(method & ~baseline, axis=1),
        np.sum(baseline & ~method, axis=1),
    )
    inputs = len(pair.method)
    return DifferenceCurve(
        (only_method - only_baseline) / inputs,
        *difference_interval(only_method, only_baseline, inputs),
    )


def paired_differences(pair: Pair, radii: Sequence[float]) -> list[Difference]:
    """Differences of the average certified radius and of the certified accuracy of two runs.

    Args:
        pair: the runs on the inputs that both looked at.
        radii: of the certified accuracy, input units.

    Returns:
        The average certified radius first. Where labels are unknown, every answer counts as right.

    Guarantee:
        Each interval on its own, over the choice of the inputs and the noise drawn for each: that
        of certified accuracy covers with probability at least 95 %, that of the average certified
        radius asymptotically in the number of inputs.

    Source:
        `difference_interval` and `mean_interval`.
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
    curve = difference_curve(pair, np.asarray(radii, np.float64))
    for at, lower, upper in zip(radii, curve.lower.tolist(), curve.upper.tolist(), strict=True):
        by_baseline, by_method = (float(one.share_at(at)) for one in (pair.baseline, pair.method))
        found.append(Difference(at, by_baseline, by_method, lower, upper))
    return found


def difference_row(pair: Pair, radii: Sequence[str]) -> dict[str, str]:
    """The differences of `paired_differences` as text: title → difference and interval.

    Intervals are rounded outward, so that nothing looks more certain than it is.

    Args:
        pair: the runs on the inputs that both looked at.
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

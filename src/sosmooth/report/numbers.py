"""The numbers behind the figures of a report, as CSV. Radii and fractions are rounded down."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

import numpy as np

from sosmooth.measures import floored
from sosmooth.report.comparison import difference_curve
from sosmooth.report.probability import Probabilities
from sosmooth.report.relative_change import BINS, bins_of
from sosmooth.report.series import Pair, Series

_DIGITS = 6


def accuracy_csv(series: Sequence[Series], at: Sequence[float]) -> str:
    """Certified accuracy, or the certified fraction, of each run at the radii."""
    rows = [
        (one.name, _down(radius), int(count), len(one), _down(count / len(one)))
        for one in series
        for radius, count in zip(at, one.count_at(np.asarray(at)).tolist(), strict=True)
    ]
    return _csv(("run", "radius", "certified", "inputs", "fraction"), rows)


def difference_csv(pairs: Sequence[Pair], at: Sequence[float]) -> str:
    """The difference of certified accuracy at the radii, with its 95 % intervals, outward."""
    rows = []
    for pair in pairs:
        curve = difference_curve(pair, np.asarray(at))
        for radius, middle, lower, upper in zip(
            at, curve.difference, curve.lower, curve.upper, strict=True
        ):
            names = (pair.method.name, pair.baseline.name)
            up = math.ceil(10**_DIGITS * upper) / 10**_DIGITS
            rows.append((*names, _down(radius), f"{middle:.6f}", _down(lower), f"{up:.6f}"))
    return _csv(("run", "baseline", "radius", "difference", "lower", "upper"), rows)


def change_csv(pairs: Sequence[Pair]) -> str:
    """Each input's radius by a method and by first order, 0 where it is not right, and the bin."""
    rows = []
    names = list(BINS)
    for pair in pairs:
        baseline, method = pair.baseline.right_radius, pair.method.right_radius
        found = bins_of(baseline, method).tolist()
        for k, (index, label) in enumerate(
            zip(pair.method.index.tolist(), pair.method.label.tolist(), strict=True)
        ):
            rows.append(
                (
                    pair.method.name,
                    pair.baseline.name,
                    index,
                    label if label >= 0 else "",
                    _down(method[k]),
                    _down(baseline[k]),
                    names[found[k]] if found[k] >= 0 else "",
                )
            )
    return _csv(("run", "baseline", "input", "label", "radius", "baseline_radius", "bin"), rows)


def probability_csv(found: Sequence[Probabilities], series: Sequence[Series]) -> str:
    """p̂ of each input.

    Args:
        found: p̂ of the inputs of some runs.
        series: the runs as arrays.
    """
    by_name = {one.name: one for one in series}
    rows = [
        (one.name, int(by_name[one.name].index[row]), _down(p))
        for one in found
        for row, p in zip(one.row.tolist(), one.values.tolist(), strict=True)
    ]
    return _csv(("run", "input", "p_estimate"), rows)


def _down(value: float) -> str:
    return floored(float(value), _DIGITS)


def _csv(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return text.getvalue()

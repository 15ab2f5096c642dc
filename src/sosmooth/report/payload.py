"""The data of the page's script: plain numbers, so small that a thousand inputs fit in one file.

Radii and probabilities are whole millionths, rounded down, so that the script can print them
without rounding up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth.measures import floored
from sosmooth.methods import METHODS
from sosmooth.planning import expected_radius
from sosmooth.report.comparison import difference_curve
from sosmooth.report.figures import CHANGES
from sosmooth.report.inputs import Inputs
from sosmooth.report.intervals import pointwise_interval
from sosmooth.report.probability import Probabilities
from sosmooth.report.relative_change import BINS, bins_of
from sosmooth.report.series import Pair, RunLike, Series, accuracy_name
from sosmooth.report.style import Look, variable_of
from sosmooth.results import ABSTAIN_REASONS, Certificates
from sosmooth.tally import Tally

#: The page estimates the radii from so many times the samples.
FACTORS = (10, 100)

_MOST_STEPS = 300
_UNIT = 10**6
# Probabilities at the marks of an axis with evenly spaced quantiles.
_TICKS = ["0.1", "0.3", "0.5", "0.7", "0.9", "0.97", "0.99", "0.999", "0.9999", "0.99999"]


def payload(
    runs: Sequence[RunLike],
    series: Sequence[Series],
    pairs: Sequence[Pair],
    inputs: Inputs,
    looks: Sequence[Look],
    probabilities: Sequence[Probabilities],
) -> dict[str, Any]:
    """The runs as JSON-able values.

    Null marks what is unknown, and inputs that a run did not look at.

    Args:
        runs: the runs.
        series: the same as arrays.
        pairs: each method with its baseline.
        inputs: of all the runs.
        looks: how each run is drawn.
        probabilities: p̂ of the inputs, of the runs that are shown with them.
    """
    reasons = list(
        dict.fromkeys(reason for one in series for reason in one.abstain_reason.tolist() if reason)
    )
    reference = next((k for k, one in enumerate(series) if one.method == "first_order"), 0)
    at = _falls(series)
    return {
        "accuracy": accuracy_name(series),
        "reference": reference,
        "factors": FACTORS,
        "inputs": {
            "name": inputs.name,
            "label": [label if label >= 0 else None for label in inputs.label.tolist()],
        },
        "classes": _class_names(series),
        "reasons": [ABSTAIN_REASONS.get(reason, reason) for reason in reasons],
        "runs": [
            _run(run, one, row, look, reasons)
            for run, one, row, look in zip(runs, series, inputs.row, looks, strict=True)
        ],
        "curve": {"at": _rounded(at), "runs": [_curve(one, at) for one in series]},
        "ticks": {"p": _TICKS, "at": special.ndtri(np.array(_TICKS, float)).round(6).tolist()},
        "changes": CHANGES,
        "bins": list(BINS.values()),
        "pairs": [_pair(series, pair, inputs, at) for pair in pairs],
        "probabilities": [
            _distribution(found, [one.name for one in series].index(found.name), inputs)
            for found in probabilities
        ],
    }


def _class_names(series: Sequence[Series]) -> list[str] | None:
    """The names of the classes, where the runs agree on them."""
    found = {None if one.class_names is None else tuple(one.class_names) for one in series}
    names = found.pop()
    return None if found or names is None else list(names)


def _run(
    run: RunLike, series: Series, row: NDArray[np.int64], look: Look, reasons: list[str]
) -> dict[str, Any]:
    certificates = run.certificates()
    reason = [reasons.index(reason) if reason else -1 for reason in series.abstain_reason.tolist()]
    return {
        "name": series.name,
        "method": series.method,
        "sigma": series.sigma,
        "alpha": series.alpha,
        "colour": f"var({variable_of(series.method)})",
        "dashes": look.dashes,
        "hatch": look.hatch,
        "prediction": _placed(series.prediction.tolist(), row),
        "radius": _placed([_millionths(radius) for radius in series.radius.tolist()], row),
        "p": _placed([_millionths(p) for p in series.p_lower.tolist()], row),
        "probit": _placed(_rounded(special.ndtri(series.p_lower)), row),
        "selected": _placed(
            [one if one >= 0 else None for one in certificates.selected.tolist()], row
        ),
        "reason": _placed(reason, row),
        "n": _placed(certificates.tally.n.tolist(), row),
        "counts": {
            name: _placed(values, row) for name, values in _counts(certificates.tally).items()
        },
        "leading": _placed(_leading(certificates), row),
        "limit": _placed(_limits(certificates), row),
        "region": _placed(_regions(certificates), row),
        "more": [_placed(values, row) for values in _more(series, certificates)],
    }


def _placed(values: Sequence[Any], row: NDArray[np.int64]) -> list[Any]:
    """The run's values in the order of the inputs; null where the run has no value."""
    if not len(values):
        return []
    return [values[at] if 0 <= at < len(values) else None for at in row.tolist()]


def _millionths(value: float) -> int | None:
    """Whole millionths, exactly rounded down; null where the value is not finite."""
    return int(floored(value, 6).replace(".", "")) if np.isfinite(value) else None


def _rounded(values: ArrayLike) -> list[int | None]:
    """Whole millionths, rounded to nearest: for values that are drawn, not printed."""
    return [
        round(value * _UNIT) if np.isfinite(value) else None
        for value in np.asarray(values, np.float64).tolist()
    ]


def _counts(tally: Tally) -> dict[str, list[int]]:
    """The counts, by their names on the page."""
    if tally.pair_both is not None and tally.pair_plus_only is not None:
        pairs = tally.n // 2
        minus = tally.pair_minus_only
        one = tally.pair_plus_only + (tally.pair_plus_only if minus is None else minus)
        return {
            "both sides right": tally.pair_both.tolist(),
            "one side right": one.tolist(),
            "both sides wrong": np.maximum(pairs - tally.pair_both - one, 0).tolist(),
        }
    if tally.count_top is not None:
        return {"right": tally.count_top.tolist(), "wrong": (tally.n - tally.count_top).tolist()}
    return {}


def _leading(certificates: Certificates, most: int = 3) -> list[list[list[int]]]:
    """The selected class and the others with most votes, each with its fraction of the votes."""
    tally = certificates.tally
    if not tally.counts_classes or tally.count_top is None or tally.class_ids is None:
        return []
    votes = np.concatenate([tally.count_top[:, None], tally.class_votes()], axis=1)
    ids = np.concatenate([certificates.selected[:, None], tally.class_ids], axis=1)
    # The selected class first, whatever its votes.
    order = np.argsort(-votes[:, 1:], axis=1, kind="stable")[:, : most - 1] + 1
    order = np.concatenate([np.zeros((len(order), 1), order.dtype), order], axis=1)
    votes, ids = (np.take_along_axis(array, order, axis=1) for array in (votes, ids))
    fractions = votes * _UNIT // tally.n[:, None]
    return [
        [[one, fraction] for one, fraction in zip(*row, strict=True) if one >= 0]
        for row in zip(ids.tolist(), fractions.tolist(), strict=True)
    ]


def _limits(certificates: Certificates) -> list[int]:
    """The class that limits each radius; −1: one half, −2: the classes that were never returned."""
    limiting = certificates.bounds.limiting_class
    return [] if limiting is None else limiting.tolist()


def _regions(certificates: Certificates) -> list[list[int | None] | None]:
    """The ends of the intervals of each input's extremal region.

    An infinite end is null; a region with unknown bounds is null.
    """
    bounds, method = certificates.bounds, METHODS[certificates.method]
    # Infinite or missing is what was not drawn; the region does without.
    optional = ("n_used", "slope_lower", "curvature_lower")
    given = [
        value
        for name, value in vars(bounds).items()
        if name not in optional and value is not None and value.ndim == 1
    ]
    known = (
        ~np.logical_or.reduce([np.isnan(value) for value in given])
        if given
        else np.zeros(len(certificates), bool)
    )
    if not np.any(known):
        return []
    try:
        region = method.region(certificates[known].bounds, certificates.sigma)
    except (LookupError, ValueError):  # an imported log without the bounds of its method
        return []
    ends = np.broadcast_arrays(*(end for interval in region.intervals for end in interval))
    drawn = iter(np.stack(ends, axis=1))
    return [_rounded(next(drawn)) if one else None for one in known]


def _more(series: Series, certificates: Certificates) -> list[list[int | None]]:
    """For each of `FACTORS`, the radii from so many times the samples; empty without counts."""
    tally = certificates.tally
    if tally.arrays().keys() == {"n"}:
        return []
    try:
        radii = [
            expected_radius(
                series.method,
                tally,
                factor * tally.n,
                alpha=series.alpha,
                sigma=series.sigma,
                classes=series.classes,
            )
            for factor in FACTORS
        ]
    except (LookupError, ValueError):
        return []
    return [[_millionths(radius) for radius in radius.tolist()] for radius in radii]


def _falls(series: Sequence[Series]) -> NDArray[np.float64]:
    """The radii where the curves fall, and one after them all; the same for all runs.

    Where there are too many, an even choice of them.
    """
    falls = np.unique(np.concatenate([[0.0], *(one.right_radius for one in series)]))
    falls = falls[np.isfinite(falls)]
    if len(falls) > _MOST_STEPS:
        falls = falls[np.linspace(0, len(falls) - 1, _MOST_STEPS).round().astype(int)]
    at = np.floor(falls * _UNIT) / _UNIT  # as they are written on the page
    end = 1.03 * at[-1] if at[-1] > 0 else 0.1 * series[0].sigma
    return np.append(at, np.ceil(end * _UNIT) / _UNIT)


def _curve(series: Series, at: NDArray[np.float64]) -> dict[str, Any]:
    """Certified accuracy at the radii, with its pointwise intervals."""
    count = series.count_at(at)
    low, high = pointwise_interval(count, len(series))
    return {
        "count": count.tolist(),
        "of": len(series),
        "low": _rounded(low),
        "high": _rounded(high),
    }


def _pair(
    series: Sequence[Series], pair: Pair, inputs: Inputs, at: NDArray[np.float64]
) -> dict[str, Any]:
    """The bin of relative change of each input of both runs, and the difference of the curves."""
    names = [one.name for one in series]
    method, baseline = names.index(pair.method.name), names.index(pair.baseline.name)
    position = {index: k for k, index in enumerate(pair.method.index.tolist())}
    bins = bins_of(pair.baseline.right_radius, pair.method.right_radius).tolist()
    both = (inputs.row[method] >= 0) & (inputs.row[baseline] >= 0)
    found = [
        bins[position[index]] if here else -1
        for index, here in zip(inputs.index.tolist(), both, strict=True)
    ]
    curve = difference_curve(pair, at)
    return {
        "method": method,
        "baseline": baseline,
        "bin": found,
        "difference": _rounded(curve.difference),
        "low": _rounded(curve.lower),
        "high": _rounded(curve.upper),
    }


def _distribution(found: Probabilities, run: int, inputs: Inputs) -> dict[str, Any]:
    """p̂ of each input, null where it is unknown."""
    values = np.full(int(inputs.row[run].max()) + 1, np.nan)
    values[found.row] = found.values
    return {
        "run": run,
        "of": found.of,
        "p": _placed([_millionths(p) for p in values.tolist()], inputs.row[run]),
    }


def in_script(values: Mapping[str, Any]) -> str:
    """The values as JSON that is safe inside a script element of HTML."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)


_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}

"""What the runs found, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sosmooth.methods import METHODS
from sosmooth.report.baseline import BASELINE, computed_baselines, samples_used
from sosmooth.report.relative_change import Gain, gain_of
from sosmooth.report.series import RunLike, Series, pairs_with_baseline, series_of_all
from sosmooth.report.summary import radius_text, signed_percent, whole
from sosmooth.tally import Design


def headline(runs: Sequence[RunLike]) -> str:
    """What the runs found, in one sentence.

    It is about the run whose method comes last in `METHODS`, compared with first order on the same
    inputs. Without a first-order run, the samples of the run are certified by first order.

    Args:
        runs: one or more.

    Raises:
        ValueError: as for `series_of_all`.

    Guarantee:
        Percentages are rounded in favour of first order.
    """
    computed = computed_baselines(runs)
    series = series_of_all([*runs, *computed])
    given = series[: len(runs)]
    one = given[featured(given)]
    pairs = [pair for pair in pairs_with_baseline(series) if pair.method.name == one.name]
    sentence = _certified(one, given)
    if not pairs:
        average = radius_text(one.average_radius(), one.sigma)
        norm = "" if one.norm == "l2" else f"{one.norm} "
        return f"{sentence}; the average certified {norm}radius is {average}."
    position = [each.name for each in series].index(pairs[0].baseline.name)
    baseline = [*runs, *computed][position]
    of_pairs = baseline.certificates().tally.design is Design.ANTITHETIC
    used = f" from {samples_used(baseline)}" if position >= len(runs) or of_pairs else ""
    return f"{sentence}{_gained(gain_of(pairs[0]), used)}."


def featured(series: Sequence[Series]) -> int:
    """The position of the run that the sentence is about.

    It does not depend on what the runs found: their method comes last in `METHODS`.

    Args:
        series: the runs as arrays.
    """
    order = list(METHODS)
    ranks = [order.index(one.method) if one.method in order else -1 for one in series]
    others = [
        -1 if one.method == BASELINE else rank for one, rank in zip(series, ranks, strict=True)
    ]
    return int(np.argmax(others if max(others) >= 0 else ranks))


def _certified(one: Series, given: Sequence[Series]) -> str:
    alone = sum(each.method == one.method for each in given) == 1
    subject = one.method if alone else one.name
    count = whole(int(np.sum(one.certified)))
    right = f" ({whole(int(np.sum(one.right)))} correctly)" if one.labelled else ""
    return f"{subject} certifies {count} of {whole(len(one))} inputs{right}"


def _gained(gain: Gain, used: str) -> str:
    if not gain.both:
        return ""
    than = f"first order's{used} on average"
    if -1e-6 < gain.mean_change < 1e-3:
        radii = f"radii as large as {than}"
    else:
        word = "larger" if gain.mean_change > 0 else "smaller"
        radii = f"radii {signed_percent(gain.mean_change)[1:]} {word} than {than}"
    return f"; {radii}, larger for {signed_percent(gain.larger / gain.both, 0)[1:]}"

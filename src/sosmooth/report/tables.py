"""The tables of the page: a column a run, rows of title and cells; the first row is the head."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sosmooth.measures import floored
from sosmooth.report.relative_change import gain_of
from sosmooth.report.series import Pair, Series
from sosmooth.report.summary import (
    figures_row,
    other_units_row,
    settings_row,
    share,
    signed_percent,
)
from sosmooth.results import UNKNOWN

Table = list[tuple[str, list[str]]]

_EXTREMES = 6


def result_table(series: Sequence[Series], pairs: Sequence[Pair], radii: Sequence[str]) -> Table:
    """What the runs found, and the settings in which they differ.

    Args:
        series: the runs as arrays, a column each.
        pairs: each method with its baseline.
        radii: of the certified accuracy, decimals.
    """
    settings = _turned([settings_row(one) for one in series])
    differing = [(title, cells) for title, cells in settings if len(set(cells)) > 1]
    names = [one.name for one in series]
    differing = [(title, cells) for title, cells in differing if cells != names]
    gains = {pair.method.name: _gain_row(pair) for pair in pairs}
    rows = [figures_row(one, radii) | gains.get(one.name, {}) for one in series]
    return [("", names), *_ordered(_turned(rows)), *differing]


def same_settings(series: Sequence[Series]) -> str:
    """The settings that are the same for all runs, in one line."""
    rows = _turned([settings_row(one) for one in series])
    return " · ".join(f"{title} {cells[0]}" for title, cells in rows if len(set(cells)) == 1)


def other_units_table(series: Sequence[Series]) -> Table:
    """The median radii in other units."""
    return [("", [one.name for one in series]), *_turned([other_units_row(one) for one in series])]


def compared_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """A row for each of the rows instead of each title; empty where there is none."""
    return [(cells[0], list(cells[1:])) for cells in zip(*_columns(rows), strict=True)]


def intervals_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """A row for each title instead of each difference."""
    return _turned(rows)


def settings_table(settings: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Table]:
    """Settings of the runs: those that differ, and those that do not; parts get rows of their own.

    Args:
        settings: of each run, JSON-able.
        names: of the runs.

    Returns:
        Two tables without a head where they are empty.
    """
    rows = _turned([_flat(one) for one in settings])
    differ = [(title, cells) for title, cells in rows if len(set(cells)) > 1]
    same = [(title, cells[:1]) for title, cells in rows if len(set(cells)) == 1]
    return [
        [("", list(names)), *differ] if differ else [],
        [("", ["all runs"]), *same] if same else [],
    ]


def extremes(series: Series) -> list[list[dict[str, Any]]]:
    """The certified inputs with the largest, and those with the smallest radii, none in both."""
    order = np.lexsort((series.index, series.radius))[::-1]
    order = order[series.certified[order]]
    half = min(_EXTREMES, len(order) // 2)
    groups = [order[: len(order) - half][:_EXTREMES], order[len(order) - half :]]
    return [[_row(series, int(i)) for i in which] for which in groups if len(which)]


def _gain_row(pair: Pair) -> dict[str, str]:
    gain = gain_of(pair)
    if not gain.both:
        return {}
    return {
        _RELATIVE: signed_percent(gain.mean_change),
        _LARGER: f"{share(gain.larger, gain.both)} of {gain.both}",
        _ONLY: f"{gain.only_method} · {gain.only_baseline}",
    }


_RELATIVE = "mean radius, relative to first order"
_LARGER = "radius larger than first order's"
_ONLY = "only the run certifies · only first order"
_LAST = ("abstained", "time per input")


def _ordered(rows: Table) -> Table:
    """The gains before the reasons and times."""
    return sorted(rows, key=lambda row: row[0] in _LAST)


def _turned(rows: Sequence[Mapping[str, str]]) -> Table:
    """A row for each title instead of each run: (title, its text in each run)."""
    return [(title, texts) for title, *texts in _columns(rows)]


def _columns(rows: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """Each title, with its text in each row."""
    titles = dict.fromkeys(title for row in rows for title in row)
    return [[title, *(row.get(title, UNKNOWN) for row in rows)] for title in titles]


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """The values as text; those of a part are named after it, with a point between."""
    found = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{name}.")
        elif value is None or isinstance(value, str):
            found[f"{before}{name}"] = "none" if value is None else value
        else:
            found[f"{before}{name}"] = json.dumps(value, ensure_ascii=False, default=str)
    return found


def _row(series: Series, i: int) -> dict[str, Any]:
    index, label, prediction = int(series.index[i]), int(series.label[i]), int(series.prediction[i])
    p_lower = float(series.p_lower[i])
    return {
        "index": index,
        "label": UNKNOWN if label < 0 else series.called(label),
        "prediction": series.called(prediction),
        "wrong": label >= 0 and label != prediction,
        "radius": floored(float(series.radius[i]), 4),
        "p_lower": UNKNOWN if np.isnan(p_lower) else floored(p_lower, 5),
    }

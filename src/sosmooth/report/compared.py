"""Figures of a run against one half and against each other class, from the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sosmooth.methods import CLASSES, METHODS
from sosmooth.report.series import RunLike, Series
from sosmooth.report.summary import figures_row
from sosmooth.results import COMPARED
from sosmooth.tasks.validate import recomputed

_SHOWN = ("certified accuracy at", "certified fraction at", "average certified radius")


def compared_rows(
    runs: Sequence[RunLike], series: Sequence[Series], radii: Sequence[str]
) -> list[dict[str, str]]:
    """Two rows for each run whose tallies allow both comparisons: column title → text.

    Args:
        runs: the runs.
        series: the same as arrays.
        radii: of the certified accuracy, decimals.

    Returns:
        Two rows a run, "top" first.
    """
    return [
        {"run": one.name, "compared with": COMPARED[classes]} | _figures(run, one, classes, radii)
        for run, one in zip(runs, series, strict=True)
        if _allows_both(run, one)
        for classes in CLASSES
    ]


def _allows_both(run: RunLike, series: Series) -> bool:
    if series.method not in METHODS or series.norm != "l2" or not len(run):
        return False
    tally = run.certificates().tally
    return tally.counts_classes and tally.stopped_by is None and tally.num_classes != 2


def _figures(run: RunLike, series: Series, classes: str, radii: Sequence[str]) -> dict[str, str]:
    if classes != series.classes:
        stored, size = run.certificates(), len(run)
        found = recomputed(stored, stored.method, stored.alpha, classes, stored.norm)
        arrays = {}
        for name in ("prediction", "radius", "abstain_reason"):
            # Inputs without a row come last.
            arrays[name] = getattr(series, name).astype(getattr(found, name).dtype)
            arrays[name][:size] = getattr(found, name)
        series = replace(series, **arrays)
    row = figures_row(series, radii)
    return {name: text for name, text in row.items() if name.startswith(_SHOWN)}

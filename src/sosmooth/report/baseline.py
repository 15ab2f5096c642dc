"""First order from the samples of another run, where no first-order run is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sosmooth.report.series import RunLike, pairs_with_baseline, series_of_all
from sosmooth.runs.run import Run
from sosmooth.runs.table import table_of
from sosmooth.tally import Design
from sosmooth.tasks.validate import recomputed

BASELINE = "first_order"


def computed_baselines(runs: Sequence[RunLike]) -> list[Run]:
    """First-order runs, in memory, for the runs that have none to be compared with.

    They hold first-order certificates of the samples of those runs. Runs without the counts, and
    runs that a rule stopped, get none.

    Args:
        runs: one or more.

    Raises:
        ValueError: as for `series_of_all`.
    """
    found: list[Run] = []
    for position, run in enumerate(runs):
        series = series_of_all([*runs, *found])
        one = series[position]
        compared = {pair.method.name for pair in pairs_with_baseline(series)}
        if one.method != BASELINE and one.name not in compared:
            computed = _computed(run)
            found += [] if computed is None else [computed]
    return found


def samples_used(baseline: RunLike) -> str:
    """Which of the samples a computed baseline uses, in words."""
    pairs = baseline.certificates().tally.design is Design.ANTITHETIC
    return "half of the samples" if pairs else "the same samples"


def _computed(run: RunLike) -> Run | None:
    if not isinstance(run, Run) or run.norm != "l2" or not len(run):
        return None
    stored = run.certificates()
    try:
        certificates = recomputed(stored, BASELINE, stored.alpha, "top", "l2")
    except (LookupError, ValueError):  # without counts, or stopped by a rule
        return None
    settings = run.manifest.settings | {"method": BASELINE, "classes": "top"}
    return Run(
        Path(run.path).parent / f"{BASELINE} (computed)",
        replace(run.manifest, settings=settings),
        table_of(certificates, run["label"], None),
        table_digest="",
    )

"""What a command prints of its runs: a table for people, numbers for programs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sosmooth.cli._output import print_json
from sosmooth.measures import in_grey_levels, linf_radius
from sosmooth.runs import Run, load_run


def print_runs(runs: Sequence[Run], *, as_json: bool) -> None:
    """Print a column a run; as JSON one object, or a list of them for several runs."""
    if as_json:
        found = [numbers(run) for run in runs]
        print_json(found[0] if len(found) == 1 else found)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sosmooth.report.summary import summary_rows

    rows = summary_rows(runs)
    table = Table(box=None, header_style="bold", pad_edge=False)
    # Runs side by side: there are few of them and many figures.
    table.add_column("")
    for row in rows:
        # As text: brackets in a name are not markup.
        table.add_column(Text(row["run"]), overflow="fold")
    for name in list(rows[0])[1:]:
        table.add_row(name, *(row[name] for row in rows))
    Console().print(table)


def opened(path: Path) -> Run:
    """The run in a folder; prints on standard error which inputs it lacks."""
    run = load_run(path)
    say_what_is_missing(run)
    return run


def say_what_is_missing(run: Run) -> None:
    """Print one line on standard error where a run is unfinished."""
    if run.shortfall:
        print(f"sosmooth: {run.path} is unfinished: {run.shortfall}", file=sys.stderr)


def numbers(run: Run) -> dict[str, object]:
    """The figures of a run, in full precision.

    Radii are in input units. Figures that need labels are None where labels are unknown.
    """
    from sosmooth.report.series import series_of

    series, dimension = series_of(run), run.manifest.dimension if run.norm == "l2" else None
    reasons = Counter(str(reason) for reason in series.abstain_reason[~series.certified])
    mean = float(series.radius.mean())
    return {
        "run": str(run.path),
        "method": series.method,
        "classes": run.manifest.settings.get("classes", "top"),
        "sigma": series.sigma,
        "n": series.n,
        "mean_n": float(np.mean(run["n"])) if len(run) else None,
        "alpha": series.alpha,
        "norm": run.norm,
        "inputs": len(series),
        "missing": len(run.missing),
        "complete": run.complete,
        "certified": int(series.certified.sum()),
        "certified_accuracy": float(series.share_at(0.0)) if series.labelled else None,
        "average_certified_radius": series.average_radius() if series.labelled else None,
        "mean_radius": mean,
        "mean_radius_in_grey_levels": float(in_grey_levels(mean)),
        "mean_linf_radius": None if dimension is None else float(linf_radius(mean, dimension)),
        "abstained": dict(sorted(reasons.items())),
        "seconds": float(np.nansum(run["seconds"])),
    }

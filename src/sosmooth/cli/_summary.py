"""What a command prints of its runs: a table for people, numbers for programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sosmooth.cli._output import print_aligned, print_json, print_wrapped, say
from sosmooth.measures import in_grey_levels, linf_radius
from sosmooth.results import UNKNOWN
from sosmooth.runs import Run, load_run

if TYPE_CHECKING:
    from sosmooth.report.series import Series

# Beside each other on a terminal of 80 columns.
_MOST_COLUMNS, _MOST_RADII = 2, 3
_SHARE = re.compile("certified (accuracy|fraction) at ")


def print_runs(
    runs: Sequence[Run], *, as_json: bool = False, radii: Sequence[str] | None = None
) -> None:
    """Print what runs found: a sentence and a table; as JSON an object, or a list for several runs.

    Args:
        runs: one or more.
        as_json: whether to print JSON.
        radii: of the certified accuracy, decimals; None: round ones that some input reaches.
    """
    if as_json:
        found = [numbers(run, radii) for run in runs]
        print_json(found[0] if len(found) == 1 else found)
        return
    from sosmooth.report.headline import headline

    print_wrapped(headline(runs))
    print()
    if len(runs) > _MOST_COLUMNS:
        _print_a_row_a_run(runs, radii)
    else:
        _print_a_column_a_run(runs, radii)


def opened(path: Path) -> Run:
    """The run in a folder; prints on standard error which inputs it lacks."""
    run = load_run(path)
    say_what_is_missing(run)
    return run


def say_what_is_missing(run: Run) -> None:
    """Print one line on standard error where a run is unfinished."""
    if run.shortfall:
        say(f"sosmooth: {run.path} is unfinished: {run.shortfall}")


def numbers(run: Run, radii: Sequence[str] | None = None) -> dict[str, object]:
    """The figures of a run, in full precision.

    Radii are in input units. Figures that need labels are None where labels are unknown.

    Args:
        run: the run.
        radii: of the certified accuracy, decimals; None: round ones that some input reaches.
    """
    from sosmooth.report.series import series_of
    from sosmooth.report.summary import round_radii

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
        "at_radii": [
            _at(series, float(at)) for at in (round_radii([series]) if radii is None else radii)
        ],
        "mean_radius": mean,
        "mean_radius_in_grey_levels": float(in_grey_levels(mean)),
        "mean_linf_radius": None if dimension is None else float(linf_radius(mean, dimension)),
        "abstained": dict(sorted(reasons.items())),
        "seconds": float(np.nansum(run["seconds"])),
    }


def _at(series: Series, at: float) -> dict[str, float | None]:
    reaching = int(np.sum(series.certified & (series.radius >= at)))
    return {
        "radius": at,
        "certified_accuracy": float(series.share_at(at)) if series.labelled else None,
        "certified_fraction": reaching / len(series),
    }


def _print_a_column_a_run(runs: Sequence[Run], radii: Sequence[str] | None) -> None:
    """Few runs: many figures below each other; the settings that all share in one line."""
    from sosmooth.report.summary import summary_rows

    rows = summary_rows(runs, radii)
    same = _same_settings(rows) if len(rows) > 1 else {}
    titles = [
        title
        for title in _titles(rows)
        if title not in same and any(row.get(title) != row["run"] for row in rows)
    ]
    print_aligned(
        ["", *(row["run"] for row in rows)],
        [[title, *(row.get(title, UNKNOWN) for row in rows)] for title in titles],
        left=range(len(rows) + 1),
    )
    _print_same(same)
    _print_unknown_labels(rows)


def _print_a_row_a_run(runs: Sequence[Run], radii: Sequence[str] | None) -> None:
    """Many runs: the figures that matter most beside each other."""
    from sosmooth.report.summary import summary_rows

    rows = summary_rows(runs, radii, most=_MOST_RADII)
    shares = [title for title in _titles(rows) if _SHARE.match(title)]
    print_aligned(
        [
            "",
            "certified",
            *(f"≥ {title.rpartition(' ')[2]}" for title in shares),
            "average\nradius",
            "time per\ninput",
        ],
        [
            [
                row["run"],
                row["certified"],
                *(row.get(title, UNKNOWN).removesuffix(" %") for title in shares),
                row["average certified radius"],
                row["time per input"],
            ]
            for row in rows
        ],
        left=[0],
    )
    print_wrapped("≥ r: certified accuracy at the radius r, in %; radii are in units of the inputs")
    _print_same(same := _same_settings(rows))
    for title in _settings_of(rows[0]):
        if title not in same and any(row[title] != row["run"] for row in rows):
            print_wrapped(f"{title}: {_listed(rows, title)}")
    _print_unknown_labels(rows)


def _titles(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The titles of all rows, each once."""
    return list(dict.fromkeys(title for row in rows for title in row))


def _settings_of(row: Mapping[str, str]) -> list[str]:
    """The titles of what was asked for; the results follow them."""
    titles = list(row)
    return titles[1 : titles.index("certified")]


def _same_settings(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {
        title: rows[0][title]
        for title in _settings_of(rows[0])
        if all(row[title] == rows[0][title] for row in rows)
    }


def _print_same(same: Mapping[str, str]) -> None:
    if same:
        named = ", ".join(f"{title} {value}" for title, value in same.items())
        print_wrapped(f"the same for all: {named}")


def _listed(rows: Sequence[Mapping[str, str]], title: str) -> str:
    """The commonest value of a setting, then each other one with its runs."""
    ((commonest, _),) = Counter(row[title] for row in rows).most_common(1)
    others: dict[str, list[str]] = {}
    for row in rows:
        if row[title] != commonest:
            others.setdefault(row[title], []).append(row["run"])
    named = [f"{value} for {', '.join(runs)}" for value, runs in others.items()]
    return "; ".join([commonest, *named])


def _print_unknown_labels(rows: Sequence[Mapping[str, str]]) -> None:
    unknown = [row["run"] for row in rows if "certified fraction at 0" in row]
    if unknown:
        of = f" of {', '.join(unknown)}" if len(rows) > 1 else ""
        print_wrapped(f"the labels{of} are unknown: every certificate counts as right")

"""What `compare` prints of two runs: tables for people, numbers for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from sosmooth.cli._output import print_aligned, print_wrapped
from sosmooth.cli._summary import numbers, print_runs
from sosmooth.measures import LEVELS, fractions_above
from sosmooth.report.comparison import Difference, difference_text, paired_differences
from sosmooth.report.probability import probabilities_of
from sosmooth.report.relative_change import BINS, pair_of, relative_change_counts
from sosmooth.report.series import Pair, series_of, series_of_all
from sosmooth.report.summary import round_radii, whole

if TYPE_CHECKING:
    from sosmooth.runs import Run


def comparison_numbers(baseline: Run, other: Run, radii: Sequence[str] | None) -> dict[str, object]:
    """The figures of both runs and of their differences, in full precision.

    Args:
        baseline: a run.
        other: another one of the same data.
        radii: of the certified accuracy, decimals; None: round ones that some input reaches.
    """
    pair = pair_of(baseline, other)
    at = _radii(baseline, other, radii)
    rows = [asdict(found) | {"difference": found.difference} for found in _differences(pair, at)]
    return {
        "runs": [numbers(run, at) for run in (baseline, other)],
        "inputs": {
            "both": len(pair.method),
            "only_baseline": baseline.inputs - len(pair.method),
            "only_other": other.inputs - len(pair.method),
        },
        "p_estimates": [_p_estimates(run) for run in (baseline, other)],
        "relative_change": _changes(pair),
        "paired_differences": {
            "average_certified_radius": rows[0],
            "certified_accuracy": rows[1:],
        },
    }


def print_comparison(baseline: Run, other: Run, radii: Sequence[str] | None) -> None:
    """Print both runs, their differences, and how many radii change by how much.

    Args:
        baseline: as for `comparison_numbers`.
        other: as for `comparison_numbers`.
        radii: as for `comparison_numbers`.
    """
    pair = pair_of(baseline, other)
    at = _radii(baseline, other, radii)
    print_runs([baseline, other], radii=at)
    first, second = (one.name for one in series_of_all([baseline, other]))
    print()
    print_wrapped(f"{second} − {first}, on the {_inputs_of(baseline, other, len(pair.method))}:")
    print_aligned(
        ["", "difference", "95 % interval", ""],
        [_cells(found) for found in _differences(pair, at)],
        left=[0, 1, 2, 3],
    )
    print_wrapped("*: the interval does not contain 0; pp: percentage points")
    print()
    _print_probabilities([baseline, other])
    counts = {name: count for name, count in _changes(pair).items() if count}
    total = whole(sum(counts.values()))
    print_wrapped(
        f"{total} inputs are certified correctly by at least one; their radii in {second},"
        f" relative to {first}:"
    )
    if counts:
        words = BINS | {
            "baseline_only": f"only {first} certifies",
            "method_only": f"only {second} certifies",
        }
        print_aligned(
            ["", "inputs"],
            [[words[name], whole(count)] for name, count in counts.items()],
            left=[0],
        )


def _p_estimates(run: Run) -> list[float] | None:
    """p̂ of the inputs, ascending; None where no counts are known."""
    found = probabilities_of(run, series_of(run))
    return None if found is None else np.sort(found.values).tolist()


def _print_probabilities(runs: Sequence[Run]) -> None:
    """Print the distribution of p̂ over the inputs of each run, where counts are known."""
    series = series_of_all(runs)
    found = [probabilities_of(run, one) for run, one in zip(runs, series, strict=True)]
    known = [one for one in found if one is not None]
    if not known:
        return
    print_wrapped(f"p̂, the fraction of an input's noisy copies that get {known[0].of}, is")
    above = [fractions_above(one.values) for one in known]
    print_aligned(
        ["", *(one.name for one in known)],
        [[f"above {level} for", *(fractions[level] for fractions in above)] for level in LEVELS],
        left=range(len(known) + 1),
    )
    print_wrapped(
        "of the inputs. This says more than the average radius, which rewards easy inputs."
    )
    print()


def _radii(baseline: Run, other: Run, radii: Sequence[str] | None) -> Sequence[str]:
    return round_radii(series_of_all([baseline, other])) if radii is None else radii


def _differences(pair: Pair, radii: Sequence[str]) -> list[Difference]:
    return paired_differences(pair, [0.0, *map(float, radii)])


def _changes(pair: Pair) -> dict[str, int]:
    return relative_change_counts(pair.baseline.right_radius, pair.method.right_radius)


def _inputs_of(baseline: Run, other: Run, both: int) -> str:
    """How many inputs are in both runs, and in one alone."""
    alone = [f"{whole(run.inputs - both)} more only in {run.path.name}" for run in (baseline, other)
             if run.inputs > both]  # fmt: skip
    return f"{whole(both)} inputs of both" + (f" ({', '.join(alone)})" if alone else "")


def _cells(found: Difference) -> list[str]:
    difference, _, interval = difference_text(found).partition(" (")
    interval, _, star = interval.partition(")")
    at = found.at
    title = (
        "average certified radius"
        if at is None
        else f"certified accuracy at {np.format_float_positional(at, trim='-')}"
    )
    return [title, difference, interval, star.strip()]

"""The command that estimates, from a pilot run, how many samples are needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sosmooth.cli._options import ClassesName, Json, MethodName, RunFolder, WholeOrNone
from sosmooth.cli._output import Column, for_people, print_json, print_rows, print_wrapped

if TYPE_CHECKING:
    from sosmooth.results import Certificates


def plan(
    run: RunFolder,
    *,
    radius: Annotated[float | None, Parameter(help="How many samples reach this radius?")] = None,
    n: Annotated[
        WholeOrNone, Parameter(name="--n", help="What do samples up to N an input give?")
    ] = None,
    method: MethodName | None = None,
    alpha: Annotated[
        float | None, Parameter(help="Failure probability.", show_default="that of RUN")
    ] = None,
    classes: ClassesName | None = None,
    json: Json = False,
) -> int:
    """Estimate from a pilot run what other numbers of samples would give.

    Estimates are not certificates. They take every fraction of samples as RUN observed it: more
    samples make the bounds tighter, not the classifier better.
    """
    from sosmooth.cli._summary import opened

    if (radius is None) == (n is None):
        raise ValueError("plan answers one question at a time: give --radius R or --n N")
    pilot = opened(run).certificates()
    if not len(pilot):
        raise ValueError(f"{run} has no certified input yet; certify some first")
    if pilot.norm != "l2":
        raise ValueError(
            f"{run} holds {pilot.norm} radii, and plan estimates l2 radii; certify it again in l2"
            " (recertify --norm l2)"
        )
    asked = {"method": method or pilot.method, "alpha": pilot.alpha if alpha is None else alpha}
    asked["classes"] = _compared(pilot, method, classes)
    if not 0 < asked["alpha"] < 1:
        raise ValueError(f"alpha must be a failure probability in (0, 1); got {alpha!r}")
    try:
        found = _reaching(pilot, radius, **asked) if n is None else _growing(pilot, n, **asked)
    except (LookupError, KeyError) as error:
        raise ValueError(
            f"{run} cannot be a pilot for {asked['method']}: it lacks {error.args[0]}"
        ) from None
    if json:
        print_json({"run": str(run), **asked, **found})
    else:
        _print(found, run=run, **asked)
    return 0


def _compared(pilot: Certificates, method: str | None, classes: str | None) -> str:
    """The comparison of RUN, or of the method that was asked for, as far as the counts allow it."""
    from sosmooth.methods import classes_of

    if classes is None and method is None:
        return pilot.classes
    found = classes_of(method or pilot.method, classes)
    return "top" if classes is None and not pilot.tally.counts_classes else found


def _reaching(pilot: Certificates, radius: float | None, **asked: Any) -> dict:
    """How many of the pilot's inputs reach the radius with how many samples."""
    import numpy as np

    from sosmooth.planning import MOST, samples_for_radius

    if radius is None or not 0 < radius < np.inf:
        raise ValueError(
            f"--radius must be a positive number, in units of the inputs; got {radius!r}"
        )
    needed = samples_for_radius(tally=pilot.tally, radius=radius, sigma=pilot.sigma, **asked)
    needed = np.where(pilot.selected >= 0, needed, -1)
    steps = [10**power for power in range(3, len(str(MOST)))]
    counts = [int(np.sum((needed > 0) & (needed <= step))) for step in steps]
    table = [
        {"n": step, "inputs": count, "share": count / len(needed)}
        for step, count in zip(steps, counts, strict=True)
    ]
    samples = [
        {"index": int(i), "n": int(k) if k > 0 else None}
        for i, k in zip(pilot.input_index, needed, strict=True)
    ]
    return {"radius": radius, "table": table, "samples": samples}


def _growing(pilot: Certificates, n: int, **asked: Any) -> dict:
    """Radii at the pilot's number of samples, at its doublings, and at n."""
    import numpy as np

    from sosmooth.planning import MOST, expected_radius

    if not 2 <= n <= MOST:
        raise ValueError(f"--n must be a number of evaluations from 2 to {MOST}; got {n}")
    drawn = int(np.max(pilot.tally.n))
    steps, step = [drawn], drawn
    while (step := 2 * step) < n:
        steps.append(step)
    table = []
    for step in sorted({*steps, n - n % 2}):
        radius = expected_radius(tally=pilot.tally, n=step, sigma=pilot.sigma, **asked)
        radius = np.where(pilot.selected >= 0, radius, 0.0)
        table.append(
            {"n": step, "certified": int(np.sum(radius > 0)), "mean_radius": float(np.mean(radius))}
        )
    return {"table": table}


def _print(found: dict, *, run: Path, method: str, alpha: float, classes: str) -> None:
    from sosmooth.report.summary import whole
    from sosmooth.results import COMPARED

    rows = [
        {
            name: f"{value:.4g}" if isinstance(value, float) else str(value)
            for name, value in row.items()
        }
        for row in found["table"]
    ]
    last = rows[-1]
    if for_people():
        if "inputs" in last:
            # More samples than these reach no more inputs.
            rows = rows[: 1 + [row["inputs"] for row in rows].index(last["inputs"])]
        print_wrapped(
            f"Estimates from {run} for {method} at alpha {alpha:g}, compared with"
            f" {COMPARED[classes]}:"
        )
    in_groups = {row["n"]: whole(int(row["n"])) for row in rows}
    in_percent = {
        row["share"]: f"{100 * float(row['share']):.3g} %" for row in rows if "share" in row
    }
    titles = {
        "certified": Column("certified", "certified"),
        "mean_radius": Column("mean_radius", "mean\nradius"),
        "inputs": Column("inputs", f"inputs that\nreach {found.get('radius', 0):g}"),
        "share": Column("share", "of all", words=in_percent),
    }
    print_rows(
        [
            Column("n", "samples\nan input", words=in_groups),
            *(titles[name] for name in rows[0] if name != "n"),
        ],
        rows,
    )
    if for_people() and len(rows) < len(found["table"]):
        most = whole(int(last["n"]))
        print_wrapped(f"as many as {most} samples reach no more inputs")

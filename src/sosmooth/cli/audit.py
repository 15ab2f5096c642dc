"""The command that attacks what a run certified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sosmooth.cli._options import Json, RunFolder, Whole
from sosmooth.cli._output import (
    Column,
    for_people,
    name_classes,
    print_json,
    print_rows,
    print_wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sosmooth.tasks.audit import Audit

_PICTURES = (".png", ".svg")

# Left out where people read: the table must fit 80 columns.
_FOR_PROGRAMS = ("ratio", "class", "judged")
_LONGEST_NAME = 8


def audit(
    run: RunFolder,
    *,
    model: Annotated[
        str | None,
        Parameter(help="The classifier of RUN, if it has moved."),
    ] = None,
    data: Annotated[str | None, Parameter(help="The data of RUN, if they have moved.")] = None,
    limit: Annotated[
        Whole, Parameter(name="--max", help="Attack the first K certified inputs.")
    ] = 20,
    steps: Annotated[Whole, Parameter(help="Gradient steps for each size.")] = 20,
    samples: Annotated[Whole, Parameter(help="Noise samples of one gradient.")] = 64,
    judge_n: Annotated[
        Whole, Parameter(help="Samples that decide whether a point is adversarial.")
    ] = 10_000,
    look_n: Annotated[
        Whole, Parameter(help="Samples of one test whether the class is lost at a distance.")
    ] = 20_000,
    seed: Annotated[Whole, Parameter(help="Seed of the attack and of its judge.")] = 0,
    device: Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    out: Annotated[
        Path | None,
        Parameter(help="Picture, .png or .svg: distance where the class is lost against radius."),
    ] = None,
    json: Json = False,
) -> int:
    """Attack what RUN certified, inside the radii and beyond.

    The table says how close adversarial points come, and how far away the class is measured to be
    lost. Exit code 1 where that is inside a radius.
    """
    from sosmooth._progress import progress
    from sosmooth.attacks.lost_class import LookSettings
    from sosmooth.attacks.smoothed_pgd import AttackSettings
    from sosmooth.classifiers import load as classifiers
    from sosmooth.cli._summary import opened
    from sosmooth.datasets import load as datasets
    from sosmooth.runs import RunError
    from sosmooth.tasks.audit import attackable, audit_run, searches
    from sosmooth.tasks.recorded import recorded_specs

    if limit < 1:
        raise ValueError(f"--max must be at least 1; got {limit}")
    if out is not None and out.suffix not in _PICTURES:
        raise ValueError(f"--out must end in {' or '.join(_PICTURES)}; got {out.name!r}")
    settings = AttackSettings(steps=steps, samples=samples, judge_n=judge_n, seed=seed)
    looks = LookSettings(n=look_n, seed=seed)
    stored = opened(run)
    recorded_model, recorded_data = recorded_specs(stored)
    for flag, given, recorded, is_code in (
        ("--model", model, recorded_model, classifiers.runs_code),
        ("--data", data, recorded_data, datasets.runs_code),
    ):
        if given is None and recorded is not None and is_code(recorded):
            raise RunError(
                f"{run} was made with {recorded}, which runs code when it is opened; if you trust"
                f" it, give {flag} {recorded}"
            )
    model, data = model or recorded_model, data or recorded_data
    if model is None or data is None:
        raise RunError(f"{run} does not record its classifier or its data; give --model and --data")
    classifier, inputs = (
        classifiers.open_classifier(model, sigma=stored.manifest.settings["sigma"]),
        datasets.load_dataset(data),
    )
    count = len(attackable(stored, limit))
    total = count * searches(settings)
    with progress(total, f"attacking {count} inputs", "searches") as advance:
        found = audit_run(
            stored,
            classifier,
            inputs,
            limit=limit,
            settings=settings,
            looks=looks,
            device=device,
            progress=advance,
        )
    if out is not None:
        _draw(found, out)
    if json:
        print_json(_as_json(run, found, settings.judge_alpha, stored.manifest.class_names))
    else:
        _print(found, settings.judge_alpha, stored.manifest.class_names)
    return 1 if found.broken else 0


def _draw(found: Audit, out: Path) -> None:
    from sosmooth.report.audit_figure import audit_figure
    from sosmooth.report.style import as_png, as_svg

    figure = audit_figure(found)
    if out.suffix == ".png":
        out.write_bytes(as_png(figure))
    else:
        out.write_text(as_svg(figure), encoding="utf-8", newline="\n")


def _as_json(run: Path, found: Audit, judge_alpha: float, names: Sequence[str] | None) -> dict:
    """Full precision; null where no adversarial point was found, or the class not lost."""
    from math import isfinite

    from sosmooth.measures import ABSTAINED

    rows: list[dict[str, Any]] = [
        {
            "index": int(found.index[i]),
            "prediction": int(found.prediction[i]),
            "radius": float(found.radius[i]),
            "closest": float(found.closest[i]) if isfinite(found.closest[i]) else None,
            "ratio": float(found.ratio[i]) if isfinite(found.closest[i]) else None,
            "found": int(found.found[i]) if found.found[i] != ABSTAINED else None,
            "judged": int(found.judged[i]),
            "inside": int(found.inside[i]),
            "lost_along_gradient": float(found.along_gradient[i]),
            "lost_along_worst": float(found.along_worst[i]),
            "reached": float(found.reached[i]),
        }
        for i in range(len(found))
    ]
    name_classes(rows, ("prediction", "found"), names)
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    return {
        "run": str(run),
        "alpha": found.alpha,
        "judge_alpha": judge_alpha,
        "attacked": len(found),
        "broken": found.broken,
        "expected_failures": found.expected_failures,
        "closest_ratio": min(ratios, default=None),
        "look_alpha": found.look_alpha,
        "median_reached": found.median_reached,
        "inputs": rows,
    }


def _print(found: Audit, judge_alpha: float, names: Sequence[str] | None) -> None:
    import numpy as np

    from sosmooth.measures import floored

    rows = []
    for i in range(len(found)):
        reached = bool(np.isfinite(found.closest[i]))
        rows.append(
            {
                "index": found.index[i],
                "prediction": found.prediction[i],
                "radius": floored(float(found.radius[i]), 4),
                "closest": f"{found.closest[i]:.4f}" if reached else "none",
                "ratio": f"{found.ratio[i]:.2f}" if reached else None,
                "class": found.found[i] if reached else None,
                "judged": found.judged[i],
                "inside": found.inside[i],
                "gradient": _upwards(found.along_gradient[i]),
                "worst": _upwards(found.along_worst[i]),
                "reached": f"{found.reached[i]:.2f}",
            }
        )
    called = {
        str(number): name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        for number, name in enumerate(names or ())
    }
    columns = [
        Column("index", "input"),
        Column("prediction", "class", words=called),
        Column("radius", "radius"),
        Column("closest", "closest\nadversarial"),
        Column("ratio", "in\nradii"),
        Column("class", "its\nclass", words=called),
        Column("judged", "points\ntried"),
        Column("inside", "found\ninside"),
        Column("gradient", "lost along\ngradient"),
        Column("worst", "lost along\nworst"),
        Column("reached", "share\ncertified"),
    ]
    if for_people():
        columns = [column for column in columns if column.name not in _FOR_PROGRAMS]
    print_rows(columns, rows)
    print()
    ratios = found.ratio[np.isfinite(found.ratio)]
    if len(ratios):
        print_wrapped(
            f"closest adversarial point: {np.min(ratios):.3f} radii;"
            f" median {np.median(ratios):.3f} of {len(ratios)}"
        )
    print_wrapped(
        f"certified radius over the distance at which the class is lost: median"
        f" {found.median_reached:.3f}; at {np.sum(np.isinf(found.lost))} of {len(found)} inputs no"
        " such distance was found"
    )
    print_wrapped(
        "The nearest point where it is lost lies between the two, except with probability"
        f" {found.alpha:g} + {found.look_alpha:g} an input."
    )
    print_wrapped(
        f"certificates that fail: {found.broken} of {len(found)};"
        f" alpha = {found.alpha:g} allows at most {found.expected_failures:.3g} in expectation"
    )
    if found.broken:
        print_wrapped(
            "Inside a certified radius the smoothed class is lost. Either that rare event happened"
            " (certify again with another seed), or the test of the point was wrong (probability"
            f" {judge_alpha:g} a judged point, {found.look_alpha:g} for the distances of an input),"
            " or the classifier is not the same"
            " function at every call (see sosmooth doctor), or its certificates are unsound:"
            " please report that."
        )


def _upwards(distance: float) -> str:
    """Four digits behind the point, rounded up: it is an upper bound."""
    from math import ceil, isfinite

    return f"{ceil(distance * 1e4) / 1e4:.4f}" if isfinite(distance) else "none"

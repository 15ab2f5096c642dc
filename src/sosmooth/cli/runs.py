"""Commands that read and write runs without a classifier."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sosmooth.cli._options import (
    Alpha,
    ClassesName,
    Json,
    MethodName,
    NormName,
    Out,
    Radii,
    RunFolder,
    Sigma,
    Whole,
    WholeOrNone,
    chosen_radii,
)
from sosmooth.cli._output import print_json, say


def recertify(
    run: RunFolder,
    *,
    method: Annotated[MethodName | None, Parameter(show_default="that of RUN")] = None,
    alpha: Annotated[
        float | None, Parameter(help="Failure probability.", show_default="that of RUN")
    ] = None,
    classes: ClassesName | None = None,
    norm: Annotated[NormName | None, Parameter(show_default="that of RUN")] = None,
    out: Out,
    radii: Radii = None,
    json: Json = False,
) -> int:
    """Certify stored tallies again by another method, alpha or norm.

    RUN is never changed. Choose them before you look at the results: keeping the best
    of several readings of one tally gives no certificate.
    """
    from sosmooth.cli._summary import print_runs, say_what_is_missing
    from sosmooth.tasks.recertify import recertify as recertified

    at = chosen_radii(radii)
    written = recertified(run, out, method=method, alpha=alpha, classes=classes, norm=norm)
    print_runs([written], as_json=json, radii=at)
    say_what_is_missing(written)
    return 0


def import_log(
    file: Annotated[Path, Parameter(help="The log.")],
    *,
    method: MethodName,
    sigma: Sigma,
    n: Annotated[
        Whole, Parameter(name="--n", help="Estimation samples per input, in evaluations.")
    ],
    alpha: Alpha,
    out: Out,
    n0: Annotated[Whole, Parameter(name="--n0", help="Selection samples per input.")] = 100,
    dimension: Annotated[
        WholeOrNone,
        Parameter(help="Features of one input; needed for second_order and for l∞ radii."),
    ] = None,
    columns: Annotated[
        str | None,
        Parameter(help="Other names of columns, as in count=raw_count,radius=radius_cohen."),
    ] = None,
    norm: Annotated[
        Literal["l2", "l1", "linf"],
        Parameter(help="Norm of the radii; those of another norm than l2 are kept as they are."),
    ] = "l2",
    radii: Radii = None,
    json: Json = False,
) -> int:
    """Read a log of published research code into a run."""
    from sosmooth.cli._summary import print_runs
    from sosmooth.interchange.log_layout import column_names
    from sosmooth.interchange.logs import import_log as imported

    at = chosen_radii(radii)
    run = imported(
        file,
        out,
        method=method,
        sigma=sigma,
        n=n,
        alpha=alpha,
        dimension=dimension,
        n0=n0,
        columns=None if columns is None else column_names(columns),
        norm=norm,
        note=lambda line: say(f"note: {file}: {line}"),
    )
    print_runs([run], as_json=json, radii=at)
    return 0


def export(
    run: RunFolder,
    *,
    format: Annotated[
        Literal["tsv"],
        Parameter(help="tsv: the columns that analysis scripts of published code read."),
    ] = "tsv",
    out: Annotated[Path | None, Parameter(help="File.", show_default="standard output")] = None,
) -> int:
    """Write a run as a text table, radii rounded down."""
    from sosmooth.cli._summary import opened
    from sosmooth.interchange.export import export_tsv

    export_tsv(opened(run), out or sys.stdout)
    return 0


def report(
    *runs: RunFolder,
    out: Annotated[
        Path, Parameter(help="HTML file; its figures are written to a folder beside it.")
    ] = Path("report.html"),
    data: Annotated[
        str | None, Parameter(help="The inputs, to show them; bundled ones are found.")
    ] = None,
    model: Annotated[
        str | None, Parameter(help="The classifier, to draw its gradient; bundled ones are found.")
    ] = None,
    pictures: Annotated[
        Whole,
        Parameter(help="Number of inputs to show with noisy copies and the gradient's direction."),
    ] = 12,
) -> int:
    """Draw one page about runs: what they found, plots, and all inputs in a table."""
    from sosmooth.cli._advice import advise_on_inputs
    from sosmooth.cli._pictures import inputs_of, noisy_pictures
    from sosmooth.cli._summary import opened
    from sosmooth.report.html import write_report

    if not runs:
        raise ValueError("report needs at least one run folder")
    if pictures < 0:
        raise ValueError(f"--pictures must be 0 or more; got {pictures}")
    found = [opened(run) for run in runs]
    inputs = inputs_of(found, data)
    if inputs is None:
        advise_on_inputs(found[0])
    noisy = noisy_pictures(found, inputs, model, pictures) if inputs else None
    page, *figures = write_report(
        found,
        out,
        inputs=(lambda index: inputs.get([index])[0]) if inputs else None,
        features=None if inputs is None else inputs.feature_names,
        texts=None if inputs is None else inputs.texts,
        noisy=noisy,
    )
    print(page)
    print(figures[0].parent)
    return 0


def compare(
    baseline: RunFolder, other: RunFolder, *, radii: Radii = None, json: Json = False
) -> int:
    """Compare two runs input by input, with 95 % intervals of the differences."""
    from sosmooth.cli._comparison import comparison_numbers, print_comparison
    from sosmooth.cli._summary import opened

    at = chosen_radii(radii)
    runs = opened(baseline), opened(other)
    if json:
        print_json(comparison_numbers(*runs, at))
    else:
        print_comparison(*runs, at)
    return 0


def validate(run: RunFolder, *, json: Json = False) -> int:
    """Check a run: files, counts, and every radius against its counts."""
    from sosmooth.cli._summary import opened
    from sosmooth.tasks.validate import validate_run

    findings = validate_run(run)
    complete = not findings and opened(run).complete
    if json:
        found = {"valid": not findings, "complete": complete, "findings": findings}
        print_json({"run": str(run)} | found)
    else:
        print("\n".join(findings) or f"{run}: valid")
    return 1 if findings else 0

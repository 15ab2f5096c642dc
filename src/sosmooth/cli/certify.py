"""Commands that run a classifier: certify, predict."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sosmooth._progress import duration, progress
from sosmooth.cli._advice import (
    advise_after,
    advise_on_alpha,
    advise_on_answers,
    advise_on_samples,
    advise_on_units,
)
from sosmooth.cli._classifier import opened_pair
from sosmooth.cli._interruption import said_if_interrupted
from sosmooth.cli._options import (
    ALL_INPUTS,
    AS_IT_IS,
    CERTIFICATE,
    WHERE,
    Alpha,
    Calling,
    ClassesName,
    CurvatureName,
    Data,
    DirectionName,
    Json,
    MethodName,
    Model,
    NormName,
    Out,
    Radii,
    Seed,
    Sigma,
    Which,
    Whole,
    WholeOrNone,
    chosen_radii,
)
from sosmooth.cli._output import (
    Column,
    for_people,
    name_classes,
    print_json,
    print_rows,
    print_wrapped,
    say,
)

EngineName = Literal["local", "ray"]
_CERTIFICATE, _WHERE = Parameter(group=CERTIFICATE), Parameter(group=WHERE)


def certify(
    *,
    model: Model,
    data: Data,
    sigma: Sigma,
    out: Out,
    method: Annotated[MethodName | None, _CERTIFICATE] = None,
    n: Annotated[
        Whole,
        Parameter(name="--n", help="Estimation samples per input, in classifier evaluations."),
        _CERTIFICATE,
    ] = 100_000,
    n0: Annotated[
        Whole, Parameter(name="--n0", help="Selection samples per input."), _CERTIFICATE
    ] = 100,
    alpha: Annotated[Alpha, _CERTIFICATE] = 0.001,
    classes: Annotated[ClassesName | None, _CERTIFICATE] = None,
    radius: Annotated[
        float | None,
        Parameter(help="Stop when it is decided whether this radius can be certified."),
        _CERTIFICATE,
    ] = None,
    tolerance: Annotated[
        float | None,
        Parameter(help="Stop when more samples could not raise the radius by more."),
        _CERTIFICATE,
    ] = None,
    curvature: Annotated[
        CurvatureName,
        Parameter(help="Draw the curvature where it is likely to pay, everywhere, or nowhere."),
        _CERTIFICATE,
    ] = "auto",
    norm: Annotated[NormName, _CERTIFICATE] = "l2",
    direction: Annotated[
        DirectionName,
        Parameter(
            help="Where look_ahead's axis comes from: the scores, the samples, or, with 50 000"
            " samples or more, the scores where they have gradients."
        ),
        _CERTIFICATE,
    ] = "auto",
    seed: Annotated[Seed, _CERTIFICATE] = 0,
    which: Which = ALL_INPUTS,
    calling: Calling = AS_IT_IS,
    engine: Annotated[
        EngineName,
        _WHERE,
        Parameter(
            help="local: this process, or processes of this machine; ray: the machines of a Ray"
            " cluster."
        ),
    ] = "local",
    workers: Annotated[
        WholeOrNone,
        _WHERE,
        Parameter(
            help="Worker processes; for ray, at most so many.",
            show_default="one for each GPU, or for each CPU of the cluster; none for local on a"
            " CPU",
        ),
    ] = None,
    address: Annotated[
        str | None,
        _WHERE,
        Parameter(help="HOST:PORT of the Ray cluster, or auto.", show_default="this machine's"),
    ] = None,
    accept_other_environment: Annotated[
        bool,
        _WHERE,
        Parameter(
            negative="",
            show_default=False,
            help="Resume a run that was started with another torch, sosmooth, CPU or GPU.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Print what would be done and how long it would take.",
        ),
    ] = False,
    radii: Radii = None,
    json: Json = False,
) -> int:
    """Certify inputs into a run; the same command resumes it."""
    from sosmooth.cli._summary import print_runs
    from sosmooth.datasets import load_dataset
    from sosmooth.methods import DEFAULT_METHOD
    from sosmooth.request import Request
    from sosmooth.tasks.certify import rehearse
    from sosmooth.workers.engines import check_engine

    check_engine(engine, workers, address)
    at = chosen_radii(radii)
    inputs = load_dataset(data)
    request = Request(
        method=method or DEFAULT_METHOD,
        n0=n0,
        n=n,
        alpha=alpha,
        seed=seed,
        classes=classes,
        radius=radius,
        tolerance=tolerance,
        curvature=curvature,
        norm=norm,
        direction=direction,
    )
    smoothing = calling.smoothing(sigma, inputs)
    chosen = which.of(inputs).in_run(out)
    if not json:
        advise_on_units(inputs, sigma)
        advise_on_alpha(alpha)
    classifier, inputs = opened_pair(model, inputs, calling, sigma=sigma)
    size = calling.batch_size
    if dry_run:
        found = rehearse(
            classifier, inputs, request, smoothing, indices=chosen.indices, batch_size=size
        )
        return _show_rehearsal(found, as_json=json)
    with _pool(classifier, smoothing, engine, workers, address) as pool:
        run, failed = certify_with_progress(
            out,
            classifier,
            inputs,
            request,
            smoothing,
            indices=chosen.indices,
            choice=chosen.said,
            batch_size=size,
            pool=pool,
            accept_other_environment=accept_other_environment,
        )
    print_runs([run], as_json=json, radii=at)
    if not json and not failed:
        advise_after(run)
    return report_failures(failed)


def predict(
    *,
    model: Model,
    data: Data,
    sigma: Sigma,
    n: Annotated[Whole, Parameter(name="--n", help="Samples an input.")] = 1000,
    alpha: Alpha = 0.001,
    seed: Seed = 0,
    which: Which = ALL_INPUTS,
    calling: Calling = AS_IT_IS,
    json: Json = False,
) -> int:
    """Predict by the smoothed classifier: a class, −1 for none.

    None: the samples do not settle it. No radius comes with it; `certify` gives one.
    """
    from sosmooth.datasets import load_dataset
    from sosmooth.tasks.opening import smoothed_classifier

    inputs = load_dataset(data)
    chosen = which.of(inputs).indices
    classifier, inputs = opened_pair(model, inputs, calling, sigma=sigma)
    smoothed = smoothed_classifier(
        classifier, inputs, calling.smoothing(sigma, inputs), batch_size=calling.batch_size
    )
    with progress(len(chosen) * n, f"predicting {len(chosen)} inputs") as advance:
        predicted = smoothed.predict(
            inputs.get(chosen), n=n, alpha=alpha, seed=seed, progress=advance
        )
    rows: list[dict[str, Any]] = [
        {"index": index, "prediction": int(prediction), "label": int(inputs.labels[index])}
        for index, prediction in zip(chosen, predicted, strict=True)
    ]
    name_classes(rows, ("prediction", "label"), inputs.class_names)
    if json:
        print_json(rows)
    else:
        advise_on_samples(n, alpha)
        advise_on_alpha(alpha)
        advise_on_answers(
            inputs.labels[chosen], predicted, classifier.num_classes, inputs.class_names
        )
        _print_predictions(rows)
    return 0


def _print_predictions(rows: list[dict[str, Any]]) -> None:
    undecided, unknown = {"-1": "undecided"}, {"-1": "unknown"}
    columns = [
        Column("index", "input"),
        Column("prediction", "class", words=undecided),
        Column("label", "label", words=unknown),
    ]
    if "prediction_name" in rows[0]:
        columns += [
            Column("prediction_name", "class name", is_text=True),
            Column("label_name", "label's name", is_text=True),
        ]
    print_rows(columns, rows)
    if for_people():
        known = [row for row in rows if row["label"] >= 0]
        right = sum(row["prediction"] == row["label"] for row in known)
        open_ = sum(row["prediction"] < 0 for row in rows)
        print_wrapped(f"{right} of {len(known)} as labelled, {open_} of {len(rows)} undecided")


@contextmanager
def _pool(classifier, smoothing, engine: str, workers: int | None, address: str | None):
    """The workers that were asked for; None where the sampling happens in this process."""
    from sosmooth.workers.engines import open_pool, workers_wanted
    from sosmooth.workers.worker import worker_setup

    if not workers_wanted(engine, workers, smoothing.device):
        yield None
        return
    setup = worker_setup(classifier, replace(smoothing, num_classes=classifier.num_classes))
    # Standard output is for the result alone; Ray prints there what its machines have to say.
    with (
        redirect_stdout(sys.stderr),
        open_pool(engine, setup, workers=workers, address=address, notice=_notice) as pool,
    ):
        yield pool


def _notice(line: str) -> None:
    say(f"sosmooth: {line}")


def certify_with_progress(out, classifier, inputs, request, smoothing, *, indices, **others):
    """Certify into `out` with progress on standard error; arguments as for `certify_run`."""
    from sosmooth.tasks.certify import certify_run

    def resumed(stored: int) -> None:
        advance.stored(stored * request.evaluations)
        doing = "continuing" if stored < len(indices) else "nothing is left to do"
        _notice(f"{stored} of {len(indices)} inputs are stored, {doing}")

    evaluations = len(indices) * request.evaluations
    with (
        said_if_interrupted(lambda: _stored_in(out)),
        progress(evaluations, f"{request.method}, {len(indices)} inputs") as advance,
    ):
        return certify_run(
            out,
            classifier,
            inputs,
            request,
            smoothing,
            indices=indices,
            progress=advance,
            resumed=resumed,
            notice=_notice,
            **others,
        )


def _stored_in(out: Path) -> str:
    from sosmooth.runs import RunError, load_run

    try:
        run = load_run(out)
    except RunError:
        return "no input is stored yet; run the same command again to start over"
    return (
        f"{len(run)} of {run.inputs} inputs are stored in {out}; run the same command again to"
        " resume"
    )


def report_failures(failed) -> int:
    """Why inputs failed, those that failed for the same reason in one line; the exit code."""
    alike: dict[str, list] = {}
    for failure in failed:
        alike.setdefault(failure.reason, []).append(failure)
    for same in alike.values():
        others = f" ({len(same)} inputs failed like this)" if len(same) > 1 else ""
        say(f"sosmooth: {same[0].message}{others}")
    return 1 if failed else 0


def _show_rehearsal(found: dict, *, as_json: bool) -> int:
    if as_json:
        print_json(found)
    else:
        columns = [Column("name", "", is_text=True), Column("value", "", is_text=True)]
        print_rows(columns, [{"name": name, "value": value} for name, value in _words(found)])
    return 0


def _words(found: dict) -> Iterator[tuple[str, object]]:
    """A rehearsal, with words on a terminal."""
    from sosmooth.report.summary import whole
    from sosmooth.results import COMPARED

    if not for_people():
        yield from found.items()
        return
    yield "inputs", whole(found["inputs"])
    yield "method", found["method"]
    yield "compared with", COMPARED[found["classes"]]
    yield "evaluations", whole(found["evaluations"])
    yield "batch size", whole(found["batch_size"])
    yield "samples a second", whole(found["samples_per_second"])
    yield "time on this machine, by one process", duration(found["seconds"])

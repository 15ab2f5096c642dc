"""Commands that run a classifier: demo, certify, predict, train."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sosmooth.cli._options import Alpha, Data, Json, MethodName, Model, Out, Seed, Sigma, chosen_indices

Indices = Annotated[str | None, Parameter(help="Inputs by number: numbers and slices, as in 0,7,100:200,0:10000:10.")]
Skip = Annotated[int, Parameter(help="Of these, every K-th.")]
Max = Annotated[int | None, Parameter(name="--max", help="Of these, at most K.")]
Device = Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps.")]
NumClasses = Annotated[int | None, Parameter(help="Number of classes, where the classifier returns labels.")]
BatchSize = Annotated[int | None, Parameter(help="Evaluations at once; found by itself where not given.")]


def certify(
    *,
    model: Model,
    data: Data,
    sigma: Sigma,
    out: Out,
    method: MethodName | None = None,
    n: Annotated[int, Parameter(name="--n", help="Estimation samples an input, in classifier evaluations.")] = 100_000,
    n0: Annotated[int, Parameter(name="--n0", help="Selection samples an input.")] = 100,
    alpha: Alpha = 0.001,
    seed: Seed = 0,
    indices: Indices = None,
    skip: Skip = 1,
    limit: Max = None,
    batch_size: BatchSize = None,
    num_classes: NumClasses = None,
    device: Device = "cpu",
    dry_run: Annotated[bool, Parameter(negative="", help="Say what would be done, and how long it would take.")] = False,
    json: Json = False,
) -> int:
    """Certify inputs into a run; the same line again goes on where it was."""
    from sosmooth.classifiers.load import open_classifier
    from sosmooth.datasets import load_dataset
    from sosmooth.methods import DEFAULT_METHOD
    from sosmooth.runs.certifying import CertifySettings, certify_run, rehearse

    inputs = load_dataset(data)
    settings = CertifySettings(
        sigma=sigma,
        method=method or DEFAULT_METHOD,
        n=n,
        n0=n0,
        alpha=alpha,
        seed=seed,
        indices=chosen_indices(len(inputs), indices, skip, limit),
        device=device,
        num_classes=num_classes,
    )
    classifier = open_classifier(model, sigma=sigma)
    if dry_run:
        return _show_rehearsal(rehearse(classifier, inputs, settings, batch_size=batch_size), as_json=json)
    return _certify_and_show([(settings, out)], classifier, inputs, certify_run, batch_size=batch_size, as_json=json)


def demo(
    *,
    out: Annotated[Path, Parameter(help="Folder of the runs and the report.")] = Path("demo"),
    images: Annotated[int, Parameter(help="Number of test images, spread over the 10 000.")] = 200,
    n: Annotated[int, Parameter(name="--n", help="Samples an image.")] = 100_000,
    sigma: Sigma = 0.25,
) -> int:
    """Certify handwritten digits by every method, in about two minutes, and draw the comparison."""
    from sosmooth.classifiers.load import open_classifier
    from sosmooth.datasets import load_dataset
    from sosmooth.methods import METHODS
    from sosmooth.report.html import write_report
    from sosmooth.runs import load_run
    from sosmooth.runs.certifying import CertifySettings, certify_run

    inputs = load_dataset("mnist7")
    if not 1 <= images <= len(inputs):
        raise ValueError(f"--images must be between 1 and {len(inputs)}; got {images}")
    classifier = open_classifier("mnist7", sigma=sigma)
    chosen = list(range(0, len(inputs), len(inputs) // images))[:images]
    jobs = [
        (CertifySettings(sigma=sigma, method=method, n=n, n0=100, alpha=0.001, seed=0, indices=chosen), out / method)
        for method in METHODS
    ]
    failed = _certify_and_show(jobs, classifier, inputs, certify_run, batch_size=None, as_json=False)
    written = write_report([load_run(path) for _, path in jobs], out / "report.html", inputs=lambda index: inputs.get([index])[0])
    print(f"\nLook at {written[0].resolve()}")
    return failed


def predict(
    *,
    model: Model,
    data: Data,
    sigma: Sigma,
    n: Annotated[int, Parameter(name="--n", help="Samples an input.")] = 1000,
    alpha: Alpha = 0.001,
    seed: Seed = 0,
    indices: Indices = None,
    skip: Skip = 1,
    limit: Max = None,
    batch_size: BatchSize = None,
    num_classes: NumClasses = None,
    device: Device = "cpu",
    json: Json = False,
) -> int:
    """Predict by the smoothed classifier: a class for each input, −1 where the samples do not settle it."""
    from sosmooth.classifiers.load import open_classifier
    from sosmooth.datasets import load_dataset
    from sosmooth.runs.certifying import smoothed_classifier

    inputs = load_dataset(data)
    chosen = chosen_indices(len(inputs), indices, skip, limit)
    classifier = open_classifier(model, sigma=sigma)
    smoothed = smoothed_classifier(classifier, inputs, sigma=sigma, num_classes=num_classes, batch_size=batch_size, device=device)
    predicted = smoothed.predict(inputs.get(chosen), n=n, alpha=alpha, seed=seed)
    rows = [
        {"index": index, "prediction": int(prediction), "label": int(inputs.labels[index])}
        for index, prediction in zip(chosen, predicted, strict=True)
    ]
    if json:
        _print_json(rows)
    else:
        print("index\tprediction\tlabel")
        for row in rows:
            print(f"{row['index']}\t{row['prediction']}\t{row['label']}")
    return 0


def train(
    data: Annotated[str, Parameter(help="Data set: mnist7.")],
    *,
    sigma: Sigma,
    out: Annotated[Path | None, Parameter(help="Weights file; default: DATA_sigma_S.safetensors here.")] = None,
    epochs: Annotated[int | None, Parameter(help="Passes over the training images.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    json: Json = False,
) -> int:
    """Train a classifier with Gaussian noise of this sigma."""
    from sosmooth.classifiers.training import train_dataset

    out = out or Path(f"{data}_sigma_{sigma:.2f}.safetensors")
    metadata = train_dataset(
        data, sigma=sigma, out=out, epochs=epochs, seed=seed, device=device, on_epoch=lambda line: print(line, file=sys.stderr)
    )
    if json:
        _print_json(metadata | {"weights": str(out)})
    else:
        print(f"{out}: " + ", ".join(f"{name} {value}" for name, value in metadata.items()))
    return 0


def _certify_and_show(jobs, classifier, inputs, certify_run, *, batch_size: int | None, as_json: bool) -> int:
    """Certify each (settings, folder) in turn with progress, then print the summary. The exit code."""
    from sosmooth.cli._progress import progress
    from sosmooth.cli._summary import print_runs

    runs, failures = [], []
    for settings, out in jobs:
        evaluations = len(settings.indices) * (settings.n0 + settings.n)
        with progress(evaluations, f"certifying {len(settings.indices)} inputs, {settings.method}") as advance:
            run, failed = certify_run(out, classifier, inputs, settings, batch_size=batch_size, progress=advance)
        runs.append(run)
        failures += failed
    print_runs(runs, as_json=as_json)
    for failure in failures:
        print(f"sosmooth: {failure.message}", file=sys.stderr)
    return 1 if failures else 0


def _show_rehearsal(found: dict, *, as_json: bool) -> int:
    if as_json:
        _print_json(found)
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' ')}: {value}")
    return 0


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, default=str))

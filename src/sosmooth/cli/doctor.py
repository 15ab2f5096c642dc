"""The command that checks whether installation and classifier are fit to certify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sosmooth.cli._classifier import opened_pair
from sosmooth.cli._flags import with_flags
from sosmooth.cli._options import Architecture, Calling, Json, Output, SingleScore, WholeOrNone
from sosmooth.cli._output import print_json, print_wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sosmooth.classifiers.loaded import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.diagnosis import Finding

# Inputs of which noisy copies are made.
_INPUTS = 16
# Inputs on whose noisy copies it is judged, if there is time.
_JUDGED = 200


def doctor(
    *,
    model: Annotated[str | None, Parameter(help="Classifier to examine, as for `certify`.")] = None,
    data: Annotated[
        str | None, Parameter(help="Its inputs; for a bundled classifier those of its name.")
    ] = None,
    sigma: Annotated[float | None, Parameter(help="Noise level, in units of the inputs.")] = None,
    num_classes: Annotated[
        WholeOrNone, Parameter(help="Number of classes, if the classifier returns labels.")
    ] = None,
    architecture: Architecture = None,
    output: Output = None,
    single_score: SingleScore = None,
    device: Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    json: Json = False,
) -> int:
    """Check the installation and, with --model, a classifier.

    A classifier must be one fixed function, whatever the batch that an input is in. How good it is
    under noise is printed too.

    Exit code 1 where something is broken.
    """
    from sosmooth.diagnosis import Status, examine_installation

    if model is None:
        examined = examine_installation()
    else:
        calling = Calling(
            num_classes=num_classes,
            architecture=architecture,
            output=output,
            single_score=single_score,
            device=device,
        )
        examined = _with_classifier(model, data, sigma, calling)
    findings = []
    for finding in examined:
        findings.append(finding)
        if not json:
            print_wrapped(
                f"{finding.status:8} {finding.name}: {with_flags(finding.text)}", indent=9
            )
    broken = any(finding.status is Status.BROKEN for finding in findings)
    if json:
        print_json({"broken": broken, "findings": [vars(finding) for finding in findings]})
    return 1 if broken else 0


def _with_classifier(
    model: str, data: str | None, sigma: float | None, calling: Calling
) -> Iterator[Finding]:
    from sosmooth.datasets import load_dataset
    from sosmooth.datasets.load import DATASETS
    from sosmooth.diagnosis import Finding, Status, examine_classifier, examine_installation
    from sosmooth.sampling.evaluator import ClassifierError

    if sigma is None or not 0 < sigma < float("inf"):
        raise ValueError(
            f"--model needs --sigma, a positive noise level in units of the inputs; got {sigma}"
        )
    if data is None and model not in DATASETS:
        raise ValueError("--model needs --data: the inputs of the classifier")
    inputs = load_dataset(data or model)
    yield from examine_installation()
    try:
        classifier, inputs = opened_pair(model, inputs, calling, sigma=sigma)
    except ClassifierError as error:
        yield Finding("classifier", Status.BROKEN, str(error))
        return
    broken = False
    for finding in examine_classifier(
        classifier.classifier,
        inputs.get(list(range(min(len(inputs), _INPUTS)))),
        sigma=sigma,
        num_classes=classifier.num_classes,
        device=calling.device,
    ):
        broken |= finding.status is Status.BROKEN
        yield finding
    if not broken:
        yield from _under_noise(classifier, inputs, sigma, calling.device)


def _under_noise(
    classifier: LoadedClassifier, inputs: InputSet, sigma: float, device: str
) -> Iterator[Finding]:
    """How good the classifier is on inputs spread over the data."""
    import numpy as np

    from sosmooth.under_noise import answers_under_noise, findings_under_noise

    if classifier.num_classes is None or not len(inputs):
        return
    # In an order that makes any first part of them a fair sample.
    order = np.random.default_rng(0).permutation(len(inputs))[:_JUDGED]
    found = answers_under_noise(
        classifier.classifier,
        lambda which: inputs.get(order[which].tolist()),
        inputs.labels[order],
        sigma=sigma,
        num_classes=classifier.num_classes,
        device=device,
    )
    yield from findings_under_noise(found, classifier.num_classes)

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

    from sosmooth.diagnosis import Finding

# Inputs of which noisy copies are made.
_INPUTS = 16


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

    A classifier must be one fixed function, whatever the batch that an input is in.

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
    yield from examine_classifier(
        classifier.classifier,
        inputs.get(list(range(min(len(inputs), _INPUTS)))),
        sigma=sigma,
        num_classes=classifier.num_classes,
        device=calling.device,
    )

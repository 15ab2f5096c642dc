"""Opening the classifier and the data that a stored run was made with, and refusing others."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sosmooth.request import Smoothing
from sosmooth.runs.files import RunError
from sosmooth.runs.manifest import indices_described_by
from sosmooth.runs.run import Run
from sosmooth.sampling.execution import Execution
from sosmooth.tasks.opening import smoothed_classifier
from sosmooth.tasks.pairing import as_recorded

if TYPE_CHECKING:
    from sosmooth.classifiers.load import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.smoothed import SmoothedClassifier


def smoothed_as_recorded(
    run: Run, classifier: LoadedClassifier, inputs: InputSet, *, device: str | None = None
) -> SmoothedClassifier:
    """The smoothed classifier that a run certified, with its sigma, noise and execution.

    Args:
        run: the run.
        classifier: that of the run.
        inputs: those of the run.
        device: where it runs; None: the CPU.
    """
    stored = run.manifest
    chosen = {
        one.name: stored.settings[one.name]
        for one in fields(Execution)
        if one.name in stored.settings
    }
    smoothing = Smoothing(
        stored.settings["sigma"],
        stored.num_classes,
        device or "cpu",
        stored.settings.get("lattice"),
        Execution(**chosen),
    )
    return smoothed_classifier(classifier, inputs, smoothing, batch_size=stored.batch_size)


def recorded_specs(run: Run) -> tuple[str | None, str | None]:
    """The specs of the classifier and of the data of a run; None where the run does not say."""
    model, data = (_record(run, name).get("spec") for name in ("model", "data"))
    return (model if isinstance(model, str) else None), (data if isinstance(data, str) else None)


# What may identify a classifier.
_DIGESTS = ("weights_sha256", "file_sha256", "source_sha256")


def check_same(run: Run, classifier: LoadedClassifier, inputs: InputSet) -> InputSet:
    """Refuse a classifier or data that the run was not made with.

    The digests decide, not the names: files may have moved. `check_same_answers` finds differences
    that digests do not cover.

    Args:
        run: the run.
        classifier: as `open_classifier` returns it.
        inputs: the data set.

    Returns:
        The inputs as they were paired with the classifier for the run.

    Raises:
        RunError: the digests of the classifier or of the inputs differ, or the run records none.
    """
    recorded = _record(run, "model")
    nameless = all(recorded.get(name) is None for name in _DIGESTS) and not run.manifest.answers
    if nameless or "inputs" not in run.manifest.digests:
        raise RunError(
            f"{run.path} does not record its classifier or its data (it was imported, or the"
            " classifier has no file); certify the inputs again, with a classifier from a file"
        )
    _check_settings(run, classifier, ["normalization", "denoiser"])
    return check_same_inputs(run, inputs)


def check_same_classifier(run: Run, classifier: LoadedClassifier) -> None:
    """Refuse a classifier with other digests or settings than the run records.

    The settings are its normalization, denoiser, output, and how its single score is read.

    Args:
        run: the run.
        classifier: with every setting known.

    Raises:
        RunError: they differ.
    """
    _check_settings(run, classifier, ["normalization", "denoiser", "output", "single_score"])


def _check_settings(run: Run, classifier: LoadedClassifier, names: list[str]) -> None:
    recorded = _record(run, "model")
    digests = [name for name in _DIGESTS if recorded.get(name) is not None]
    for name in (*digests, *names):
        if classifier.settings.get(name) != recorded.get(name):
            raise RunError(
                f"{run.path} was made with another classifier: its {name} is {recorded.get(name)},"
                f" that of {classifier.settings['spec']!r} is {classifier.settings.get(name)}; give"
                " the classifier of the run"
            )


def check_same_inputs(run: Run, inputs: InputSet) -> InputSet:
    """Refuse inputs whose digest is not the one that the run records.

    Args:
        run: the run.
        inputs: the data set.

    Returns:
        The inputs as they were paired with the classifier for the run.

    Raises:
        RunError: the digest differs.
    """
    try:
        inputs = as_recorded(run, inputs)
        digest = inputs.digest(indices_described_by(run.manifest.settings["indices"]))
    except (IndexError, ValueError) as error:
        raise RunError(
            f"{run.path} was made with other data than {inputs.name}: {error}; give the data of the"
            " run"
        ) from None
    if digest != run.manifest.digests.get("inputs"):
        raise RunError(
            f"{run.path} was made with other data than {inputs.name}: the digests of its inputs and"
            " labels differ; give the data of the run"
        )
    return inputs


def _record(run: Run, name: str) -> dict[str, Any]:
    """What the manifest records of the classifier (`model`) or the data (`data`)."""
    value = run.manifest.settings.get(name)
    return value if isinstance(value, dict) else {}

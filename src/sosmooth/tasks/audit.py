"""Attacks on a stored run: how close to its certified radii adversarial points are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import ABSTAINED
from sosmooth.runs.files import RunError
from sosmooth.runs.manifest import indices_described_by
from sosmooth.runs.run import Run
from sosmooth.sampling.execution import Execution
from sosmooth.tasks.certify import settled_classifier, smoothed_classifier
from sosmooth.tasks.pairing import as_recorded
from sosmooth.tasks.recognition import check_same_answers

if TYPE_CHECKING:
    from sosmooth.attacks.smoothed_pgd import AttackSettings
    from sosmooth.classifiers.load import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.smoothed import SmoothedClassifier


@dataclass(frozen=True)
class Audit:
    """What attacks on certified inputs of a run found; arrays (inputs,), in the run's order.

    Attributes:
        index, prediction, radius: of the certificates; input units.
        closest: distance of the closest adversarial point found, input units, `inf` where none was found.
        found: its class, −1 where none was found.
        judged: points judged. inside: how many of them, within the radius, had another class.
        alpha: failure probability of each certificate.
    """

    index: NDArray[np.int64]
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]
    closest: NDArray[np.float64]
    found: NDArray[np.int64]
    judged: NDArray[np.int64]
    inside: NDArray[np.int64]
    alpha: float

    def __len__(self) -> int:
        return len(self.index)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Closest adversarial distance by certified radius: at least 1 where the certificate holds, 1 where it is tight."""
        return self.closest / self.radius

    @property
    def broken(self) -> int:
        """Certificates with an adversarial point inside the radius."""
        return int(np.sum(self.inside > 0))

    @property
    def expected_failures(self) -> float:
        """Failing certificates that alpha allows, in expectation: inputs times alpha."""
        return len(self) * self.alpha


def audit_run(
    run: Run,
    classifier: LoadedClassifier,
    inputs: InputSet,
    *,
    limit: int | None = 20,
    settings: AttackSettings | None = None,
    device: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Attack certified inputs of a run, just inside and outside their radii.

    Args:
        run: its certified inputs with a finite radius are attacked, the first `limit` of them (None: all).
        classifier, inputs: those that the run was made with; checked.
        settings: of the attack. device: where it runs; None: the CPU.
        progress: called with 1 after each input.
    Returns:
        One element an attacked input; abstentions are skipped.
    Raises:
        RunError: the run was made with another classifier or other data, or does not say with which; it certifies nothing.
        ClassifierError: the classifier raised or gave no vote.
    Guarantee:
        An adversarial point is reported wrongly with probability at most `judge_alpha` a judgement. What is not found may exist.
    """
    from torch import as_tensor

    from sosmooth.attacks.smoothed_pgd import attack

    inputs = check_same(run, classifier, inputs)
    radius, prediction = run["radius"], run["prediction"]
    chosen = np.flatnonzero((prediction != ABSTAINED) & (radius > 0) & np.isfinite(radius))[:limit]
    if not len(chosen):
        raise RunError(
            f"{run.path} certifies no input, so there is nothing to attack; audit a run that certifies some"
        )
    classifier = settled_classifier(
        classifier, inputs, run.manifest.num_classes, batch_size=run.manifest.batch_size
    )
    check_same_classifier(run, classifier)
    smoothed = smoothed_as_recorded(run, classifier, inputs, device=device)
    check_same_answers(run, smoothed, inputs)
    found = []
    for row in chosen:
        x = as_tensor(inputs.get([int(run["index"][row])])[0])
        found.append(attack(smoothed, x, int(prediction[row]), float(radius[row]), settings))
        if progress is not None:
            progress(1)
    return Audit(
        index=run["index"][chosen],
        prediction=prediction[chosen],
        radius=radius[chosen],
        closest=np.array([one.closest for one in found]),
        found=np.array([one.found for one in found], dtype=np.int64),
        judged=np.array([one.judged for one in found], dtype=np.int64),
        inside=np.array([one.inside for one in found], dtype=np.int64),
        alpha=run.manifest.settings["alpha"],
    )


def smoothed_as_recorded(
    run: Run, classifier: LoadedClassifier, inputs: InputSet, *, device: str | None = None
) -> SmoothedClassifier:
    """The smoothed classifier that a run certified: its sigma, its noise, and the classifier called in the same way.

    Args:
        run, classifier, inputs: as for `audit_run`. device: None: the CPU.
    """
    stored = run.manifest
    chosen = {
        one.name: stored.settings[one.name]
        for one in fields(Execution)
        if one.name in stored.settings
    }
    return smoothed_classifier(
        classifier,
        inputs,
        sigma=stored.settings["sigma"],
        num_classes=stored.num_classes,
        batch_size=stored.batch_size,
        device=device or "cpu",
        lattice=stored.settings.get("lattice"),
        execution=Execution(**chosen),
    )


def recorded_specs(run: Run) -> tuple[str | None, str | None]:
    """What was written for the classifier and for the data when the run was made; None where the run does not say."""
    model, data = (_record(run, name).get("spec") for name in ("model", "data"))
    return (model if isinstance(model, str) else None), (data if isinstance(data, str) else None)


# What may identify a classifier.
_DIGESTS = ("weights_sha256", "file_sha256", "source_sha256")


def check_same(run: Run, classifier: LoadedClassifier, inputs: InputSet) -> InputSet:
    """Refuse a classifier or data that the run was not made with.

    The digests decide, not the names: files may have moved. `check_same_answers` sees what digests
    do not.

    Returns:
        The inputs as they were paired with the classifier for the run.
    Raises:
        RunError: the digests of the classifier or of the inputs differ, or the run records none.
    """
    recorded = _record(run, "model")
    nameless = all(recorded.get(name) is None for name in _DIGESTS) and not run.manifest.answers
    if nameless or "inputs" not in run.manifest.digests:
        raise RunError(
            f"{run.path} does not say which classifier or data it is of (it was imported, or the classifier has no file);"
            " certify the inputs again, with a classifier from a file"
        )
    _check_settings(run, classifier, ["normalization"])
    return check_same_inputs(run, inputs)


def check_same_classifier(run: Run, classifier: LoadedClassifier) -> None:
    """Refuse a classifier whose digests, of those that the run records, or another setting differ.

    The settings are its normalisation, its output, and how its single score is read.

    Raises:
        RunError: they differ.
    """
    _check_settings(run, classifier, ["normalization", "output", "single_score"])


def _check_settings(run: Run, classifier: LoadedClassifier, names: list[str]) -> None:
    recorded = _record(run, "model")
    digests = [name for name in _DIGESTS if recorded.get(name) is not None]
    for name in (*digests, *names):
        if classifier.settings.get(name) != recorded.get(name):
            raise RunError(
                f"{run.path} was made with another classifier: its {name} is {recorded.get(name)}, that of"
                f" {classifier.settings['spec']!r} is {classifier.settings.get(name)}; give the one of the run by --model"
            )


def check_same_inputs(run: Run, inputs: InputSet) -> InputSet:
    """Refuse inputs whose digest is not the one that the run records.

    Returns:
        The inputs as they were paired with the classifier for the run.
    Raises:
        RunError: it differs.
    """
    try:
        inputs = as_recorded(run, inputs)
        digest = inputs.digest(indices_described_by(run.manifest.settings["indices"]))
    except (IndexError, ValueError) as error:
        raise RunError(
            f"{run.path} was made with other data than {inputs.name}: {error}; give that of the run by --data"
        ) from None
    if digest != run.manifest.digests.get("inputs"):
        raise RunError(
            f"{run.path} was made with other data than {inputs.name}: the digests of its inputs and labels differ; give that of"
            " the run by --data"
        )
    return inputs


def _record(run: Run, name: str) -> dict[str, Any]:
    """What the manifest records of the classifier or the data."""
    value = run.manifest.settings.get(name)
    return value if isinstance(value, dict) else {}

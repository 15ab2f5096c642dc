"""Attacks on a stored run: how close to its certified radii the class is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import ABSTAINED
from sosmooth.runs.files import RunError
from sosmooth.runs.run import Run
from sosmooth.tasks.opening import settled_classifier
from sosmooth.tasks.recognition import check_same_answers
from sosmooth.tasks.recorded import check_same, check_same_classifier, smoothed_as_recorded

if TYPE_CHECKING:
    from sosmooth.attacks.lost_class import LookSettings
    from sosmooth.attacks.smoothed_pgd import AttackSettings
    from sosmooth.classifiers.load import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet


# The measured distances of an input take about as long as so many searches of the attack.
_MEASURING = 4


@dataclass(frozen=True)
class Audit:
    """What attacks on certified inputs of a run found; arrays (inputs,), in the run's order.

    Attributes:
        index: of the inputs.
        prediction: of the certificates.
        radius: of the certificates, input units.
        closest: distance of the closest adversarial point found, input units; `inf` where none was
            found.
        found: its class, −1 where none was found.
        judged: points judged.
        inside: how many of them, within the radius, had another class.
        along_gradient: distance at which the class is measured to be lost along −∇p, input units;
            `inf` where it was not found.
        along_worst: the same along the worst direction found.
        alpha: failure probability of each certificate.
        look_alpha: failure probability of the two distances of an input.
    """

    index: NDArray[np.int64]
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]
    closest: NDArray[np.float64]
    found: NDArray[np.int64]
    judged: NDArray[np.int64]
    inside: NDArray[np.int64]
    along_gradient: NDArray[np.float64]
    along_worst: NDArray[np.float64]
    alpha: float
    look_alpha: float

    def __len__(self) -> int:
        return len(self.index)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Closest adversarial distance over radius: at least 1 where the certificate holds."""
        return self.closest / self.radius

    @property
    def lost(self) -> NDArray[np.float64]:
        """The smaller distance at which the class is measured to be lost."""
        return np.minimum(self.along_gradient, self.along_worst)

    @property
    def reached(self) -> NDArray[np.float64]:
        """Certified radius over that distance: how much of it is certified; 0 where it is `inf`."""
        return self.radius / self.lost

    @property
    def median_reached(self) -> float:
        """The median of that over the inputs."""
        return float(np.median(self.reached))

    @property
    def fails(self) -> NDArray[np.bool_]:
        """Where another class, or the loss of this one, was found within the radius."""
        return (self.inside > 0) | (self.lost <= self.radius)

    @property
    def broken(self) -> int:
        """Certificates that fail."""
        return int(np.sum(self.fails))

    @property
    def expected_failures(self) -> float:
        """Failing certificates that alpha allows, in expectation: inputs times alpha."""
        return len(self) * self.alpha


def attackable(run: Run, limit: int | None) -> NDArray[np.int64]:
    """The rows of the certified inputs with a finite radius, which can be attacked.

    Args:
        run: the run.
        limit: of these the first ones, at most so many; None: all.
    """
    radius = run["radius"]
    certified = (run["prediction"] != ABSTAINED) & (radius > 0) & np.isfinite(radius)
    return np.flatnonzero(certified)[:limit]


def searches(settings: AttackSettings) -> int:
    """What the progress of one input adds up to.

    Args:
        settings: of the attack.
    """
    return len(settings.sizes) + _MEASURING


def audit_run(
    run: Run,
    classifier: LoadedClassifier,
    inputs: InputSet,
    *,
    limit: int | None = 20,
    settings: AttackSettings | None = None,
    looks: LookSettings | None = None,
    device: str | None = None,
    progress: Callable[[int], None] = lambda searches: None,
) -> Audit:
    """Attack certified inputs of a run, just inside and outside their radii.

    Args:
        run: its certified inputs with a finite radius are attacked.
        classifier: the one that the run was made with; checked.
        inputs: those that the run was made with; checked.
        limit: inputs attacked at most; None: all.
        settings: of the attack.
        looks: of the distances at which the class is lost.
        device: where it runs; None: the CPU.
        progress: called with the number of searches just done or found unnecessary; they add up to
            `searches(settings)` for each input.

    Returns:
        One element an attacked input; abstentions are skipped.

    Raises:
        RunError: the run was made with another classifier or other data, or does not say with
            which; or it certifies nothing.
        ClassifierError: the classifier raised or gave no vote.

    Guarantee:
        An adversarial point is reported wrongly with probability at most `judge_alpha` for each
        judgement. Points that are not found may exist. For each input, the class is lost at both
        measured distances with probability at least 1 − `look_alpha`: where the certificate
        compares it with one half, its probability is at most that, else another class is ahead.
    """
    from torch import as_tensor

    from sosmooth.attacks.lost_class import LookSettings, lost_class
    from sosmooth.attacks.smoothed_pgd import attack

    if run.norm != "l2":
        raise RunError(
            f"{run.path} holds {run.norm} radii, and the attack searches l2 balls; certify it again"
            " in l2 (recertify --norm l2), and audit that run"
        )
    inputs = check_same(run, classifier, inputs)
    radius, prediction = run["radius"], run["prediction"]
    chosen = attackable(run, limit)
    if not len(chosen):
        raise RunError(
            f"{run.path} certifies no input, so there is nothing to attack; audit a run that"
            " certifies some"
        )
    classifier = settled_classifier(
        classifier, inputs, run.manifest.num_classes, batch_size=run.manifest.batch_size
    )
    check_same_classifier(run, classifier)
    smoothed = smoothed_as_recorded(run, classifier, inputs, device=device)
    check_same_answers(run, smoothed.sampler, inputs)
    looks = looks or LookSettings()
    classes = run.manifest.settings.get("classes", "top")
    found, lost = [], []
    for row in chosen:
        x, label = as_tensor(inputs.get([int(run["index"][row])])[0]), int(prediction[row])
        found.append(attack(smoothed, x, label, float(radius[row]), settings, progress=progress))
        lost.append(lost_class(smoothed, x, label, classes=classes, settings=looks))
        progress(_MEASURING)
    return Audit(
        index=run["index"][chosen],
        prediction=prediction[chosen],
        radius=radius[chosen],
        closest=np.array([one.closest for one in found]),
        found=np.array([one.found for one in found], dtype=np.int64),
        judged=np.array([one.judged for one in found], dtype=np.int64),
        inside=np.array([one.inside for one in found], dtype=np.int64),
        along_gradient=np.array([one.along_gradient for one in lost]),
        along_worst=np.array([one.along_worst for one in lost]),
        alpha=run.manifest.settings["alpha"],
        look_alpha=looks.alpha,
    )

"""Opening a classifier for a data set: its number of classes, its output, and its smoothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sosmooth.tasks.pairing import with_columns

if TYPE_CHECKING:
    from sosmooth.classifiers.load import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.request import Smoothing
    from sosmooth.smoothed import SmoothedClassifier


def settled_classifier(
    classifier: LoadedClassifier,
    inputs: InputSet,
    num_classes: int | None,
    *,
    batch_timeout: float | None = None,
    batch_size: int | None = None,
) -> LoadedClassifier:
    """The classifier with every setting known, after one evaluation of two of the data's inputs.

    Args:
        classifier: as `open_classifier` returns it.
        inputs: the data set.
        num_classes: as the user gave it; None: taken from the classifier, its output, or the data.
        batch_timeout: as for `SmoothedClassifier`.
        batch_size: as for `SmoothedClassifier`.

    Raises:
        As `classifiers.settled.settled`.
    """
    import torch

    from sosmooth.classifiers.settled import settled

    if classifier.settled:
        return classifier
    inputs, _ = with_columns(classifier, inputs)
    return settled(
        classifier,
        torch.as_tensor(inputs.get([0, len(inputs) - 1])),
        num_classes=num_classes,
        likely_classes=inputs.num_classes,
        batch_timeout=batch_timeout,
        batch_size=batch_size,
    )


def settled_smoothing(
    classifier: LoadedClassifier,
    inputs: InputSet,
    smoothing: Smoothing,
    *,
    batch_size: int | None = None,
) -> tuple[LoadedClassifier, Smoothing]:
    """The classifier with every setting known, and its smoothing with the number of classes.

    Args:
        classifier: as `open_classifier` returns it.
        inputs: the data set.
        smoothing: sigma, device, noise; `num_classes` None: as in `settled_classifier`.
        batch_size: as for `SmoothedClassifier`.
    """
    classifier = settled_classifier(
        classifier,
        inputs,
        smoothing.num_classes,
        batch_timeout=smoothing.batch_timeout,
        batch_size=batch_size,
    )
    return classifier, replace(smoothing, num_classes=classifier.num_classes)


def smoothed_classifier(
    classifier: LoadedClassifier,
    inputs: InputSet,
    smoothing: Smoothing,
    *,
    batch_size: int | None = None,
) -> SmoothedClassifier:
    """The smoothed classifier of a loaded one.

    Args:
        classifier: as `open_classifier` returns it.
        inputs: the data set.
        smoothing: sigma, device, noise; `num_classes` None: as in `settled_classifier`.
        batch_size: as for `SmoothedClassifier`.
    """
    from sosmooth.smoothed import SmoothedClassifier

    classifier, known = settled_smoothing(classifier, inputs, smoothing, batch_size=batch_size)
    arguments: dict[str, Any] = vars(known)
    return SmoothedClassifier(classifier.classifier, **arguments, batch_size=batch_size)

"""Opening the classifier and the inputs that a command is given, so that they fit together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sosmooth.cli._flags import with_flags
from sosmooth.cli._output import say

if TYPE_CHECKING:
    from sosmooth.classifiers.loaded import LoadedClassifier
    from sosmooth.cli._options import Calling
    from sosmooth.datasets.inputs import InputSet


def opened_pair(
    model: str, inputs: InputSet, calling: Calling, *, sigma: float
) -> tuple[LoadedClassifier, InputSet]:
    """The classifier, after one evaluation, and the inputs with its columns and class numbers.

    Prints one line for each thing that was chosen or assumed for the user.
    """
    from sosmooth.classifiers.class_names import named, read_class_names
    from sosmooth.classifiers.load import open_classifier, with_architecture
    from sosmooth.tasks.opening import settled_classifier
    from sosmooth.tasks.pairing import paired

    names = None if calling.class_names is None else read_class_names(calling.class_names)
    known = inputs.num_classes if names is None else len(names)
    found = open_classifier(
        with_architecture(model, calling.architecture),
        sigma=sigma,
        normalize=calling.normalize,
        output=calling.output,
        single_score=calling.single_score,
        denoiser=calling.denoiser,
        num_classes=calling.num_classes or known,
    )
    if names is not None:
        found = named(found, names)
    _say(inputs.notes)  # before the evaluation: they may explain why it fails
    found = settled_classifier(
        found,
        inputs,
        calling.num_classes,
        batch_timeout=calling.timeout,
        batch_size=calling.batch_size,
    )
    if names is not None:
        found = named(found, names)  # now that the number of classes is known
    pair = paired(found, inputs, found.num_classes)
    _say((*found.notes, *pair.notes))
    return found, pair.inputs


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"sosmooth: note: {with_flags(note)}")

"""The classifier that a command is given, with nothing left open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sosmooth.cli._flags import with_flags

if TYPE_CHECKING:
    from sosmooth.classifiers.loaded import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet


def opened_classifier(
    model: str,
    inputs: InputSet,
    *,
    sigma: float,
    normalize: str | None = None,
    output: str | None = None,
    single_score: str | None = None,
    num_classes: int | None = None,
    batch_timeout: float | None = None,
    batch_size: int | None = None,
) -> LoadedClassifier:
    """The classifier, after one evaluation; what was chosen for the user is said in one line each."""
    from sosmooth.classifiers.load import open_classifier
    from sosmooth.runs.certifying import settled_classifier

    opened = open_classifier(
        model,
        sigma=sigma,
        normalize=normalize,
        output=output,
        single_score=single_score,
        num_classes=num_classes or inputs.num_classes,
    )
    found = settled_classifier(
        opened, inputs, num_classes, batch_timeout=batch_timeout, batch_size=batch_size
    )
    for note in found.notes:
        print(f"note: {with_flags(note)}", file=sys.stderr)
    return found

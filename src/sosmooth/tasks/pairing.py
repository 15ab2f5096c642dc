"""A data set as a classifier takes it: columns in its order, labels in its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sosmooth.datasets.columns import in_order
from sosmooth.datasets.labels import reconcile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sosmooth.classifiers.loaded import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.runs.run import Run


@dataclass(frozen=True)
class Paired:
    """What `paired` returns.

    Attributes:
        inputs: as the classifier takes them. Pairing them again changes nothing.
        class_names: names of the labels; None where neither classifier nor data name them.
        notes: what was assumed, a line each; `inputs.notes` has what the loader assumed.
    """

    inputs: InputSet
    class_names: tuple[str, ...] | None
    notes: tuple[str, ...]


def with_columns(
    classifier: LoadedClassifier, inputs: InputSet
) -> tuple[InputSet, tuple[str, ...]]:
    """The inputs with their columns in the order that the classifier was fitted with.

    Args:
        classifier: as `open_classifier` returns it.
        inputs: the data set.

    Returns:
        The inputs, and what was assumed, a line each.

    Raises:
        ValueError: the data have other columns.
    """
    wanted = classifier.settings.get("features")
    return (inputs, ()) if wanted is None else in_order(inputs, wanted)


def paired(classifier: LoadedClassifier, inputs: InputSet, num_classes: int | None) -> Paired:
    """The inputs as the classifier takes them.

    Args:
        classifier: as `open_classifier` returns it.
        inputs: the data set.
        num_classes: of the classifier; None: unknown.

    Raises:
        ValueError: the data have columns or names of classes that the classifier does not have.
    """
    from sosmooth.classifiers.class_names import class_names_of

    inputs, notes = with_columns(classifier, inputs)
    found = _with_labels(inputs, class_names_of(classifier), num_classes)
    return replace(found, notes=(*notes, *found.notes))


def as_recorded(run: Run, inputs: InputSet) -> InputSet:
    """The inputs as they were paired with the classifier when the run was made.

    Args:
        run: the run.
        inputs: the data set.

    Raises:
        ValueError: they have other columns, or classes that the run does not name.
    """
    data = run.manifest.settings.get("data")
    wanted = data.get("features") if isinstance(data, dict) else None
    if isinstance(wanted, list) and inputs.feature_names is not None:
        inputs, _ = in_order(inputs, wanted)
    return _with_labels(inputs, run.manifest.class_names, run.manifest.num_classes).inputs


def _with_labels(inputs: InputSet, names: Sequence[str] | None, num_classes: int | None) -> Paired:
    found = reconcile(
        inputs.labels,
        inputs.class_names,
        names,
        num_classes,
        data_classes=inputs.num_classes,
        data=inputs.name,
    )
    settings, count = dict(inputs.settings), inputs.num_classes
    if found.names is not None:
        settings["classes"], count = list(found.names), len(found.names)
    elif len(inputs.class_names or ()) == 1:  # one name tells no label, so labels are unknown
        del settings["classes"]
        count = None
    changed = replace(inputs, labels=found.labels, num_classes=count, settings=settings)
    return Paired(changed, found.names, found.notes)

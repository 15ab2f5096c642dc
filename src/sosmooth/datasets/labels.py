"""Labels as the classifier numbers its classes.

This is the one place where the classes of the data meet those of the classifier. Numbers follow
names if both sides have names; every other assumption is reported in a note.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth.datasets.inputs import UNKNOWN_LABEL

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_SHOWN = 8  # names listed in one line


@dataclass(frozen=True)
class Reconciled:
    """Labels in the classifier's numbers.

    Attributes:
        labels: int64 (length,), −1 = unknown.
        names: of the classes, in the order of the numbers; None where they are unknown.
        notes: what was assumed, a line each.
    """

    labels: NDArray[np.int64]
    names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def whole_number(text: str) -> int | None:
    """The whole number in a text, as 7, 007 or 7.0; None if it is no whole number."""
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped) or len(stripped) > 100:
        return None
    return int(stripped.partition(".")[0])


def numbered(written: Sequence[str | None]) -> tuple[tuple[str, ...] | None, NDArray[np.int64]]:
    """Labels as they are written in a file: whole numbers, or names numbered in sorted order.

    Args:
        written: one per input; empty or None = unknown.

    Returns:
        The names (None if the labels are numbers), and the labels, int64 (length,).

    Raises:
        ValueError: a number that 64 bits do not hold.
    """
    texts = ["" if each is None else each.strip() for each in written]
    known = [text for text in texts if text]
    numbers = [whole_number(text) for text in known]
    if None not in numbers:
        of_text = dict(zip(known, numbers, strict=True)) | {"": UNKNOWN_LABEL}
        try:
            return None, np.array([of_text[text] for text in texts], dtype=np.int64)
        except OverflowError as error:
            raise ValueError(
                "labels must be numbers of classes, from 0, or names;"
                f" got one of more than 64 bits ({error})"
            ) from error
    names = tuple(sorted(set(known)))
    place = {name: number for number, name in enumerate(names)} | {"": UNKNOWN_LABEL}
    return names, np.array([place[text] for text in texts], dtype=np.int64)


def labels_in(array: NDArray | None, data: str) -> tuple[tuple[str, ...] | None, NDArray | None]:
    """The names of the classes, if an array of labels holds names, and the labels in one axis.

    Args:
        array: labels (length,) or (length, 1); None: unknown.
        data: the name of the data, for messages.

    Raises:
        ValueError: numbers that 64 bits do not hold. The input set checks other types.
    """
    if array is None:
        return None, None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    is_text = array.dtype.kind == "U" or (
        array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat)
    )
    if not is_text or array.ndim != 1:
        return None, array
    try:
        return numbered(array.tolist())
    except (ValueError, SystemError) as error:  # the latter by NumPy, for invalid code points
        raise ValueError(f"{data}: {error}") from error


def reconcile(
    labels: ArrayLike,
    data_names: Sequence[str] | None,
    classifier_names: Sequence[str] | None,
    num_classes: int | None,
    *,
    data_classes: int | None = None,
    data: str = "the data",
) -> Reconciled:
    """The labels in the classifier's numbers.

    Args:
        labels: integers (length,), −1 = unknown, as the data number them.
        data_names: the data's name of each number; None: no names.
        classifier_names: the classifier's name of each number; None: no names.
        num_classes: of the classifier; None: unknown.
        data_classes: of the data; None: unknown.
        data: the name of the data, for messages.

    Returns:
        If both sides have names, label k becomes the classifier's number of the data's k-th name.
        Names are the same if they are equal, or if only case, spaces and underscores differ and
        that leaves no choice. Otherwise the labels do not change.

    Raises:
        ValueError: a label in use has a name that the classifier does not know, or knows twice.
    """
    given = np.asarray(labels, dtype=np.int64)
    if classifier_names is not None and _are_numbers(classifier_names):
        return _by_number(given, data_names, classifier_names, num_classes, data_classes, data)
    if data_names is not None and classifier_names is not None:
        return _by_name(given, data_names, classifier_names, data)
    if data_names is not None:
        return _named_by_data_alone(given, data_names, num_classes, data)
    notes = _notes_on_numbers(given, num_classes, data_classes, data)
    if classifier_names is None:
        return Reconciled(given, None, notes)
    if np.any(given != UNKNOWN_LABEL):
        taken = ", ".join(
            f"{number} for {name!r}" for number, name in enumerate(classifier_names[:3])
        )
        notes = (
            f"{data} numbers its labels and the classifier names its {len(classifier_names)}"
            f" classes: {taken}{' and so on' * (len(classifier_names) > 3)}; if that is wrong,"
            " write the names as labels",
            *notes,
        )
    return Reconciled(given, tuple(classifier_names), notes)


def check_range(
    labels: NDArray[np.int64], indices: Sequence[int], num_classes: int, data: str
) -> None:
    """Refuse a label at `indices` for which the classifier has no class.

    Args:
        labels: int64 (length,).
        indices: of the labels that are used.
        num_classes: of the classifier.
        data: the name of the data, for messages.

    Raises:
        ValueError: there is such a label.
    """
    chosen = labels[list(indices)]
    if np.any(chosen >= num_classes):
        index = indices[int(np.argmax(chosen >= num_classes))]
        raise ValueError(
            f"{data}: the label of input {index} is {labels[index]}, but the classifier has"
            f" {num_classes} classes, numbered from 0; give the data that belong to this"
            " classifier, or name the classes of both"
        )


def listed(names: Sequence[object]) -> str:
    """The names, quoted; only the first ones if there are many."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, … ({len(names)})"


def _are_numbers(names: Sequence[str]) -> bool:
    return all(whole_number(name) is not None for name in names)


def _by_name(
    labels: NDArray[np.int64], data_names: Sequence[str], names: Sequence[str], data: str
) -> Reconciled:
    if tuple(data_names) == tuple(names):
        return Reconciled(labels, tuple(names))
    places = _places(names)
    loose = _places([_loosely(name) for name in names])
    used = sorted({int(label) for label in labels[labels != UNKNOWN_LABEL]})
    target = np.full(max(used, default=0) + 1, UNKNOWN_LABEL, dtype=np.int64)
    unknown, twice, alike = [], [], {}
    for number in used:
        name = data_names[number] if number < len(data_names) else f"label {number}"
        found = places.get(name) or loose.get(_loosely(name), [])
        if len(found) == 1:
            target[number] = found[0]
            if names[found[0]] != name:
                alike[name] = names[found[0]]
        else:
            (twice if found else unknown).append(name)
    if unknown:
        raise ValueError(
            f"{data} has the classes {listed(unknown)}, which the classifier does not know; it has"
            f" {listed(names)}; give the classifier's names in its order, as the data write them"
            " (class_names=…), or labels as numbers (labels.csv)"
        )
    merged = [name for name in alike if list(alike.values()).count(alike[name]) > 1]
    merged += [name for name, same in alike.items() if same in {data_names[n] for n in used}]
    if twice or merged:
        raise ValueError(
            f"{data} has the classes {listed(twice + merged)}, each of which fits several names of"
            " the data or the classifier; give the classifier's names in its order, as the data"
            " write them (class_names=…)"
        )
    notes = ()
    if alike:
        mine, same = next(iter(alike.items()))
        notes = (
            f"the classifier spells {len(alike)} class names of {data} differently:"
            f" {mine!r} is taken for {same!r}",
        )
    moved = np.where(labels == UNKNOWN_LABEL, UNKNOWN_LABEL, target[np.maximum(labels, 0)])
    return Reconciled(moved, tuple(names), notes)


def _by_number(
    labels: NDArray[np.int64],
    data_names: Sequence[str] | None,
    names: Sequence[str],
    num_classes: int | None,
    data_classes: int | None,
    data: str,
) -> Reconciled:
    """The labels if the classifier's names are numbers: the data's numbers are these names."""
    numbers = [int(whole_number(name) or 0) for name in names]
    place = {number: index for index, number in enumerate(numbers)}
    if data_names is not None:
        found = [place.get(number) if (number := whole_number(name)) is not None else None
                 for name in data_names]  # fmt: skip
        if None not in found:
            return _by_name(labels, [names[index] for index in found if index is not None], names,
                            data)  # fmt: skip
        return _named_by_data_alone(labels, data_names, num_classes, data)
    notes = _notes_on_numbers(labels, num_classes, data_classes, data)
    if numbers == list(range(len(numbers))):
        return Reconciled(labels, None, notes)
    used = {int(label) for label in labels[labels != UNKNOWN_LABEL]}
    if unknown := sorted(used - place.keys()):
        raise ValueError(
            f"{data} has the labels {listed(unknown)}, which the classifier does not know; its"
            f" classes are {listed(numbers)}; give the data that belong to this classifier"
        )
    place[UNKNOWN_LABEL] = UNKNOWN_LABEL
    moved = np.array([place[int(label)] for label in labels], dtype=np.int64)
    return Reconciled(moved, tuple(names), notes)


def _named_by_data_alone(
    labels: NDArray[np.int64], data_names: Sequence[str], num_classes: int | None, data: str
) -> Reconciled:
    if len(data_names) == 1:
        return Reconciled(
            np.full_like(labels, UNKNOWN_LABEL),
            None,
            (
                f"{data} has only the class {data_names[0]!r}, which does not tell the"
                " classifier's number of it: labels are taken as unknown; give them in labels.csv,"
                " or name the classifier's classes (class_names=…)",
            ),
        )
    differ = num_classes is not None and num_classes != len(data_names)
    of_all = f" of its {num_classes}" if differ else ""
    note = (
        f"{data} names {len(data_names)} classes ({listed(data_names)}) and the classifier names"
        f" none: they are taken for its classes 0 to {len(data_names) - 1}{of_all}, in this order;"
        " if that is wrong, name the classifier's classes (class_names=…), or give labels as"
        " numbers (labels.csv)"
    )
    return Reconciled(labels, None if differ else tuple(data_names), (note,))


def _notes_on_numbers(
    labels: NDArray[np.int64], num_classes: int | None, data_classes: int | None, data: str
) -> tuple[str, ...]:
    known = labels[labels != UNKNOWN_LABEL]
    if len(known) and None is not data_classes != num_classes is not None:
        return (
            f"{data} has {data_classes} classes and the classifier {num_classes}, and neither has"
            " names: label k is taken for the classifier's class k",
        )
    if len(known) > 1 and not np.any(known) and (num_classes or 2) > 1:
        return (
            f"{data}: all {len(known)} labels are 0; if that is wrong, correct them (labels.csv)",
        )
    return ()


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(name, []).append(index)
    return places


def _loosely(name: str) -> str:
    number = whole_number(name)
    return (
        str(number) if number is not None else " ".join(name.replace("_", " ").casefold().split())
    )

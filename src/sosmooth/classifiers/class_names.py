"""The names of a classifier's classes: its own, or those that a file lists."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sosmooth.classifiers.loaded import LoadedClassifier

# What transformers writes where a model was given no names.
_PLACEHOLDER = re.compile(r"LABEL_\d+")


def class_names_of(classifier: LoadedClassifier) -> tuple[str, ...] | None:
    """The names of the classes, in the classifier's order; None if it has none."""
    classes = classifier.settings.get("classes")
    if classifier.num_classes not in (None, len(classes or ())):
        return None  # one score, which is read as two classes
    if not classes or all(_PLACEHOLDER.fullmatch(str(name)) for name in classes):
        return None
    return tuple(str(name) for name in classes)


def named(classifier: LoadedClassifier, names: Sequence[str]) -> LoadedClassifier:
    """The classifier with these names of its classes instead of its own.

    Args:
        classifier: as it was loaded.
        names: one for each class, in the classifier's order.

    Raises:
        ValueError: the classifier has another number of classes.
    """
    count = classifier.num_classes
    if count is not None and count != len(names):
        raise ValueError(
            f"{len(names)} class names are given and the classifier has {count} classes;"
            " give one name for each, in the classifier's order"
        )
    return replace(
        classifier,
        num_classes=len(names),
        settings={**classifier.settings, "classes": list(names)},
    )


def read_class_names(path: Path) -> list[str]:
    """The names in a file, in the order of the classifier's classes.

    Args:
        path: a JSON file: a list of names, an object {number: name} or {name: number}, or a
            config.json with `id2label`; or a CSV file with a column `name` and, if the names are
            not in order, a column `number`; or a text file with one name per line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no names, numbers that are not 0, 1, 2, …, a file of another kind.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; give one with one class name per line")
    try:
        text = path.read_text(encoding="utf-8-sig")
        suffix = path.suffix.lower()
        if suffix == ".json":
            names = _of_json(json.loads(text))
        elif suffix == ".csv":
            names = _of_csv(text)
        else:
            names = [line.strip() for line in text.splitlines()]
            while names and not names[-1]:
                names.pop()
    except (UnicodeDecodeError, csv.Error, RecursionError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} holds no class names ({error}); write one per line, or a JSON list of them"
        ) from error
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(
            f"{path} must hold one class name per line, none of them empty; it holds {len(names)}"
        )
    return names


def _of_json(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("id2label", value)
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"it is {type(value).__name__}, neither a list nor an object")
    if all(isinstance(number, int) for number in value.values()):
        value = {number: name for name, number in value.items()}
    return _in_order(list(value.items()))


def _of_csv(text: str) -> list[str]:
    rows = [row for row in csv.reader(text.splitlines(), strict=True) if any(row)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "name" not in header:
        if any(len(row) != 1 for row in rows):
            raise ValueError("its first line must name the columns number,name")
        return [row[0].strip() for row in rows]
    if any(len(row) != len(header) for row in rows):
        raise ValueError("its lines are not equally long")
    names = [row[header.index("name")].strip() for row in rows[1:]]
    if "number" not in header:
        return names
    return _in_order(
        list(zip([row[header.index("number")] for row in rows[1:]], names, strict=True))
    )


def _in_order(pairs: list[tuple[Any, Any]]) -> list[str]:
    found = {int(number): name for number, name in pairs}
    if sorted(found) != list(range(len(pairs))):
        raise ValueError("its numbers are not 0, 1, 2, … once each")
    return [found[number] for number in range(len(found))]

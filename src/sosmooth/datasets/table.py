"""Features in a CSV file."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets.inputs import InputSet, in_memory
from sosmooth.datasets.labels import numbered


def load(path: Path, options: str = "") -> InputSet:
    """The rows of a CSV file: float32 (batch, features), in the order of its columns; the first line names them.

    Sigma is one number for all features. They are taken as they are, so that they should have one scale; with `standardize` a
    feature x becomes `(x − mean) / std`, and sigma and radii count in standard deviations; the classifier must take them so.

    Args:
        path: the file. Labels are whole numbers, or else names, numbered from 0 in sorted order;
            an empty one is unknown. Empty lines are skipped.
        options: `label=COLUMN` (default: `label`; labels are unknown where there is none); `standardize=FILE.csv`: the file whose
            means and standard deviations (of the population) are taken, which should be the training data.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no table, values that are no finite numbers, other columns in the file of `standardize`, a constant feature.
    """
    asked = parse_options(options, {"label": "COLUMN", "standardize": "FILE.csv"})
    label = asked.get("label", "label")
    features, names, labels = _read(path, label)
    notes: tuple[str, ...] = ()
    if labels is None:
        if "label" in asked:
            raise ValueError(f"{path} has no column {label!r}; it has {', '.join(names)}")
        notes = (
            f"{path} has no column 'label': labels are unknown, and all of {', '.join(names)} are"
            " features; name another column of labels by ?label=COLUMN",
        )
    settings: dict[str, Any] = {"sha256": file_sha256(path)}
    settings["features"] = names
    if "standardize" in asked:
        source = Path(asked["standardize"])
        reference, columns, _ = _read(source, label)
        if sorted(columns) != sorted(names):
            raise ValueError(
                f"{source} has the features {', '.join(columns)}, {path} {', '.join(names)}; they must be the same"
            )
        reference = reference[:, [columns.index(name) for name in names]]
        mean, std = reference.mean(axis=0), reference.std(axis=0)
        if not std.all():
            raise ValueError(
                f"{source}: the feature {names[int(np.argmin(std))]!r} is constant; remove it from both files"
            )
        features = (features - mean) / std
        settings |= {"scaled": "(x − mean) / std", "mean": mean.tolist(), "std": std.tolist()}
    classes, numbers = (None, None) if labels is None else numbered(labels)
    if classes is not None:
        settings["classes"] = list(classes)
    made = in_memory(
        str(path),
        features,
        numbers,
        num_classes=None if classes is None else len(classes),
        settings=settings,
    )
    return replace(made, notes=notes)


def _read(path: Path, label: str) -> tuple[NDArray[np.float64], list[str], list[str] | None]:
    """Features, their names, and the labels as they are written."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a CSV file whose first line names its columns"
        )
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        try:  # empty lines are none; each other is kept with its number
            header, *lines = [(rows.line_num, row) for row in rows if row]
        except (ValueError, csv.Error, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is no CSV file with a first line that names its columns ({error})"
            ) from error
    header = header[1]
    if len(set(header)) < len(header):
        again = next(name for name in header if header.count(name) > 1)
        raise ValueError(f"{path}: the first line names the column {again!r} twice; rename one")
    place = header.index(label) if label in header else None
    names = [name for name in header if name != label]
    if not names:
        raise ValueError(f"{path} has no features, only the column {label!r}")
    values = []
    for number, line in lines:
        if len(line) != len(header):
            raise ValueError(
                f"{path}: line {number} has {len(line)} cells, the first line {len(header)};"
                " all must be as long"
            )
        values.append(
            [
                _number(path, number, name, cell)
                for column, (name, cell) in enumerate(zip(header, line, strict=True))
                if column != place
            ]
        )
    labels = None if place is None else [line[place] for _, line in lines]
    return np.array(values, dtype=np.float64).reshape(len(lines), len(names)), names, labels


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        what = "is empty" if not cell.strip() else f"holds {cell!r}"
        raise ValueError(
            f"{path}: line {line}: the column {column!r} {what}; features must be numbers,"
            " leave other columns and incomplete lines out"
        ) from None

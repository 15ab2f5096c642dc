"""Features in a CSV file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets._csv import CsvTable, read_csv
from sosmooth.datasets.inputs import InputSet, in_memory
from sosmooth.datasets.labels import numbered


def load(path: Path, options: str = "") -> InputSet:
    """The rows of a CSV file: float32 (batch, features), in the order of its columns.

    The first line names the columns. Sigma is one number for all features, so they should have one
    scale: they are used as they are. With `standardize`, a feature x becomes `(x − mean) / std`;
    sigma and radii are then in standard deviations, and the classifier must take such features.

    Args:
        path: the file. Labels are whole numbers, or else names, numbered from 0 in sorted order; an
            empty label is unknown. Empty lines are skipped.
        options: `label=COLUMN` (default: `label`; labels are unknown where there is no such
            column); `standardize=FILE.csv`: the file, usually the training data, whose means and
            standard deviations (of the population) are used.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no table, values that are no finite numbers, other columns in the file of
            `standardize`, a constant feature.
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
                f"{source} has the features {', '.join(columns)}, {path} {', '.join(names)}; both"
                " files must have the same"
            )
        reference = reference[:, [columns.index(name) for name in names]]
        mean, std = reference.mean(axis=0), reference.std(axis=0)
        if not std.all():
            raise ValueError(
                f"{source}: the feature {names[int(np.argmin(std))]!r} is constant; remove it from"
                " both files"
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
    """Features (rows, columns), their names, and the labels as they are written."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a CSV file whose first line names its columns"
        )
    table = read_csv(path)
    names = [name for name in table.columns if name != label]
    if not names:
        raise ValueError(f"{path} has no features, only the column {label!r}")
    values = [
        [
            _number(table, number, name, cell, labelled=label in table.columns)
            for name, cell in zip(table.columns, cells, strict=True)
            if name != label
        ]
        for number, cells in table.lines
    ]
    labels = table.column(label) if label in table.columns else None
    features = np.array(values, dtype=np.float64).reshape(len(values), len(names))
    return features, names, labels


def _number(table: CsvTable, line: int, column: str, cell: str, *, labelled: bool) -> float:
    try:
        return float(cell)
    except ValueError:
        what = "is empty" if not cell.strip() else f"holds {cell!r}"
        advice = "remove other columns and incomplete lines"
        first = line == table.lines[0][0]  # perhaps the whole column is like this
        if cell.strip() and first and column.isprintable():
            if not labelled:
                advice += f"; if it holds the labels, write {table.path}?label={column}"
            advice += f"; if it holds texts, write text:{table.path}?model=FOLDER&text={column}"
        raise ValueError(
            f"{table.path}: line {line}: the column {column!r} {what}; features must be numbers:"
            f" {advice}"
        ) from None

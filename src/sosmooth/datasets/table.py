"""Features in a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets.inputs import InputSet, in_memory


def load(path: Path, options: str = "") -> InputSet:
    """The rows of a CSV file: float32 (batch, features), in the order of its columns; the first line names them.

    Sigma is one number for all features. They are taken as they are, so that they should have one scale; with `standardize` a
    feature x becomes `(x − mean) / std`, and sigma and radii count in standard deviations; the classifier must take them so.

    Args:
        path: the file. Labels are whole numbers, or else names, numbered from 0 in sorted order.
        options: `label=COLUMN` (default: `label`; labels are unknown where there is none); `standardize=FILE.csv`: the file whose
            means and standard deviations (of the population) are taken, which should be the training data.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no table, values that are no finite numbers, other columns in the file of `standardize`, a constant feature.
    """
    asked = parse_options(options, {"label": "COLUMN", "standardize": "FILE.csv"})
    label = asked.get("label", "label")
    features, names, labels = _read(path, label)
    if "label" in asked and labels is None:
        raise ValueError(f"{path} has no column {label!r}; it has {', '.join(names)}")
    settings: dict[str, Any] = {"sha256": file_sha256(path)}
    settings["features"] = names
    if "standardize" in asked:
        source = Path(asked["standardize"])
        reference, columns, _ = _read(source, label)
        if columns != names:
            raise ValueError(
                f"{source} has the features {', '.join(columns)}, {path} {', '.join(names)}; they must be the same"
            )
        mean, std = reference.mean(axis=0), reference.std(axis=0)
        if not std.all():
            raise ValueError(
                f"{source}: the feature {names[int(np.argmin(std))]!r} is constant; remove it from both files"
            )
        features = (features - mean) / std
        settings |= {"scaled": "(x − mean) / std", "mean": mean.tolist(), "std": std.tolist()}
    classes, numbers = _numbered(labels)
    if classes is not None:
        settings["classes"] = classes
    return in_memory(
        str(path),
        features,
        numbers,
        num_classes=None if classes is None else len(classes),
        settings=settings,
    )


def _read(path: Path, label: str) -> tuple[NDArray[np.float64], list[str], list[str] | None]:
    """Features, their names, and the labels as they are written."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a CSV file whose first line names its columns"
        )
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        try:
            header, *lines = rows
        except (ValueError, csv.Error, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is no CSV file with a first line that names its columns ({error})"
            ) from error
    if len(set(header)) < len(header) or any(len(line) != len(header) for line in lines):
        raise ValueError(
            f"{path}: the first line must name each of the {len(header)} columns once, and all lines be as long"
        )
    place = header.index(label) if label in header else None
    names = [name for name in header if name != label]
    if not names:
        raise ValueError(f"{path} has no features, only the column {label!r}")
    try:
        values = [
            [float(value) for column, value in enumerate(line) if column != place] for line in lines
        ]
    except ValueError as error:
        raise ValueError(
            f"{path}: features must be numbers ({error}); leave other columns out"
        ) from error
    labels = None if place is None else [line[place] for line in lines]
    return np.array(values, dtype=np.float64).reshape(len(lines), len(names)), names, labels


def _numbered(labels: list[str] | None) -> tuple[list[str] | None, NDArray[np.int64] | None]:
    """The names of the classes, where they have names, and the labels as numbers."""
    if labels is None:
        return None, None
    try:
        return None, np.array([int(label) for label in labels], dtype=np.int64)
    except OverflowError as error:
        raise ValueError(
            f"labels must be numbers of a class, from 0 on, or names; got one of more than 64 bits ({error})"
        ) from error
    except ValueError:
        classes, numbers = np.unique(labels, return_inverse=True)
        return classes.tolist(), numbers

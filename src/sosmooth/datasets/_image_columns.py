"""Which columns of a table hold the images and their labels.

For Parquet files and Hugging Face data sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth.datasets.inputs import UNKNOWN_LABEL
from sosmooth.datasets.labels import numbered


def chosen_columns(
    name: str,
    columns: Sequence[str],
    asked: Mapping[str, str],
    *,
    images: Sequence[str],
    classes: Sequence[str],
) -> tuple[str, str | None, tuple[str, ...]]:
    """The column of the images, the column of the labels, and notes for the user.

    Args:
        name: of the table, for messages.
        columns: all columns.
        asked: the options `image` and `label`.
        images: the columns that hold images.
        classes: the columns that are declared to hold classes.

    Raises:
        ValueError: no such column, or several of one name.
    """
    has = f"{name} has the columns {', '.join(map(repr, columns))}"
    write = f"{name}?image=COLUMN&label=COLUMN"
    if len(set(columns)) < len(columns):
        raise ValueError(f"{has}: two of them have the same name; rename one of them")
    for option in ("image", "label"):
        if option in asked and asked[option] not in columns:
            raise ValueError(f"{has}, none is {asked[option]!r}; write {write}")
    image = asked.get("image") or _default("image", columns, images)
    if image is None:
        raise ValueError(
            f"{has}; name the column of the images: {write}; write csv:FILE for a table of features"
        )
    label = asked.get("label") or _default("label", columns, classes)
    if label is None:
        return image, None, (f"{has}: labels are unknown: no 'label' among them; write {write}",)
    if label == image:
        raise ValueError(f"{has}; {image!r} cannot hold both images and labels: write {write}")
    assumed = [
        f"the {what} are taken from {column!r}"
        for what, option, column in (("images", "image", image), ("labels", "label", label))
        if option not in asked and column != option
    ]
    return image, label, (f"{has}: {' and '.join(assumed)}",) if assumed else ()


def _default(name: str, columns: Sequence[str], fit: Sequence[str]) -> str | None:
    """The column of that name, or else the only one that fits."""
    if name in columns:
        return name
    return fit[0] if len(fit) == 1 else None


def labels_of(
    name: str, values: Sequence[Any], names: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, NDArray[np.int64]]:
    """The names of the classes, if there are any, and the labels of a column; null is unknown.

    Args:
        name: of the table, for messages.
        values: whole numbers, or names.
        names: what the numbers mean, if the table says so.

    Raises:
        ValueError: values of another kind, a number that 64 bits do not hold.
    """
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, str) for value in known):
        return numbered(values)
    for value in known:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{name}: labels must be integers or names; got {value!r}")
    try:
        labels = np.array(
            [UNKNOWN_LABEL if value is None else value for value in values], dtype=np.int64
        )
    except OverflowError as error:
        raise ValueError(f"{name}: a label has more than 64 bits ({error})") from error
    return None if names is None else tuple(names), labels

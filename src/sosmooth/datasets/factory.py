"""Data sets that a user's Python code makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._errors import one_line
from sosmooth._objects import load_object
from sosmooth.datasets.inputs import InputSet, in_memory, read_lazily
from sosmooth.datasets.labels import labels_in


def load(spec: str) -> InputSet:
    """The data set that a function makes, called without arguments.

    The function returns an `InputSet`, a torch `Dataset` of (tensor, label), or a pair
    (inputs, labels) of arrays, tensors or tables. The labels of a `Dataset` are its `targets` if it
    has them (the convention of torchvision); otherwise they are read from the items, once, at the
    start. If it has `classes`, they name the labels; if it has a `lattice`, that is used too.
    Labels of a pair are numbers or names; the columns of a table keep their names.

    Args:
        spec: `package.module:factory` or `path/file.py:factory`.

    Raises:
        FileNotFoundError: no such file or module.
        ValueError: no such attribute, a result of another kind; from `get`: an item whose label
            differs from the first reading.
    """
    factory, settings = load_object(spec)
    if not callable(factory):
        raise ValueError(
            f"{spec} must be a function without arguments that returns a data set; got"
            f" {type(factory).__name__}"
        )
    made: Any = factory()
    if isinstance(made, InputSet):
        return replace(made, settings={**made.settings, **settings})
    if isinstance(made, tuple) and len(made) == 2 and all(hasattr(part, "shape") for part in made):
        features = getattr(made[0], "columns", None)  # a table of pandas or polars has them
        if features is not None:
            settings["features"] = [str(name) for name in features]
        names, labels = labels_in(np.asarray(made[1]), spec)
        if names is not None:
            settings["classes"] = list(names)
        return in_memory(
            spec,
            np.asarray(made[0]),
            labels,
            num_classes=None if names is None else len(names),
            settings=settings,
        )
    if not (hasattr(made, "__len__") and hasattr(made, "__getitem__")):
        raise ValueError(
            f"{spec} returned {type(made).__name__}; it must return a torch Dataset with a length,"
            " an InputSet, or (inputs, labels)"
        )
    targets = getattr(made, "targets", None)
    length = len(made)
    labels = np.array(
        [_item(spec, made, i)[1] for i in range(length)]
        if targets is None
        else [int(t) for t in targets]
    )

    def read(index: int) -> NDArray:
        value, label = _item(spec, made, index)
        if label != labels[index]:
            raise ValueError(
                f"{spec}: item {index} has the label {label}, and had {labels[index]} before; make"
                " items repeatable"
            )
        return value

    classes = getattr(made, "classes", None)
    num_classes = None if classes is None else len(classes)
    if classes is not None and all(isinstance(name, str) for name in classes):
        settings["classes"] = list(classes)
    lattice = getattr(made, "lattice", None)
    return read_lazily(
        spec,
        read,
        labels,
        length=length,
        num_classes=num_classes,
        settings=settings,
        lattice=lattice,
    )


def _item(spec: str, dataset: Any, index: int) -> tuple[NDArray, int]:
    try:
        item = dataset[index]
    except Exception as error:  # the user's code may raise any
        raise ValueError(f"{spec}: item {index} raised {one_line(error)}") from error
    if not (isinstance(item, tuple | list) and len(item) == 2):
        raise ValueError(f"{spec}: item {index} must be (tensor, label); got {type(item).__name__}")
    value, label = item
    try:
        return np.asarray(value), int(label)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{spec}: item {index} must be (tensor on the CPU, integer label): {one_line(error)}"
        ) from error

"""Data sets that a user's Python code makes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sosmooth._objects import load_object
from sosmooth.datasets.given import given_inputs, is_batch
from sosmooth.datasets.inputs import InputSet


def load(spec: str) -> InputSet:
    """The data set that a function makes, called without arguments.

    The function returns an `InputSet`, a torch `Dataset` or what else `given_inputs` takes, or a
    pair (inputs, labels) of arrays, tensors or tables. The labels of a `Dataset` are its `targets`
    if it has them (the convention of torchvision); otherwise they are read from the items, once, at
    the start. If it has `classes`, they name the labels; if it has a `lattice`, that is used too.
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
    if isinstance(made, tuple) and len(made) == 2 and all(hasattr(part, "shape") for part in made):
        return given_inputs(made[0], made[1], name=spec, settings=settings)
    several = hasattr(made, "__getitem__") or isinstance(made, Iterable | InputSet)
    if is_batch(made) or isinstance(made, str | bytes) or not several:
        raise ValueError(
            f"{spec} returned {type(made).__name__}; it must return a torch Dataset with a length,"
            " an InputSet, or (inputs, labels)"
        )
    return given_inputs(made, name=spec, settings=settings)

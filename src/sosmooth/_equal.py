"""Whether two records of arrays hold the same values."""

from __future__ import annotations

from dataclasses import fields

import numpy as np


def same_values(one: object, other: object) -> bool:
    """Whether two objects of one dataclass are equal in every field that is compared.

    Arrays are equal where shapes and values are; NaN equals NaN.

    Args:
        one: an object of a dataclass.
        other: another object of it.
    """
    return all(
        _same(getattr(one, field.name), getattr(other, field.name))
        for field in fields(one)  # pyright: ignore[reportArgumentType]
        if field.compare
    )


def _same(one: object, other: object) -> bool:
    if not (isinstance(one, np.ndarray) or isinstance(other, np.ndarray)):
        return one == other
    if one is None or other is None:
        return False
    mine, theirs = np.asarray(one), np.asarray(other)
    floating = mine.dtype.kind == "f" and theirs.dtype.kind == "f"
    return np.array_equal(mine, theirs, equal_nan=floating)

"""Columns of a table in the order in which a classifier was fitted with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sosmooth.datasets.inputs import UNKNOWN_LABEL, InputSet

# Settings of a table with one value a feature, in the order of its columns.
_OF_EACH_FEATURE = ("features", "mean", "std")


def in_order(inputs: InputSet, wanted: Sequence[str]) -> tuple[InputSet, tuple[str, ...]]:
    """The inputs with their columns ordered as `wanted`, and what was assumed, a line each.

    Args:
        inputs: features of a table.
        wanted: the names of the features, in the order in which the classifier was fitted.

    Raises:
        ValueError: the table has other columns.
    """
    have = inputs.feature_names
    wanted = list(wanted)
    if have is None:
        return inputs, (
            f"{inputs.name} does not name its features; it is assumed that they are the"
            f" {len(wanted)} features that the classifier was fitted with, in this order:"
            f" {', '.join(wanted)}",
        )
    if list(have) == wanted:
        return inputs, ()
    if sorted(have) != sorted(wanted):
        lacking = [name for name in wanted if name not in have]
        further = [name for name in have if name not in wanted]
        alone = not lacking and len(further) == 1 and not np.any(inputs.labels != UNKNOWN_LABEL)
        raise ValueError(
            f"{inputs.name} has the features {', '.join(have)}; the classifier was fitted with"
            f" {', '.join(wanted)}"
            + (f"; lacking: {', '.join(lacking)}" if lacking else "")
            + (f"; not known to it: {', '.join(further)}" if further else "")
            + (
                f"; if {further[0]!r} holds the labels, write {inputs.name}?label={further[0]}"
                if alone
                else "; give a table with its features"
            )
        )
    order = [have.index(name) for name in wanted]
    settings = dict(inputs.settings)
    for name in _OF_EACH_FEATURE:
        if name in settings:
            settings[name] = [settings[name][place] for place in order]
    get = inputs.get
    return replace(inputs, get=lambda indices: get(indices)[:, order], settings=settings), ()

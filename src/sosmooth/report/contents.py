"""What an input holds that is no picture: the features of a row of a table, or a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth.report.inputs import Inputs

# More of them would make the page slow to open and to send.
_MOST_INPUTS, _MOST_FEATURES, _MOST_LETTERS = 2000, 64, 2000


def contents(
    inputs: Inputs,
    array_of: Callable[[int], NDArray] | None,
    features: Sequence[str] | None,
    texts: Sequence[str] | None,
) -> dict[str, Any] | None:
    """The texts or features of the first inputs, JSON-able; None where there are none.

    Args:
        inputs: of the runs; those of other data than the first run's are left out.
        array_of: index → the input; its features are shown if it has one axis.
        features: their names; None: their numbers, from 0.
        texts: of the inputs, by index; they are shown instead.
    """
    shown = [
        int(index) if data == 0 and place < _MOST_INPUTS else None
        for place, (index, data) in enumerate(zip(inputs.index, inputs.data, strict=True))
    ]
    if texts is not None:
        return {"texts": [None if index is None else _cut(texts[index]) for index in shown]}
    if array_of is None:
        return None
    rows = [None if index is None else np.asarray(array_of(index)) for index in shown]
    lengths = {len(row) for row in rows if row is not None and row.ndim == 1}
    if len(lengths) != 1 or any(row is not None and row.ndim != 1 for row in rows):
        return None
    (length,) = lengths
    names = [str(place) for place in range(length)] if features is None else list(features)
    return {
        "names": names[:_MOST_FEATURES],
        "left": max(length - _MOST_FEATURES, 0),
        "rows": [
            None if row is None else [f"{value:.6g}" for value in row[:_MOST_FEATURES].tolist()]
            for row in rows
        ],
    }


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"

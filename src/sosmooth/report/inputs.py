"""The inputs of several runs, each once: the rows of the page's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth.report.series import Series


@dataclass(frozen=True)
class Inputs:
    """The inputs that at least one run looked at.

    Attributes:
        name: the index; in data sets other than the first run's, with the number of the data set
            after a point: `17.2`.
        index: in the data set, int64 (inputs,).
        data: the number of the data set, 0 for that of the first run; int64 (inputs,).
        label: −1 where unknown, int64 (inputs,).
        row: the row of each input in each run, −1 where it has none; int64 (runs, inputs).
    """

    name: list[str]
    index: NDArray[np.int64]
    data: NDArray[np.int64]
    label: NDArray[np.int64]
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.name)


def every_input(series: Sequence[Series]) -> Inputs:
    """The inputs of the runs, by data set, then by index."""
    sets: list[object] = []
    where: dict[tuple[int, int], dict[int, int]] = {}
    for number, one in enumerate(series):
        data = one.settings.get("data")
        if data not in sets:
            sets.append(data)
        for row, index in enumerate(one.index.tolist()):
            where.setdefault((sets.index(data), index), {})[number] = row
    keys = sorted(where)
    rows = np.array([[where[key].get(number, -1) for key in keys] for number in range(len(series))])
    labels = [
        max(int(series[number].label[row]) for number, row in where[key].items()) for key in keys
    ]
    return Inputs(
        name=[f"{index}.{data + 1}" if data else str(index) for data, index in keys],
        index=np.array([index for _, index in keys]),
        data=np.array([data for data, _ in keys]),
        label=np.array(labels),
        row=rows,
    )

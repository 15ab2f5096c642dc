"""A part of a data set that stands for the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spread(labels: NDArray[np.int64], count: int, among: Sequence[int] | None = None) -> list[int]:
    """At most `count` inputs, spread evenly over the classes and over each class.

    Each class has its share of them, up to one input; where labels are unknown, they are spread
    over the data. Data are often sorted by class, so that the first inputs are of one class.

    Args:
        labels: true classes of all inputs, −1 = unknown, int64 (length,).
        count: at most so many, at least 1.
        among: the indices that are chosen from, distinct; None: all.

    Returns:
        Indices, in the order of `among`.

    >>> spread(np.array([0, 0, 0, 0, 1, 1, 2, 2]), 4)
    [1, 3, 5, 7]
    """
    indices = np.arange(len(labels)) if among is None else np.asarray(among, dtype=np.int64)
    if count >= len(indices):
        return indices.tolist()
    by_class = np.argsort(labels[indices], kind="stable")
    steps = (2 * np.arange(count) + 1) * len(indices) // (2 * count)
    return indices[np.sort(by_class[steps])].tolist()

"""Classifiers that take batches of certain sizes only, made to take any."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_batches(
    classify: Callable[[Tensor], Tensor], least: int, most: int | None
) -> Callable[[Tensor], Tensor]:
    """The classifier on batches of any size: long ones are split, short ones filled up with copies whose results are dropped.

    Args:
        classify: rows are classified independently of each other. least, most: sizes of its batches; None: no limit.
    """

    def classified(points: Tensor) -> Tensor:
        parts = points.split(most or len(points))
        results = [classify(_filled(part, least))[: len(part)] for part in parts]
        return results[0] if len(results) == 1 else torch.cat(results)

    return classified


def _filled(part: Tensor, least: int) -> Tensor:
    missing = least - len(part)
    return part if missing <= 0 else torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])

"""Classifiers that take batches of certain sizes only, made to take any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor


def in_batches(
    classify: Callable[[Tensor], Tensor],
    least: int,
    most: int | None,
    *,
    shape: Sequence[int | str | None],
) -> Callable[[Tensor], Tensor]:
    """The classifier on batches of any size.

    Long batches are split. Short ones are filled up with copies, whose results are dropped.

    Args:
        classify: classifies each row independently of the others.
        least: the smallest batch that it takes.
        most: the largest batch that it takes; None: no limit.
        shape: of one input; an axis that is no number may have any length.

    Raises:
        ValueError: from the returned function: inputs of another shape.
    """

    def classified(points: Tensor) -> Tensor:
        _check_shape(tuple(points.shape[1:]), tuple(shape))
        parts = points.split(most or len(points))
        results = [classify(_filled(part, least))[: len(part)] for part in parts]
        return results[0] if len(results) == 1 else torch.cat(results)

    return classified


def _filled(part: Tensor, least: int) -> Tensor:
    missing = least - len(part)
    return part if missing <= 0 else torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])


def _check_shape(found: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> None:
    def fits(each: tuple[int, ...]) -> bool:
        known = [(a, b) for a, b in zip(each, wanted, strict=False) if isinstance(b, int)]
        return len(each) == len(wanted) and all(a == b for a, b in known)

    if fits(found):
        return
    remedy = "give inputs of that shape"
    if len(found) == 3 and fits((*found[1:], found[0])):
        remedy = (
            "it has the channels last: export it with the channels first (tf2onnx has"
            " --inputs-as-nchw), or store the inputs with their channels last"
        )
    elif len(found) == 3 and fits((found[2], *found[:2])):
        remedy = "it has the channels first: store the inputs with their channels first"
    elif len(known := [each for each in wanted if isinstance(each, int)]) == len(wanted) and (
        prod(known) == prod(found)
    ):
        remedy = "it has as many values: store the inputs in that shape"
    raise ValueError(
        f"the model takes (batch, {', '.join(map(str, wanted))}), the inputs are"
        f" ({', '.join(map(str, found))}); {remedy}"
    )

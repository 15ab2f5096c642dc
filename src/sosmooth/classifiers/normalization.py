"""Normalisation as a part of the classifier: sigma and radii are then in units of the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Normalization:
    """`(x − mean) / std`, one value a channel (the axis after the batch) or one for all.

    Attributes:
        mean: finite.
        std: positive and finite, as many as there are means.

    Raises:
        ValueError: numbers that are not finite, an std that is not positive, another number of
            means than of stds.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self):
        values = (*self.mean, *self.std)
        if not (
            len(self.mean) == len(self.std) > 0
            and all(map(math.isfinite, values))
            and min(self.std) > 0
        ):
            raise ValueError(
                "a normalisation has as many means as stds, all finite, the stds positive; got"
                f" {self}; write MEAN/STD, as in 0.5/0.25"
            )

    def __str__(self) -> str:
        """As `parse_normalization` takes it: `0.485,0.456,0.406/0.229,0.224,0.225`."""
        return "/".join(",".join(map(repr, values)) for values in (self.mean, self.std))


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_NAMED = {"imagenet": IMAGENET, "none": None}


def parse_normalization(text: str) -> Normalization | None:
    """The normalisation that a text names.

    Args:
        text: `imagenet`; `none`; or means, a slash and stds, separated by commas: `0.5/0.25`,
            `0.5,0.5,0.5/0.2,0.2,0.2`.

    Raises:
        ValueError: another text.
    """
    if text in _NAMED:
        return _NAMED[text]
    try:
        mean, std = (tuple(float(value) for value in part.split(",")) for part in text.split("/"))
    except ValueError:
        raise ValueError(
            f"cannot read the normalisation {text!r}; write {', '.join(_NAMED)} or MEAN/STD, as in"
            " 0.5/0.25"
        ) from None
    return Normalization(mean, std)


class Normalized(nn.Module):
    """The classifier with a normalisation in front: `x ↦ classifier((x − mean) / std)`.

    Args:
        classifier: of normalised inputs.
        normalization: of each channel, or one for all.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Callable[[Tensor], Tensor], normalization: Normalization):
        super().__init__()
        self.classifier = classifier
        self.register_buffer("mean", torch.tensor(normalization.mean), persistent=False)
        self.register_buffer("std", torch.tensor(normalization.std), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        channels = len(self.mean)
        if channels not in (1, inputs.shape[1]):  # one channel would be broadcast to several
            raise ValueError(
                f"the normalisation is for {channels} channels; the inputs have {inputs.shape[1]}"
            )
        shape = (channels, *[1] * (inputs.ndim - 2))
        return self.classifier((inputs - self.mean.view(shape)) / self.std.view(shape))

"""A denoiser in front of a classifier that never saw noise: together they are a base classifier."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Denoised(nn.Module):
    """Denoised smoothing: `x ↦ classifier(denoiser(x))`.

    The certificate of the smoothed classifier holds for this function, whatever the denoiser does,
    as long as it is a fixed function: no random numbers, no dropout, no statistics of the batch.

    Args:
        denoiser: noisy inputs (batch, …) → clean ones of the same shape, in the same units.
        classifier: clean inputs → floating scores (batch, classes) or integer labels (batch,).

    Raises:
        ValueError: on a call, the denoiser returns another shape or kind.

    Source:
        Salman, Sun, Yang, Kapoor, Kolter 2020, "Denoised Smoothing", equation 2.
    """

    def __init__(
        self, denoiser: Callable[[Tensor], Tensor], classifier: Callable[[Tensor], Tensor]
    ):
        super().__init__()
        self.denoiser = denoiser
        self.classifier = classifier
        for name in ("num_classes", "input_shape"):
            if (known := getattr(classifier, name, None)) is not None:
                setattr(self, name, known)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores or labels of the denoised inputs; NaN or −1 where the denoiser is not finite.

        Args:
            inputs: noisy, (batch, …).
        """
        clean = self.denoiser(inputs)
        if not isinstance(clean, Tensor) or not clean.is_floating_point():
            kind = clean.dtype if isinstance(clean, Tensor) else type(clean).__name__
            raise ValueError(f"the denoiser must return a floating tensor; it returned {kind}")
        if clean.shape != inputs.shape:
            raise ValueError(
                f"the denoiser must return inputs of the same shape {tuple(inputs.shape)}; it"
                f" returned {tuple(clean.shape)}"
            )
        returned = self.classifier(clean)
        if not isinstance(returned, Tensor) or returned.shape[:1] != clean.shape[:1]:
            return returned  # refused, or read, like that of any classifier
        # A classifier may turn NaN into a class; such evaluations are no vote.
        broken = ~torch.isfinite(clean).flatten(1).all(1)
        broken = broken.view(-1, *[1] * (returned.ndim - 1))
        no_vote = torch.nan if returned.is_floating_point() else -1
        return returned.masked_fill(broken, no_vote)

"""How often a classifier is right under Gaussian noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BATCH = 2000


def accuracy(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    sigma: float = 0.0,
    repeats: int = 1,
    seed: int = 0,
    device: str = "cpu",
) -> float:
    """Fraction of the inputs, in [0, 1], that the model gives their label under noise.

    Args:
        model: floating inputs → scores; moved to `device` and put in eval mode.
        inputs: floating (length, *shape).
        labels: int64 (length,).
        sigma: of the noise, in units of the inputs; zero: none.
        repeats: the mean is over this many draws of the noise.
        seed: of the noise.
        device: where to compute.
    """
    model.to(device).eval()
    generator = torch.Generator(device).manual_seed(seed)
    right = 0
    with torch.inference_mode():
        for _ in range(repeats):
            for batch, wanted in zip(inputs.split(_BATCH), labels.split(_BATCH), strict=True):
                noise = sigma * torch.randn(batch.shape, generator=generator, device=device)
                right += int((model(batch.to(device) + noise).argmax(1) == wanted.to(device)).sum())
    return right / (repeats * len(inputs))

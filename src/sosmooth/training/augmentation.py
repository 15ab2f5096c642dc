"""Random crops and flips of a batch of images, drawn on its own device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PADDING = 4


def cropped_and_flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to four pixels each way and mirrored with probability ½.

    Zeros fill the border that a shift leaves. The mirror swaps left and right.

    Args:
        images: (batch, channels, height, width).
        generator: on the images' device.

    Returns:
        Images of the same shape.
    Source: the usual augmentation of CIFAR-10 (He et al. 2016, section 4.2).
    """
    count, _, height, width = images.shape
    device = images.device
    shifts = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator, device=device)
    mirrored = torch.rand((count, 1), generator=generator, device=device) < 0.5
    rows = shifts[0] + torch.arange(height, device=device)
    columns = shifts[1] + torch.arange(width, device=device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    padded = nn.functional.pad(images, (PADDING,) * 4)
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

"""An extremal region as a base classifier.

Its smoothed decision boundary lies exactly at the certified radius. This shows that a certificate
is tight (Levine et al. 2020, Theorem 1 and Figures 3 and 4b), and it is the hardest test of one.
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from sosmooth.certificates.region import Region


class ExtremalClassifier(torch.nn.Module):
    """Gives label 0 inside the region, which lies around an input along a direction, and 1 outside.

    Args:
        region: of one input (its arrays hold one element each), in units of sigma.
        center: the input, any shape.
        direction: of the adversary, of the input's shape; its length must not be 0 and does not
            matter otherwise.
        sigma: noise level, input units.

    Raises:
        ValueError: the shapes differ or the direction is zero.
    """

    _direction: torch.Tensor
    _offset: torch.Tensor

    def __init__(self, region: Region, center: ArrayLike, direction: ArrayLike, *, sigma: float):
        super().__init__()
        center = torch.as_tensor(center, dtype=torch.float64)
        direction = torch.as_tensor(direction, dtype=torch.float64)
        if center.shape != direction.shape or not direction.norm() > 0:
            raise ValueError(
                f"direction must be nonzero and of the input's shape {tuple(center.shape)}; got"
                f" shape {tuple(direction.shape)} and length {float(direction.norm()):g}"
            )
        self.register_buffer("_direction", (direction / direction.norm() / sigma).flatten())
        self.register_buffer("_offset", center.flatten() @ self._direction)
        self._ends = [(float(lower), float(upper)) for lower, upper in region.intervals]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Labels of a batch (batch, …), int64 (batch,)."""
        z = x.flatten(1).double() @ self._direction - self._offset
        inside = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for lower, upper in self._ends:
            inside |= (z > lower) & (z <= upper)
        return (~inside).long()

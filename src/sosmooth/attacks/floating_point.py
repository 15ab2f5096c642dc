"""The floating-point attack: a base classifier that reads from the last bits of a noisy input which input it came from.

A theorem of smoothing speaks of `x + ε` with real numbers. What a program draws is `fl(x + σ z)`, and of all floats near 0 only
those can come out that lie on the coarser grid of `σ z`, moved by `x`. Another input, however near, moves it elsewhere. A
classifier that asks whether a point *can* be a noisy copy of one planted input is therefore constant there, and almost everywhere
else the opposite. It is a fixed function of its input, so the theorem holds for it; the samples of a floating-point engine do not
follow the theorem's law.
Source: the idea is that of Voráček and Hein 2023, "Sound randomized smoothing in floating-point arithmetic" (ICLR), on rounding
that betrays the input; see also Jin, Ohrimenko, Rubinstein 2022, "Getting a-round guarantees".
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray


class PlantedClassifier(torch.nn.Module):
    """Labels 1 what `fl(target + σ z)` with a float32 z can be in every feature, and 0 everything else.

    Args:
        target: the planted input, float32, any shape: whatever its own noisy copies are, they are labelled 1.
        sigma: noise level, input units, positive.
    """

    num_classes = 2
    _target: torch.Tensor

    def __init__(self, target: ArrayLike, *, sigma: float):
        super().__init__()
        self.register_buffer(
            "_target", torch.as_tensor(np.asarray(target, dtype=np.float32)).double()
        )
        self._sigma = float(np.float32(sigma))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Labels of a batch (batch, …), int64 (batch,)."""
        return self.reachable(points).flatten(1).all(1).long()

    def reachable(self, points: torch.Tensor) -> torch.Tensor:
        """Whether each feature is a noisy copy of the target's, bool (batch, …)."""
        wide = points.double()
        nearest = ((wide - self._target) / self._sigma).float()
        found = torch.zeros(points.shape, dtype=torch.bool, device=points.device)
        for z in (nearest, _next(nearest, torch.inf), _next(nearest, -torch.inf)):
            # Rounded once, as by a fused multiply-add, or the product first: devices differ.
            fused = (self._target + self._sigma * z.double()).float()
            twice = (self._target + (self._sigma * z.double()).float().double()).float()
            found |= (fused == points) | (twice == points)
        return found


def one_float_away(inputs: ArrayLike) -> NDArray[np.float32]:
    """The inputs with every feature moved to the next larger float32: no other input is nearer in all features."""
    return np.nextafter(np.asarray(inputs, dtype=np.float32), np.float32(np.inf))


def one_step_away(inputs: ArrayLike, lattice: float) -> NDArray[np.float32]:
    """The inputs with every feature moved by one step of the lattice, away from the nearer end of [0, 1].

    Args:
        inputs: multiples of `lattice`, any shape. lattice: the step of the inputs' lattice, positive.
    Returns:
        Float32 of the shape of the inputs, the multiples converted once.
    """
    steps = np.round(np.asarray(inputs, dtype=np.float64) / lattice)
    return ((steps + np.where(steps * lattice < 0.5, 1, -1)) * lattice).astype(np.float32)


def _next(values: torch.Tensor, towards: float) -> torch.Tensor:
    return torch.nextafter(values, torch.full_like(values, towards))

"""The floating-point attack: a classifier recognises an input by the last bits of noisy copies.

A theorem of smoothing speaks of `x + ε` with real numbers. A program draws `fl(x + σ z)`. Of all
floats near 0 only those can result that lie on the coarser grid of `σ z`, moved by `x`. Another
input, however near, moves the grid elsewhere. So take a classifier that asks whether a point *can*
be a noisy copy of one planted input. It is constant on these copies, and almost everywhere else it
says the opposite. It is a fixed function of its input, so the theorem holds for it. But samples
with float noise do not follow the theorem's law.

Source: Voráček and Hein 2023, "Sound randomized smoothing in floating-point arithmetic" (ICLR), had
the idea that rounding reveals the input; see also Jin, Ohrimenko, Rubinstein 2022, "Getting a-round
guarantees".
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray


class PlantedClassifier(torch.nn.Module):
    """Gives label 1 where every feature can be `fl(target + σ z)` for a float32 z, else label 0.

    Args:
        target: the planted input, float32, any shape; all its noisy copies get the label 1.
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
        """Whether each feature can be a noisy copy of the target's feature, bool (batch, …)."""
        wide = points.double()
        nearest = ((wide - self._target) / self._sigma).float()
        found = torch.zeros(points.shape, dtype=torch.bool, device=points.device)
        for z in (nearest, _next(nearest, torch.inf), _next(nearest, -torch.inf)):
            # Devices differ: a fused multiply-add rounds once, others round the product first.
            fused = (self._target + self._sigma * z.double()).float()
            twice = (self._target + (self._sigma * z.double()).float().double()).float()
            found |= (fused == points) | (twice == points)
        return found


def one_float_away(inputs: ArrayLike) -> NDArray[np.float32]:
    """The inputs with every feature moved to the next larger float32.

    No other inputs are nearer in all features.

    Args:
        inputs: any shape.

    Returns:
        Float32 of the shape of the inputs.
    """
    return np.nextafter(np.asarray(inputs, dtype=np.float32), np.float32(np.inf))


def one_step_away(inputs: ArrayLike, lattice: float) -> NDArray[np.float32]:
    """The inputs with every feature moved by one step of the lattice.

    Features move away from the nearer end of [0, 1].

    Args:
        inputs: multiples of `lattice`, any shape.
        lattice: the step of the inputs' lattice, positive.

    Returns:
        Float32 of the shape of the inputs; each multiple is rounded once.
    """
    steps = np.round(np.asarray(inputs, dtype=np.float64) / lattice)
    return ((steps + np.where(steps * lattice < 0.5, 1, -1)) * lattice).astype(np.float32)


def _next(values: torch.Tensor, towards: float) -> torch.Tensor:
    return torch.nextafter(values, torch.full_like(values, towards))

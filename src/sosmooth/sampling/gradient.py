"""The gradient of the smoothed classifier as antithetic pairs see it.

The first pairs give a direction, the rest the slope along it: one pass, memory O(dimension). With
`h = (f(x + ε) − f(x − ε))/2` and `z = ε/σ`, `E[h z] = σ∇p`: only pairs whose two sides disagree say anything. All sums are
in float64, block by block, so that they are the same to the bit for every batch size.
"""

from __future__ import annotations

import numpy as np
import torch

from sosmooth.tally import SLOPE_CAP


class PairGradient:
    """Sums over the antithetic pairs of one input, taken in the order of their numbers.

    Args:
        pairs: number of all pairs. direction_share: of them, the first ones, that give the direction.
        dimension: features of one input.
        device: where the sums are kept; must have float64.
    """

    def __init__(self, pairs: int, direction_share: float, dimension: int, device: torch.device):
        self._direction_pairs = int(pairs * direction_share)
        self._pairs = pairs
        self._device = device
        self._sum = torch.zeros(dimension, dtype=torch.float64, device=device)
        self._direction: torch.Tensor | None = None
        self._norm = torch.zeros((), dtype=torch.float64, device=device)
        self._direction_one = torch.zeros((), dtype=torch.int64, device=device)
        self._slopes = torch.zeros(2, dtype=torch.float64, device=device)  # sum, sum of squares

    def add(self, first: int, noise: torch.Tensor, right: torch.Tensor) -> None:
        """Add a block of pairs, the first of which has number `first`.

        Args:
            noise: z, float32 (pairs, features).
            right: whether the side `x + ε`, then `x − ε`, is right, bool (2, pairs).
        """
        noise, right = noise.to(self._device), right.to(self._device)
        h = 0.5 * (right[0].double() - right[1].double())
        split = min(max(self._direction_pairs - first, 0), len(h))
        if split:
            self._direction_one += torch.count_nonzero(h[:split])
            rows, weights = _disagreeing(noise[:split], h[:split])
            self._sum += (rows * weights[:, None]).sum(0)
        if split < len(h):
            rows, weights = _disagreeing(noise[split:], h[split:])
            y = (weights * (rows * self._unit()).sum(1)).clamp_(max=SLOPE_CAP)
            self._slopes += torch.stack([y.sum(), y.square().sum()])

    def sums(self) -> dict[str, np.ndarray]:
        """The fields of a tally of length 1."""
        self._unit()
        slope_sum, slope_sq_sum = self._slopes.tolist()
        return {
            "direction_pairs": np.array([self._direction_pairs]),
            "direction_one": np.array([int(self._direction_one)]),
            "direction_norm": np.array([float(self._norm)]),
            "slope_pairs": np.array([self._pairs - self._direction_pairs]),
            "slope_sum": np.array([slope_sum]),
            "slope_sq_sum": np.array([slope_sq_sum]),
        }

    def _unit(self) -> torch.Tensor:
        """The direction, fixed once the first pairs are over; zero where none of them disagreed."""
        if self._direction is not None:
            return self._direction
        mean = self._sum / max(self._direction_pairs, 1)
        self._norm = torch.linalg.vector_norm(mean)
        direction = self._direction = mean / self._norm.clamp(min=torch.finfo(torch.float64).tiny)
        return direction


def no_gradient(batch: int = 1) -> dict[str, np.ndarray]:
    """The fields of a tally for which no gradient was drawn."""
    counts = {name: np.zeros(batch, dtype=np.int64) for name in ("direction_pairs", "direction_one", "slope_pairs")}
    return counts | {name: np.zeros(batch) for name in ("direction_norm", "slope_sum", "slope_sq_sum")}


def _disagreeing(noise: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows with `h ≠ 0`, in float64. On a GPU all rows: choosing would make it wait for the host, and zeros add nothing."""
    if noise.device.type == "cpu":
        keep = h.nonzero()[:, 0]
        noise, h = noise.index_select(0, keep), h.index_select(0, keep)
    return noise.double(), h

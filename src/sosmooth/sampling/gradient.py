"""The gradient of the smoothed classifier, estimated from antithetic pairs.

The first pairs give a direction, the rest the slope along it: one pass, memory O(dimension). With
`h = (f(x + ε) − f(x − ε))/2` and `z = ε/σ`, `E[h z] = σ∇p`. Only pairs whose two sides disagree
contribute.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.counts import Counts, Estimation, fixed_sum
from sosmooth.tally import SLOPE_CAP


class PairGradient:
    """Sums over antithetic pairs of one input.

    Args:
        estimation: says which pairs give the direction.
        device: where the sums are kept; must have float64.
        standard: from noise as it was drawn to z, float64.
        direction: float64 (features,), where earlier pairs have already given it; None: all pairs
            that give it must be added here, before the first one that gives a slope.
    """

    def __init__(
        self,
        estimation: Estimation,
        device: torch.device,
        standard: Callable[[torch.Tensor], torch.Tensor],
        direction: NDArray[np.float64] | None = None,
    ):
        self._estimation = estimation
        self._standard = standard
        self._device = device
        self._sum = torch.zeros(estimation.dimension, dtype=torch.int64, device=device)
        self._one = torch.zeros((), dtype=torch.int64, device=device)
        self._slopes = torch.zeros(2, dtype=torch.int64, device=device)
        self._direction = None if direction is None else torch.as_tensor(direction, device=device)

    def add(self, first: int, noise: torch.Tensor, right: torch.Tensor) -> None:
        """Add pairs of one block.

        Args:
            first: number of the first of these pairs among the pairs of the input.
            noise: as drawn, (pairs, features).
            right: whether the side `x + ε`, then `x − ε`, is right, bool (2, pairs).
        """
        noise, right = noise.to(self._device), right.to(self._device)
        h = 0.5 * (right[0].double() - right[1].double())
        split = min(max(self._estimation.direction_pairs - first, 0), len(h))
        if split:
            self._one += torch.count_nonzero(h[:split])
            rows, weights = disagreeing(noise[:split], h[:split])
            self._sum += fixed_sum((self._standard(rows) * weights[:, None]).sum(0))
        if split < len(h):
            rows, weights = disagreeing(noise[split:], h[split:])
            y = (weights * (self._standard(rows) * self._unit()).sum(1)).clamp_(max=SLOPE_CAP)
            self._slopes += fixed_sum(torch.stack([y.sum(), y.square().sum()]))

    def sums(self) -> dict[str, torch.Tensor]:
        """The counts of the gradient, by name."""
        return {"direction": self._sum, "direction_one": self._one, "slopes": self._slopes}

    def _unit(self) -> torch.Tensor:
        """The direction; it is fixed after the first pairs."""
        if self._direction is None:
            direction, _ = Counts({"direction": self._sum.cpu().numpy()}).direction(
                self._estimation
            )
            self._direction = torch.as_tensor(direction, device=self._device)
        return self._direction


def disagreeing(noise: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows with `h ≠ 0`; on a GPU all rows.

    Choosing would make the GPU wait for the host, and rows with `h = 0` add nothing to the sums.
    """
    if noise.device.type == "cpu":
        keep = h.nonzero()[:, 0]
        noise, h = noise.index_select(0, keep), h.index_select(0, keep)
    return noise, h

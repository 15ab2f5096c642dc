"""Slope and curvature along one axis û, and the gradient across it, from antithetic pairs.

û is given before the pairs are drawn, or it is the direction that the first pairs give. With
`z = ε/σ`, `t = û·z`, `h = (f(x + ε) − f(x − ε))/2` and the wrong share u of a pair, `E[h t]` is the
slope along û, `−E[(u − c)(t² − 1)]` the curvature, and `E[h (z − t û)]` the gradient across.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.counts import Counts, Estimation, fixed_sum
from sosmooth.sampling.gradient import disagreeing
from sosmooth.sampling.noise import Noise
from sosmooth.tally import CURVATURE_STEP, SLOPE_CAP


class PairAxis:
    """Sums over antithetic pairs of one input.

    The first pairs give a direction that the rest needs. Where û is given it is the direction of
    the gradient across û, and the rest gives the slope along it. Otherwise it is û itself.

    Args:
        estimation: says which pairs come first, c, and û where it is given.
        device: where the sums are kept; must have float64.
        noise: what was drawn is read with it.
        direction: float64 (features,), where earlier pairs have already given it; None: all the
            first pairs must be added here, before any other.
    """

    def __init__(
        self,
        estimation: Estimation,
        device: torch.device,
        noise: Noise,
        direction: NDArray[np.float64] | None = None,
    ):
        assert estimation.axis_center is not None
        self._estimation, self._device, self._noise = estimation, device, noise
        self._center = estimation.axis_center
        self._axis = None if estimation.axis is None else self._on_device(estimation.axis)
        self._direction = None if direction is None else self._on_device(direction)
        self._along = torch.zeros(2, dtype=torch.int64, device=device)
        self._slopes = torch.zeros(2, dtype=torch.int64, device=device)
        # Of the first pairs and of the rest; the rest has one where it estimates no slope.
        length = estimation.dimension
        self._means = torch.zeros((2, length), dtype=torch.int64, device=device)
        self._one = torch.zeros(2, dtype=torch.int64, device=device)

    def add(self, first: int, noise: torch.Tensor, right: torch.Tensor) -> None:
        """Add pairs of one block.

        Args:
            first: number of the first of these pairs among the pairs of the input.
            noise: as drawn, (pairs, features).
            right: whether the side `x + ε`, then `x − ε`, is right, bool (2, pairs).
        """
        noise, right = noise.to(self._device), right.to(self._device)
        split = min(max(self._estimation.axis_first_pairs - first, 0), len(noise))
        if split:
            self._add(noise[:split], right[:, :split], self._axis, mean=0)
        if split == len(noise):
            return
        noise, right = noise[split:], right[:, split:]
        if self._axis is None:
            self._add(noise, right, self._found(), mean=1)
        else:
            self._add(noise, right, self._axis, across=self._found())

    def sums(self) -> dict[str, torch.Tensor]:
        """The sums by name, as `Counts` has them."""
        return {
            "axis_along": self._along,
            "axis_means": self._means,
            "axis_one": self._one,
            "axis_slopes": self._slopes,
        }

    def _add(
        self,
        noise: torch.Tensor,
        right: torch.Tensor,
        axis: torch.Tensor | None,
        *,
        mean: int | None = None,
        across: torch.Tensor | None = None,
    ) -> None:
        """Add along an axis, to a mean of what is across it, and the slope along a direction.

        Args:
            noise: as drawn, (pairs, features).
            right: bool (2, pairs).
            axis: None: there is none yet.
            mean: which of the two; None: to none.
            across: the direction; None: to no slope.
        """
        plus, minus = right.double()
        h, z = 0.5 * (plus - minus), self._noise.standard(noise)
        along = torch.zeros((), dtype=torch.float64, device=self._device)
        if axis is not None:
            t = (z * axis).sum(1)
            square = t.square()
            if (spread := self._noise.spread(noise)) is not None:
                square += (spread * (CURVATURE_STEP * axis).square()).sum(1)
            along = (h * t).sum()
            wrong = 1 - 0.5 * (plus + minus)
            bend = ((self._center - wrong) * (square - 1)).sum()
            self._along += fixed_sum(torch.stack([along, bend]))
        rows, weights = disagreeing(z, h)
        if mean is not None:
            total = (rows * weights[:, None]).sum(0)
            if axis is not None:
                total -= along * axis
            self._means[mean] += fixed_sum(total)
            self._one[mean] += torch.count_nonzero(h)
        if across is not None:
            # Row by row, so that the bits do not depend on how many rows there are.
            y = (weights * (rows * across).sum(1)).clamp_(max=SLOPE_CAP)
            self._slopes += fixed_sum(torch.stack([y.sum(), y.square().sum()]))

    def _found(self) -> torch.Tensor:
        """The direction of the first pairs; it is fixed after them."""
        if self._direction is None:
            found, _ = Counts({"axis_means": self._means.cpu().numpy()}).axis_direction(
                self._estimation
            )
            self._direction = self._on_device(found)
        return self._direction

    def _on_device(self, vector: NDArray[np.float64]) -> torch.Tensor:
        return torch.as_tensor(vector, device=self._device)

"""Slope and curvature of the smoothed classifier along every direction, from antithetic pairs.

With `z = ε/σ`, `h = (f(x + ε) − f(x − ε))/2` and the wrong share u of a pair (0, 1/2 or 1),
`E[h z] = σ∇p` and `−E[(u − c)(z zᵀ − I)] = σ²∇²p` for every constant c. z is rounded to a grid and
c is one of a few numbers, so that all sums are exact in float64, in whatever order a library adds
them up. What the rounding costs: docs/theory/third_order.md.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.noise import Noise
from sosmooth.tally import CURVATURE_CENTER_STEP, CURVATURE_STEP

# In sums of so many pairs, |u − c| ≤ 1 times products of z stay below 2^53 steps while the mean of
# z² is at most 4 in each coordinate.
_EXACT_PAIRS = 2**14
# Rows of the symmetric matrix that are computed at once, at most, from their diagonal on.
_ROWS = 512


class PairCurvature:
    """Sums over antithetic pairs of one input, in whole steps.

    Args:
        dimension: features of the input.
        center: c, in [0, 1/2], a multiple of `CURVATURE_CENTER_STEP`.
        device: where the sums are kept; must have float64.
        noise: what was drawn is read with it.
    """

    def __init__(self, dimension: int, center: float, device: torch.device, noise: Noise):
        self._center, self._device, self._noise = (
            round(center / CURVATURE_CENTER_STEP),
            device,
            noise,
        )
        self._mean = torch.zeros(dimension, dtype=torch.int64, device=device)
        self._total = torch.zeros(dimension, dimension, dtype=torch.int64, device=device)
        self._recent = torch.zeros(dimension, dimension, dtype=torch.float64, device=device)
        self._recent_pairs = 0
        size = min(_ROWS, (dimension + 1) // 2)
        self._parts = [slice(start, start + size) for start in range(0, dimension, size)]

    def add(self, noise: torch.Tensor, right: torch.Tensor) -> None:
        """Add pairs.

        Args:
            noise: as drawn, (pairs, features), at most 4096 pairs.
            right: whether the side `x + ε`, then `x − ε`, is right, bool (2, pairs).
        """
        noise, right = noise.to(self._device), right.to(self._device)
        if self._recent_pairs + len(noise) > _EXACT_PAIRS:
            self._settle()
        self._recent_pairs += len(noise)
        if self._center == 0 and noise.device.type == "cpu":  # the other rows add nothing
            wrong = (~(right[0] & right[1])).nonzero()[:, 0]
            noise, right = noise.index_select(0, wrong), right.index_select(1, wrong)
        plus, minus = right.double()
        weight = (1 / CURVATURE_CENTER_STEP - self._center) - (0.5 / CURVATURE_CENTER_STEP) * (
            plus + minus
        )
        z = self._noise.rounded(noise)
        weighted = z * weight[:, None]
        for rows in self._parts:
            right_of = slice(rows.start, None)
            self._recent[rows, right_of].addmm_(weighted[:, rows].T, z[:, right_of])
        if (spread := self._noise.spread(noise)) is not None:
            self._recent.diagonal().add_(weight @ spread)
        self._mean += ((plus - minus) @ z).long()

    def sums(self) -> dict[str, torch.Tensor]:
        """The sums by name: of `2 h z`, and of `(u − c) z zᵀ` row by row from the diagonal on."""
        self._settle()
        triangle = torch.cat([row[i:] for i, row in enumerate(self._total)])
        return {"curvature_mean": self._mean, "curvature": triangle}

    def _settle(self) -> None:
        """Move the recent sums to where they are exact for 2^24 pairs."""
        for rows in self._parts:
            self._total[rows].add_(self._recent[rows].long())
        self._recent.zero_()
        self._recent_pairs = 0


def moments(
    mean: NDArray[np.int64],
    curvature: NDArray[np.int64],
    *,
    pairs: int,
    weight: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`X̂` and `Ĥ` from their sums; each sum and each difference is rounded once.

    Args:
        mean: sum of `2 h z`, (features,), as `PairCurvature.sums` gives it.
        curvature: sum of `(u − c) z zᵀ`, likewise.
        pairs: number of pairs.
        weight: sum of `u − c` over them, exact.

    Returns:
        Float64 (features,) and (features, features).
    """
    dimension = len(mean)
    hessian = np.empty((dimension, dimension))
    unit, start = CURVATURE_CENTER_STEP * CURVATURE_STEP**2, 0
    for i in range(dimension):
        row = curvature[start : start + dimension - i] * unit
        row[0] -= weight
        hessian[i, i:] = hessian[i:, i] = row / -pairs
        start += dimension - i
    return mean * (0.5 * CURVATURE_STEP) / pairs, hessian

"""How bounds of the truth become a radius: by the extremal regions at the corners of a truth.

A theorem that finds its radius in another way keeps the same contract: `directions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from sosmooth._numbers import Floats
from sosmooth.certificates.region import Region, worst_multiclass_radius
from sosmooth.certificates.second_order_dipole import one_sided_cost
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.other_norms import corners_in_norm
from sosmooth.tally import Tally

#: `(tally, alpha, sigma) → Bounds`, (batch,), or (corners, batch) where the truth is at least as
#: good as one of several corners; raises LookupError naming what the tally lacks.
CornersOf = Callable[[Tally, float, float], Bounds]
#: `(bounds, sigma) → extremal region`; its arrays have the shape of the bounds.
RegionOf = Callable[[Bounds, float], Region]

# The orders of the outcomes of pairs: by the radius of the dipole, by the probability, and by the
# radius at half of the largest gradient norm. `pair_cells` hedges between several; that keeps the
# radius within a few per cent of a standard error of the best.
BY_DIPOLE = partial(one_sided_cost, gradient_share=1.0)
BY_HALF_GRADIENT = partial(one_sided_cost, gradient_share=0.5)


def by_probability(c_s: Floats, c_n: Floats) -> Floats:
    """The order of the outcomes by the probability alone."""
    return np.full(np.broadcast_shapes(c_s.shape, c_n.shape), 0.5)


class Theorem(Protocol):
    """From counts to the distance within which the class holds."""

    def certify(
        self, tally: Tally, alpha: float, sigma: float, rivals: Region | None = None
    ) -> tuple[Bounds, Floats]:
        """The bounds at the worst truth, and the certified distance.

        Args:
            tally: what was counted, (batch,).
            alpha: failure probability, in (0, 1).
            sigma: noise level, input units.
            rivals: extremal regions of `1 − f_c`, (rivals, batch), from bounds that hold at the
                same time; None: the class is compared with one half alone.

        Returns:
            Bounds (batch,), and float64 (batch,), units of sigma, rounded down: up to there the
            class has more than one half, or more than each rival.

        Raises:
            LookupError: the tally lacks what is needed (the message names it).

        Guarantee:
            For each input alone, with probability at least 1 − alpha where the bounds of the rivals
            hold.
        """
        ...

    def in_norm(self, norm: str) -> Theorem:
        """The theorem whose distance, over `largest_l2_length`, is one in the norm.

        Args:
            norm: of the radii, not "l2".
        """
        ...

    def region(self, bounds: Bounds, sigma: float) -> Region:
        """The extremal region of bounds (batch,), as `certify` returns them.

        Args:
            bounds: of the truth.
            sigma: noise level, input units.
        """
        ...


@dataclass(frozen=True)
class AtCorners:
    """The smallest radius of the extremal regions at all corners.

    Attributes:
        corners: what the truth can be.
        extremal: the region at each corner.
    """

    corners: CornersOf
    extremal: RegionOf

    def certify(
        self, tally: Tally, alpha: float, sigma: float, rivals: Region | None = None
    ) -> tuple[Bounds, Floats]:
        corners = self.corners(tally, alpha, sigma)
        region = self.extremal(corners, sigma)
        distance, bounds = np.asarray(region.radius()), corners
        if distance.ndim > 1:
            bounds, distance = corners.at(np.argmin(distance, axis=0)), distance.min(axis=0)
        if rivals is not None:
            # All the bounds hold at once, and each of the two radii follows from them.
            distance = np.maximum(distance, worst_multiclass_radius(region, rivals))
        return bounds, distance

    def in_norm(self, norm: str) -> AtCorners:
        return replace(self, corners=partial(corners_in_norm, norm=norm, corners=self.corners))

    def region(self, bounds: Bounds, sigma: float) -> Region:
        return self.extremal(bounds, sigma)

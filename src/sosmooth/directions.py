"""The third order in every direction: from counts, slope and curvature of pairs to a radius.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._third_order_region import replaced
from sosmooth.certificates.region import Region
from sosmooth.certificates.third_order_dipole import third_order_dipole_region
from sosmooth.certificates.third_order_directions import any_direction
from sosmooth.confidence.bounds import Bounds, in_groups
from sosmooth.confidence.direction_corners import curvature_share, direction_corners
from sosmooth.confidence.other_norms import steepest_in_norm
from sosmooth.confidence.pair_counts import OneSidedCost
from sosmooth.tally import Tally
from sosmooth.theorems import Theorem


@dataclass(frozen=True)
class InEveryDirection:
    """Slope and curvature along the worst direction; where none were drawn, another theorem.

    Attributes:
        otherwise: the theorem for inputs whose curvature was not drawn.
        costs: the order of the outcomes of the pairs, see `pair_cells`.
        norm: of the radii that follow from the distance.
    """

    otherwise: Theorem
    costs: Sequence[OneSidedCost]
    norm: str = "l2"

    def certify(
        self, tally: Tally, alpha: float, sigma: float, rivals: Region | None = None
    ) -> tuple[Bounds, Floats]:
        def certified(drawn: bool, i: NDArray[np.intp]) -> tuple[Bounds, Floats]:
            certify = self._drawn if drawn else self._undrawn
            return certify(tally[i], alpha, sigma, None if rivals is None else rivals.take(i))

        return in_groups(curvature_share(tally) > 0, certified)

    def in_norm(self, norm: str) -> InEveryDirection:
        return replace(self, otherwise=self.otherwise.in_norm(norm), norm=norm)

    def region(self, bounds: Bounds, sigma: float) -> Region:
        second = self.otherwise.region(bounds, sigma)
        if bounds.slope_lower is None:
            return second
        at = np.flatnonzero(~np.isnan(bounds.slope_lower))
        known = bounds[at]
        bent = third_order_dipole_region(
            known.required("c_s_lower"),
            known.required("c_n_lower"),
            -known.required("slope_lower") * sigma,
            known.required("curvature_lower") * sigma**2,
        )
        return replaced(second, bent, at)

    def _drawn(
        self, tally: Tally, alpha: float, sigma: float, rivals: Region | None
    ) -> tuple[Bounds, Floats]:
        truths = direction_corners(tally, alpha, costs=self.costs)
        bounds = truths.bounds
        steepest = truths.gradient_norm_upper
        if self.norm != "l2":
            in_norm = steepest_in_norm(tally, self.norm, "curvature") + truths.slack[0]
            steepest = np.minimum(steepest, in_norm * (1 + 4 * EPS))
        found = any_direction(
            bounds.required("c_s_lower"),
            bounds.required("c_n_lower"),
            truths.slack,
            truths.eigenvalues,
            truths.squares,
            rivals=rivals,
            steepest=steepest,
        )
        bounds = replace(
            bounds.at(found.corner),
            gradient_norm_upper=np.full(len(tally), np.inf),
            slope_lower=found.slope / sigma,
            curvature_lower=found.curvature / sigma**2,
        )
        return bounds, found.distance

    def _undrawn(
        self, tally: Tally, alpha: float, sigma: float, rivals: Region | None
    ) -> tuple[Bounds, Floats]:
        bounds, distance = self.otherwise.certify(tally, alpha, sigma, rivals)
        unknown = np.full(len(tally), np.nan)
        return replace(bounds, slope_lower=unknown, curvature_lower=unknown), distance

"""Whether the curvature that pairs see is drawn, from the selection samples alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sosmooth.confidence.direction_bounds import curvature_shortfall
from sosmooth.tally import CURVATURE_CENTER_STEP

#: Whether to draw it: where it is likely to pay, wherever it can be drawn, or never.
CURVATURE = ("auto", "on", "off")
#: What slope and curvature together get of alpha, and what where the selection samples returned one
#: class only: there they decide little, and 5 % cost the surest images 0.05 % of their radius.
CURVATURE_SHARE, SMALLER_CURVATURE_SHARE = 0.2, 0.05
#: More features would need more than 0.7 GB for the curvature and its eigenvectors.
MOST_FEATURES = 4096
#: More pairs could overflow its sums.
MOST_PAIRS = 2**24
# Up to these it pays: what the bound is short of the estimate, as a share of the largest curvature,
# and how far chance alone moves the eigenvalues of the estimate, as a share of the steepest slope:
# a direction that only seems to bend gives up the slope. The second was measured on CIFAR-10
# (docs/how_much.md, "Where the curvature pays").
_SHORTFALL, _SPREAD = 0.25, 0.85


@dataclass(frozen=True)
class CurvaturePlan:
    """How an input's pairs are used for the curvature.

    Attributes:
        center: by which the wrong share of a pair is centred; NaN: no curvature is drawn.
        alpha_share: of alpha, for slope and curvature together; 0 where none is drawn.
    """

    center: float
    alpha_share: float


NONE = CurvaturePlan(np.nan, 0.0)


def likely_error(selection_wrong: int, n0: int) -> float:
    """About the median of the error rates that selection samples make likely, at most 1/2."""
    return min((selection_wrong + 0.7) / (n0 + 0.4), 0.5)


def curvature_center(error: float) -> float:
    """By which the wrong share of a pair is centred, at this error rate of the class."""
    return round(error / CURVATURE_CENTER_STEP) * CURVATURE_CENTER_STEP


def planned_curvature(
    selection_wrong: int, n0: int, n: int, dimension: int, alpha: float, asked: str = "auto"
) -> CurvaturePlan:
    """Whether and how the curvature of one input is drawn.

    It takes an error rate that the selection samples make likely. "auto" draws the curvature where
    at that rate the slack of the bound is well below the largest curvature, that of a half-space,
    `c φ(c)`, `c = Φ⁻¹(p)`, and the eigenvalues of pure noise are below the steepest slope, `φ(c)`.

    Args:
        selection_wrong: selection evaluations that did not return the selected class.
        n0: selection evaluations, at least 1.
        n: estimation evaluations.
        dimension: features of one input.
        alpha: failure probability of the certificate, in (0, 1).
        asked: one of `CURVATURE`.

    Returns:
        The plan. It depends on the selection samples only, so the guarantee holds for each of them.
    """
    pairs = n // 2
    if asked == "off" or not 0 < pairs <= MOST_PAIRS or dimension > MOST_FEATURES:
        return NONE
    error = likely_error(selection_wrong, n0)
    center = curvature_center(error)
    share = CURVATURE_SHARE if selection_wrong else SMALLER_CURVATURE_SHARE
    if asked == "auto" and not _pays(error, center, pairs, dimension, 0.5 * share * alpha):
        return NONE
    return CurvaturePlan(center, share)


def _pays(error: float, center: float, pairs: int, dimension: int, alpha: float) -> bool:
    """Whether the curvature is likely to say more than chance does."""
    c = -special.ndtri(error)
    steepest = np.exp(-0.5 * c * c) / np.sqrt(2 * np.pi)
    # The sides of a pair as if they were independent.
    one, none = 2 * error * (1 - error), error**2
    short = float(curvature_shortfall(one, none, pairs, alpha, center=center))
    square = one * (0.5 - center) ** 2 + none * (1 - center) ** 2 + (1 - error) ** 2 * center**2
    # The edge of the semicircle that the eigenvalues of pure noise fill.
    edge = 2 * np.sqrt(square * dimension / pairs)
    return bool(short < _SHORTFALL * c * steepest and edge < _SPREAD * steepest)

"""Whether slope and curvature along one axis are drawn, from the selection samples alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sosmooth.confidence.axis_bounds import AXIS_SHARE
from sosmooth.confidence.curvature_plan import (
    SMALLER_CURVATURE_SHARE,
    curvature_center,
    likely_error,
)

#: Where the axis comes from: with enough samples the classifier's scores where it has gradients,
#: else the first pairs; the first pairs; the scores.
DIRECTIONS = ("auto", "samples", "gradient")
# Fewer samples would cost up to 1.1 % of the radius (docs/theory/look_ahead.md, "When it helps").
_ENOUGH = 50_000
# Noisy copies whose scores give the axis: so many of the samples, within limits. A pass back costs
# about two evaluations more.
_SHARE_OF_SAMPLES, _FEWEST, _MOST = 0.01, 64, 1024


@dataclass(frozen=True)
class AxisPlan:
    """How an input's pairs are used along an axis.

    Attributes:
        center: by which the wrong share of a pair is centred; NaN: nothing is drawn along an axis.
        alpha_share: of alpha, for all but the pair counts; 0 where nothing is drawn.
    """

    center: float
    alpha_share: float


def planned_axis(
    selection_wrong: int, n0: int, n: int, *, gradient: bool, asked: str = "auto"
) -> AxisPlan:
    """Whether and how an axis of one input is used.

    Args:
        selection_wrong: selection evaluations that did not return the selected class.
        n0: selection evaluations, at least 1.
        n: estimation evaluations.
        gradient: whether the whole gradient is drawn: where it tells nothing, an axis tells less.
        asked: one of `DIRECTIONS`.

    Returns:
        The plan. It depends on the selection samples only, so the guarantee holds for each of them.
    """
    if not gradient or n < (_ENOUGH if asked == "auto" else 4):
        return AxisPlan(np.nan, 0.0)
    share = AXIS_SHARE if selection_wrong else SMALLER_CURVATURE_SHARE
    return AxisPlan(curvature_center(likely_error(selection_wrong, n0)), share)


def axis_copies(n: int) -> int:
    """How many noisy copies give the axis.

    Args:
        n: estimation evaluations.
    """
    return int(np.clip(_SHARE_OF_SAMPLES * n, _FEWEST, _MOST))

"""Whether and how the gradient that pairs see is drawn, from the selection samples alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sosmooth.confidence.curvature_plan import likely_error
from sosmooth.confidence.pair_gradient import FOR_GRADIENT, Shortfall

#: Fractions of the pairs that may give the direction. ALL: the length of the direction bounds the
#: norm. HALF: the second half gives the slope along the direction, which costs more samples, but no
#: more than the square root of the dimension.
ALL, HALF = 1.0, 0.5
#: What the gradient norm gets of alpha where the selection says little: 5 % cost the surest images
#: 0.05 % of their radius. Where it shows errors, but few, the gradient decides more of the radius.
GRADIENT_SHARE, LARGER_GRADIENT_SHARE = 0.05, 0.3
# Share of the selection samples up to which errors are few.
_FEW_ERRORS = 0.15
# With more features the sampler's sums may be less accurate than the bounds allow for
# (`SUM_ERROR`): each coordinate is rounded by 2^−30 for each block, and a block has at least two
# pairs.
_MOST_FEATURES = 4 * 10**6


@dataclass(frozen=True)
class GradientPlan:
    """How an input's pairs are used for the gradient.

    Attributes:
        direction_share: of the pairs, those that give the direction; 0: no gradient is drawn.
        alpha_share: of alpha, for the gradient norm; 0 where none is drawn.
    """

    direction_share: float
    alpha_share: float


def planned_gradient(
    selection_wrong: int, n0: int, n: int, dimension: int, alpha: float
) -> GradientPlan:
    """Whether and how the gradient of one input is drawn.

    Args:
        selection_wrong: selection evaluations that did not return the selected class.
        n0: selection evaluations, at least 1.
        n: estimation evaluations.
        dimension: features of one input.
        alpha: failure probability of the certificate, in (0, 1).

    Returns:
        The plan. It depends on the selection samples only, so the guarantee holds for each of them.
    """
    few_errors = 0 < selection_wrong <= _FEW_ERRORS * n0
    share = LARGER_GRADIENT_SHARE if few_errors else GRADIENT_SHARE
    pairs = direction_share(selection_wrong, n0, n, dimension, share * alpha)
    return GradientPlan(pairs, share if pairs else 0.0)


def direction_share(selection_wrong: int, n0: int, n: int, dimension: int, alpha: float) -> float:
    """Which fraction of the pairs should give the direction.

    It takes an error rate that the selection samples make likely. At that rate it compares the
    slack with half of the largest gradient norm, and the two fractions with each other.

    Args:
        selection_wrong: selection evaluations that did not return the selected class.
        n0: selection evaluations, at least 1.
        n: estimation evaluations.
        dimension: features of one input.
        alpha: failure probability of the gradient bound, in (0, 1).

    Returns:
        `HALF`, `ALL`, or 0 where a gradient cannot help: then draw no gradient, and give it no part
        of alpha.
    """
    pairs = n // 2
    if pairs < 2 or dimension > _MOST_FEATURES:
        return 0.0
    error = likely_error(selection_wrong, n0)
    largest = float(np.exp(-0.5 * special.ndtri(error) ** 2) / np.sqrt(2 * np.pi))
    disagreement, typical = 2 * error * (1 - error), 0.85 * largest
    slack = {
        ALL: _slack_of_mean(pairs, disagreement, typical, dimension, alpha),
        # Halves must be clearly better: workers have to meet between them, and where pairs are few
        # this estimate is short by about a tenth.
        HALF: 1.25 * _slack_of_halves(pairs, disagreement, typical, dimension, alpha),
    }
    best = min(slack, key=lambda fraction: slack[fraction])
    return best if slack[best] < 0.5 * largest else 0.0


def _slack_of_mean(
    pairs: int, disagreement: float, gamma: float, dimension: int, alpha: float
) -> float:
    """About how far the length of the mean over all pairs exceeds a gradient of length gamma."""
    share, count = np.array([disagreement]), np.array([float(pairs)])
    shortfall = Shortfall(share, share, count, FOR_GRADIENT * alpha)
    length = np.hypot(gamma, np.sqrt(dimension * share / (4 * count)))
    return float(shortfall.truth_upper_bound(length)[0] - gamma)


def _slack_of_halves(
    pairs: int, disagreement: float, gamma: float, dimension: int, alpha: float
) -> float:
    """The same of one bet on halves: docs/theory/running_direction.md, "Which stakes"."""
    length_sq = gamma**2 + dimension * disagreement / (2 * pairs)
    cut = -float(special.ndtri(0.5 * disagreement))
    more = 2 * cut * np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi)

    def variance(cosine_sq: float) -> float:
        return 0.25 * (disagreement + cosine_sq * more) - cosine_sq * gamma**2

    along = gamma**2 * variance(1.0) + length_sq * variance(gamma**2 / length_sq)
    return float(np.sqrt(-np.log(FOR_GRADIENT * alpha) * along / pairs) / gamma)

"""The gradient norm in two steps: what one bet on direction and slope is compared with.

The first half of the pairs gives a direction, the second half the slope along it, and each step has
a failure probability of its own. Proof: docs/theory/running_direction.md,
"Compared with two steps".
"""

from __future__ import annotations

import numpy as np
from scipy import special

from sosmooth.confidence._bisection import safe_end
from sosmooth.confidence.pair_gradient import FOR_GRADIENT, FOR_SIDE, SUM_ERROR, Shortfall
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.confidence.running_direction import CAP_BIAS
from sosmooth.tally import SLOPE_CAP

Floats = np.ndarray

# Stakes around the one that suits the expected second moment, and their parts of the level.
_STAKES = np.array([1 / 1.5, 1.0, 1.5])
_SHARES = np.array([0.25, 0.5, 0.25])
_LARGEST_STAKE = 0.9


def two_step_upper_bound(
    *,
    norm: Floats,
    pairs: tuple[int, int],
    one: Floats,
    slope_sum: Floats,
    slope_sq_sum: Floats,
    alpha: float,
) -> Floats:
    """Upper bound of `‖E[h z]‖`: the largest γ with `γ ≤ G(min(‖X̄‖, ‖X̄‖ U / γ))`, (runs,).

    Args:
        norm: ‖X̄‖, X̄ the mean of `h z` over the first pairs, (runs,).
        pairs: of each half.
        one: pairs of each half that are right on exactly one side, (runs, 2).
        slope_sum: sum over the second half of `y = min(h û·z, SLOPE_CAP)`, û along X̄, (runs,).
        slope_sq_sum: sum of `y²`, (runs,).
        alpha: failure probability, in (0, 1); each step gets half of what the mean over all pairs
            has.
    """
    every, both = np.full(len(norm), float(sum(pairs))), one.sum(axis=1)
    shortfall = Shortfall(
        proportion_lower_bound(both, every, FOR_SIDE * alpha),
        proportion_upper_bound(both, every, FOR_SIDE * alpha),
        np.full(len(norm), float(pairs[0])),
        0.5 * FOR_GRADIENT * alpha,
    )
    length = norm * (1 + SUM_ERROR)
    # The largest second moment of h along one direction is about three times that of h alone.
    guess = 1.7 * 0.25 * (one[:, 0] + 1) / pairs[0]
    slope = mean_upper_bound(
        pairs[1],
        slope_sum,
        slope_sq_sum,
        upper=SLOPE_CAP,
        expected_sq=guess,
        alpha=0.5 * FOR_GRADIENT * alpha,
    )
    product = length * np.maximum(slope + CAP_BIAS + SUM_ERROR, 0.0)

    def is_too_large(gamma: Floats) -> Floats:
        along = np.divide(product, gamma, out=np.zeros_like(gamma), where=product > 0) + SUM_ERROR
        return gamma > shortfall.truth_upper_bound(np.minimum(along, length))

    # The two sides cross once: the right one falls with γ.
    at_most = shortfall.truth_upper_bound(length)
    return safe_end(is_too_large, np.zeros_like(length), at_most, 60) * (1 + SUM_ERROR)


def mean_upper_bound(
    count: int,
    total: Floats,
    total_sq: Floats,
    *,
    upper: float,
    expected_sq: Floats | float,
    alpha: float,
) -> Floats:
    """The largest mean μ against which a bet has not won `1/alpha`, at most `upper`, (runs,).

    With `B` the upper limit, `ξ = −y/B ≥ −1` and `v(λ) = −ln(1 − λ) − λ`, the capital at μ is at
    least `Σ_k w_k exp( λ_k Σξ − v(λ_k) Σξ² − n ln(1 − λ_k μ/B) )`, which rises with μ.

    Args:
        count: number n of independent scalars, at least 1.
        total: sum of the scalars, (runs,).
        total_sq: sum of their squares, (runs,).
        upper: each scalar is at most this, positive. They need not be bounded below.
        expected_sq: a guess of `E[y²]` made without these scalars, positive; broadcasts. Any guess
            is valid, and a good one gives a tighter bound.
        alpha: failure probability, in (0, 1).
    """
    level = -np.log(alpha)
    guess = np.broadcast_to(expected_sq, total.shape)[:, None]
    stake = np.minimum(_STAKES * upper * np.sqrt(2 * level / (count * guess)), _LARGEST_STAKE)
    price = -np.log1p(-stake) - stake
    fixed = np.log(_SHARES) - stake * total[:, None] / upper - price * total_sq[:, None] / upper**2

    def has_won(mean: Floats) -> Floats:
        """Whether the bet against this mean has won."""
        rest = count * np.log1p(-stake * mean[:, None] / upper)
        return special.logsumexp(fixed - rest, axis=1) > level

    low = np.minimum(total / count, upper)
    return safe_end(has_won, low, np.full(total.shape, float(upper)), 60)

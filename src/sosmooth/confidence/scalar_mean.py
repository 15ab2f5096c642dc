"""An upper bound of the mean of scalars that are bounded above, from their count and sums.

Proof: docs/theory/gradient_from_pairs.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import Floats, checked_alpha
from sosmooth.confidence._bisection import safe_end

# Stakes around the one that suits the expected second moment, and their parts of the level.
_STAKES = np.array([1 / 1.5, 1.0, 1.5])
_SHARES = np.array([0.25, 0.5, 0.25])
_LARGEST_STAKE = 0.9


def mean_upper_bound(
    count: ArrayLike,
    total: ArrayLike,
    total_sq: ArrayLike,
    *,
    upper: float,
    expected_sq: ArrayLike,
    alpha: float,
) -> NDArray[np.float64]:
    """The largest mean μ against which a bet has not won `1/alpha`.

    With `B` the upper limit, `ξ = −y/B ≥ −1` and `v(λ) = −ln(1 − λ) − λ`, the capital at μ is at
    least `Σ_k w_k exp( λ_k Σξ − v(λ_k) Σξ² − n ln(1 − λ_k μ/B) )`, which rises with μ. The bound
    exceeds the mean by about `√(2 E[y²] ln(1/alpha)/n) + 2 B ln(1/alpha)/(3 n)`.

    Args:
        count: number n of independent scalars, at least 0; any shape.
        total: sum of the scalars; broadcasts.
        total_sq: sum of their squares; broadcasts.
        upper: each scalar is at most this, positive. They need not be bounded below.
        expected_sq: a guess of `E[y²]` made without these scalars, positive; broadcasts. Any guess
            is valid, and a good one gives a tighter bound.
        alpha: failure probability, in (0, 1).

    Returns:
        Float64 of the broadcast shape, at most `upper`, rounded up; `upper` where the count is 0.

    Raises:
        ValueError: upper or expected_sq is not positive, alpha is outside (0, 1), or a count is
            negative.

    Guarantee:
        P(bound < E[y]) ≤ alpha for every law of the scalars with `y ≤ upper` and every n.

    Source:
        Fan, Grama, Liu 2015, Electronic Journal of Probability 20 (the inequality); Waudby-Smith,
        Ramdas 2024, Journal of the Royal Statistical Society B 86 (bounds by betting).
    """
    arrays = (
        np.asarray(value, dtype=np.float64) for value in (count, total, total_sq, expected_sq)
    )
    n, total, total_sq, guess = (value[..., None] for value in np.broadcast_arrays(*arrays))
    checked_alpha(alpha)
    if not upper > 0 or np.any(~(guess > 0)) or np.any(~(n >= 0)):
        raise ValueError(
            "upper and expected_sq must be positive, and count at least 0; got"
            f" upper={upper:g}, expected_sq={guess.min():g} and count={n.min():g} at least"
        )
    level = -np.log(alpha)
    stake = np.minimum(
        _STAKES * upper * np.sqrt(2 * level / (np.maximum(n, 1) * guess)), _LARGEST_STAKE
    )
    price = -np.log1p(-stake) - stake
    fixed = np.log(_SHARES) - stake * total / upper - price * (1 + 1e-9) * total_sq / upper**2

    def has_won(mean: Floats) -> NDArray[np.bool_]:
        """Whether the bet against this mean has won `1/alpha`, whatever its capital's rounding."""
        capital = special.logsumexp(fixed - n * np.log1p(-stake * mean[..., None] / upper), axis=-1)
        return capital > level + 1e-9 * (1 + level)

    low = np.minimum(total / np.maximum(n, 1), upper)[..., 0]
    bound = safe_end(has_won, low, np.full(low.shape, float(upper)), 60)
    return np.where(n[..., 0] > 0, bound, upper)[()]

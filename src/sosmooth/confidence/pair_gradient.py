"""An upper bound of the gradient norm by the length of a mean over antithetic pairs.

Its slack follows the disagreement of the two sides of the pairs.
Statement and proof: docs/theory/gradient_from_pairs.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_alpha
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound

#: Parts of the failure probability: for what the pairs say of the gradient, and for each side of
#: the interval of their disagreement.
FOR_GRADIENT, FOR_SIDE = 0.9, 0.05
#: Error that the sampler's sums may have: absolute for a slope and for the mean, relative for the
#: norm of the mean.
SUM_ERROR = 1e-6
# The λ of step 1, fixed in advance. Neighbours differ by 7 %, which costs at most 0.2 % of the
# bound.
LAMBDAS = np.geomspace(1e-3, 60.0, 160)


def pair_gradient_norm_upper_bound(
    *,
    direction_norm: ArrayLike,
    direction_pairs: ArrayLike,
    pair_one: ArrayLike,
    pairs: ArrayLike,
    sigma: float,
    alpha: float,
) -> NDArray[np.float64]:
    """Upper bound of `‖∇p‖₂`: `G(‖X̄‖)`, divided by sigma.

    Let `z = ε/σ` and `h = (f(x + ε) − f(x − ε))/2`. X̄ is the mean of `h z` over pairs, and G says
    how far it may fall short along the true gradient.

    Args:
        direction_norm: ‖X̄‖; any shape, all arguments broadcast.
        direction_pairs: number of pairs in X̄, at least 0.
        pair_one: pairs right on exactly one side, of all.
        pairs: number of all pairs, at least 1.
        sigma: noise level, input units.
        alpha: failure probability of this bound alone, in (0, 1).

    Returns:
        Float64 of the broadcast shape, per input unit, at least 0, rounded up; `inf` where X̄ has
        no pair.

    Raises:
        ValueError: alpha is outside (0, 1), or a count is out of range.

    Guarantee:
        P(bound < ‖∇p‖₂) ≤ alpha for every base classifier with values in {0, 1}, every dimension
        and every number of pairs. This needs two things: which pairs are in X̄ was fixed before
        they were drawn, and its norm is accurate to 1e-6.

    Source:
        docs/theory/gradient_from_pairs.md.
    """
    checked_alpha(alpha)
    names = (direction_norm, direction_pairs, pair_one, pairs)
    given = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in names))
    norm, averaged, one, n = (value.ravel() for value in given)
    gamma = np.full(norm.shape, np.inf)
    some = averaged > 0
    shortfall = Shortfall(
        proportion_lower_bound(one[some], n[some], FOR_SIDE * alpha),
        proportion_upper_bound(one[some], n[some], FOR_SIDE * alpha),
        averaged[some],
        FOR_GRADIENT * alpha,
    )
    gamma[some] = shortfall.truth_upper_bound(norm[some] * (1 + SUM_ERROR))
    with np.errstate(over="ignore"):  # infinity bounds it too
        return (gamma * (1 + SUM_ERROR) / sigma).reshape(given[0].shape)[()]


class Shortfall:
    """Step 1: how far the mean of `h (w·z)` over n pairs may fall short of its expectation γ.

    The direction w is fixed.

    Args:
        disagreement_low: lower end of an interval of the probability that the two sides of a pair
            differ, (batch,).
        disagreement_high: its upper end, (batch,).
        pairs: n, at least 1, (batch,).
        alpha: failure probability, in (0, 1), given that the interval holds.
    """

    def __init__(
        self, disagreement_low: Floats, disagreement_high: Floats, pairs: Floats, alpha: float
    ):
        self._cost = -np.log(alpha) / pairs[:, None]
        self._psi = psi(disagreement_high)
        linear = (self._psi + self._cost) / LAMBDAS
        # λ falls as the true disagreement rises, so it lies between the λ of the two ends. One more
        # on either side is possible, since rounding may have moved an end that is nearly a tie.
        first = np.argmin(linear, axis=1)[:, None]
        last = np.argmin((psi(disagreement_low) + self._cost) / LAMBDAS, axis=1)[:, None]
        index = np.arange(len(LAMBDAS))
        self._possible = (index >= np.minimum(first, last) - 1) & (
            index <= np.maximum(first, last) + 1
        )
        self._linear = np.min(linear, axis=1)

    def truth_upper_bound(self, mean: Floats) -> Floats:
        """`G`: the largest γ that is compatible with a mean along w, (batch,), rounded up.

        Args:
            mean: along w, at most; (batch,).
        """
        with np.errstate(over="ignore"):
            exact = (1 + self._psi - np.exp(-LAMBDAS * mean[:, None] - self._cost)) / LAMBDAS
        exact = exact + 4 * EPS * (1 + self._psi) / LAMBDAS
        exact = np.max(np.where(self._possible, exact, -np.inf), axis=1)
        return np.minimum(exact, mean + self._linear) * (1 + 1e-12)


def psi(disagreement: Floats) -> Floats:
    """`psi_at` for each disagreement, (batch,), and every λ of `LAMBDAS`, (batch, lambdas)."""
    return psi_at(disagreement[:, None], LAMBDAS)


def psi_at(disagreement: Floats, lambdas: Floats) -> Floats:
    """`ψ(λ) = E[κ(λ|g|/2); |g| > c_π]` with `κ(t) = eᵗ − 1 − t` and `c_π = −Φ⁻¹(π/2)`, rounded up.

    Args:
        disagreement: π; any shape.
        lambdas: λ, at least 0; broadcasts.

    Returns:
        Of the broadcast shape.
    """
    pi = np.maximum(disagreement, 1e-300)
    cut = -special.ndtri(0.5 * pi)
    density = np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi)
    half = 0.5 * lambdas
    grown = np.exp(0.5 * half**2) * special.ndtr(half - cut)
    psi = 2 * (grown - 0.5 * pi - half * density)
    # The error of the exponential of a square, and of a tail, is about the square, in units of the
    # last place.
    return np.maximum(psi, 0.0) + (64 + half**2 + 4 * cut**2) * EPS * (grown + pi + half * density)

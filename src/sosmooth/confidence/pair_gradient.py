"""An upper bound of the gradient norm from antithetic pairs.

Its slack follows the disagreement of the two sides of the pairs.
Statement and proof: docs/theory/gradient_from_pairs.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_alpha
from sosmooth.confidence._bisection import safe_end
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.confidence.scalar_mean import mean_upper_bound
from sosmooth.tally import SLOPE_CAP

#: Part of the failure probability for what the pairs say of the gradient.
FOR_GRADIENT = 0.9
# Parts for the direction, the slope along it, and each side of the interval of the disagreement.
_SPLIT = (0.45, 0.45, 0.05)
_WHOLE = (FOR_GRADIENT, 0.0, 0.05)
#: Error that the sampler's sums may have: absolute for a slope and for the mean, relative for the
#: norm of the mean.
SUM_ERROR = 1e-6
# The λ of step 2, fixed in advance. Neighbours differ by 7 %, which costs at most 0.2 % of the
# bound.
LAMBDAS = np.geomspace(1e-3, 60.0, 160)


def pair_gradient_norm_upper_bound(
    *,
    direction_norm: ArrayLike,
    direction_pairs: ArrayLike,
    direction_one: ArrayLike,
    slope_pairs: ArrayLike,
    slope_sum: ArrayLike,
    slope_sq_sum: ArrayLike,
    pair_one: ArrayLike,
    pairs: ArrayLike,
    sigma: float,
    alpha: float,
) -> NDArray[np.float64]:
    """Upper bound of `‖∇p‖₂`: the largest γ with `γ ≤ G(min(‖X̄‖, ‖X̄‖ U / γ))`, divided by sigma.

    Let `z = ε/σ`, `h = (f(x + ε) − f(x − ε))/2` and `û = X̄/‖X̄‖`. X̄ is the mean of `h z` over the
    first pairs. U bounds the mean of `h û·z` from the other pairs. G says how far X̄ may fall short
    along the true gradient. Where all pairs are in X̄ there is no U, and `γ ≤ G(‖X̄‖)`.

    Args:
        direction_norm: ‖X̄‖; any shape, all arguments broadcast.
        direction_pairs: number of pairs in X̄, at least 0.
        direction_one: those of them that are right on exactly one side.
        slope_pairs: number of pairs in the two sums.
        slope_sum: sum of `y = min(h û·z, SLOPE_CAP)`.
        slope_sq_sum: sum of `y²`.
        pair_one: pairs right on exactly one side among all.
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
        and every number of pairs. This needs two things: which pairs come first was fixed before
        they were drawn, and the sums are accurate to 1e-6 a slope.

    Source:
        docs/theory/gradient_from_pairs.md.
    """
    checked_alpha(alpha)
    names = (
        direction_norm,
        direction_pairs,
        direction_one,
        slope_pairs,
        slope_sum,
        slope_sq_sum,
        pair_one,
        pairs,
    )
    given = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in names))
    norm, n1, one1, n2, total, total_sq, one, n = (value.ravel() for value in given)
    gamma = np.full(norm.shape, np.inf)
    for where, split in (((n1 > 0) & (n2 > 0), True), ((n1 > 0) & (n2 == 0), False)):
        if not np.any(where):
            continue
        for_direction, for_slope, for_disagreement = _SPLIT if split else _WHOLE
        shortfall = Shortfall(
            proportion_lower_bound(one[where], n[where], for_disagreement * alpha),
            proportion_upper_bound(one[where], n[where], for_disagreement * alpha),
            n1[where],
            for_direction * alpha,
        )
        length = norm[where] * (1 + SUM_ERROR)
        if not split:
            gamma[where] = shortfall.truth_upper_bound(length)
            continue
        # The largest second moment of h along one direction is about three times that of h alone.
        guess = 1.7 * 0.25 * (one1[where] + 1) / n1[where]
        slope = mean_upper_bound(
            n2[where],
            total[where],
            total_sq[where],
            upper=SLOPE_CAP,
            expected_sq=guess,
            alpha=for_slope * alpha,
        )
        product = length * np.maximum(slope + CAP_BIAS + SUM_ERROR, 0.0)
        gamma[where] = _largest_gamma(length, product, shortfall)
    with np.errstate(over="ignore"):  # infinity bounds it too
        return (gamma * (1 + SUM_ERROR) / sigma).reshape(given[0].shape)[()]


class Shortfall:
    """Step 2: how far the mean of `h (w·z)` over n pairs may fall short of its expectation γ.

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
        self.psi = psi(disagreement_high)
        linear = (self.psi + self._cost) / LAMBDAS
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
            exact = (1 + self.psi - np.exp(-LAMBDAS * mean[:, None] - self._cost)) / LAMBDAS
        exact = exact + 4 * EPS * (1 + self.psi) / LAMBDAS
        exact = np.max(np.where(self._possible, exact, -np.inf), axis=1)
        return np.minimum(exact, mean + self._linear) * (1 + 1e-12)


def _largest_gamma(length: Floats, product: Floats, shortfall: Shortfall) -> Floats:
    """The largest γ with `γ ≤ G(min(length, product / γ))`, (batch,), rounded up."""

    def is_too_large(gamma: Floats) -> NDArray[np.bool_]:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            along = np.where(product > 0, product / gamma, 0.0) + SUM_ERROR
        return gamma > shortfall.truth_upper_bound(np.minimum(along, length))

    # The two sides cross once: the right one falls with γ.
    at_most = shortfall.truth_upper_bound(length)
    return safe_end(is_too_large, np.zeros_like(length), at_most, 60)


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


def _cap_bias(cap: float) -> float:
    """`E[(|g|/2 − cap)₊] = φ(c) − c Φ(−c)`, `c = 2 cap`: what the cap takes off the mean."""
    c = 2 * cap
    return float(np.exp(-0.5 * c * c) / np.sqrt(2 * np.pi) - c * special.ndtr(-c)) * (1 + 1e-9)


#: At most this.
CAP_BIAS = _cap_bias(SLOPE_CAP)

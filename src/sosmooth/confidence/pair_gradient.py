"""An upper bound of the gradient norm from antithetic pairs; its slack grows as √dimension and with the disagreement only.

Statement and proof: docs/theory/gradient_from_pairs.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.confidence.scalar_mean import mean_upper_bound
from sosmooth.tally import DIRECTION_SHARE, SLOPE_CAP

Floats = NDArray[np.float64]

# What the three events get of the failure probability: direction, slope along it, disagreement.
_DIRECTION, _SLOPE, _DISAGREEMENT = 0.45, 0.45, 0.10
# Absolute error that the sampler's sums may have: of the slopes, and of the norm of the mean relative to it.
_SUM_ERROR = 1e-6
_EPS = np.finfo(np.float64).eps


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
    """Upper bound of `‖∇p‖₂`: `γ ≤ (e + √(e² + 4 ‖X̄‖ max(U, 0)))/2`, divided by sigma.

    With `z = ε/σ` and `h = (f(x + ε) − f(x − ε))/2`: X̄ is the mean of `h z` over the first pairs, U bounds the mean of
    `h û·z`, `û = X̄/‖X̄‖`, from the others, and `e` bounds how far X̄ falls short along the true gradient.

    Args:
        direction_norm: ‖X̄‖; any shape, all arguments broadcast.
        direction_pairs: number of pairs in X̄, at least 0. direction_one: those of them right on exactly one side.
        slope_pairs: number of pairs in the two sums. slope_sum, slope_sq_sum: sums of `min(h û·z, SLOPE_CAP)` and its square.
        pair_one: pairs right on exactly one side among all. pairs: number of all, at least 1.
        sigma: noise level, input units.
        alpha: failure probability of this bound alone, in (0, 1).
    Returns:
        Float64 of the broadcast shape, per input unit, at least 0, rounded up; `inf` where either part has no pair.
    Raises:
        ValueError: alpha outside (0, 1), counts out of range.
    Guarantee:
        P(bound < ‖∇p‖₂) ≤ alpha for every base classifier with values in {0, 1}, every dimension and number of pairs, provided
        that which pairs are first was fixed before they were drawn and the sums are accurate to 1e-6 a slope.
    Source:
        docs/theory/gradient_from_pairs.md.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be a failure probability in (0, 1); got {alpha!r}")
    names = (direction_norm, direction_pairs, direction_one, slope_pairs, slope_sum, slope_sq_sum, pair_one, pairs)
    norm, n1, one1, n2, total, total_sq, one, n = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in names))
    disagreement = proportion_upper_bound(one, n, _DISAGREEMENT * alpha)
    shortfall = direction_shortfall(disagreement, np.maximum(n1, 1), _DIRECTION * alpha)
    # Between h² alone and its largest second moment along one direction lies a factor of about three.
    guess = 1.7 * 0.25 * (one1 + 1) / np.maximum(n1, 1)
    slope = mean_upper_bound(n2, total, total_sq, upper=SLOPE_CAP, expected_sq=guess, alpha=_SLOPE * alpha)
    slope = np.maximum(slope + _CAP_BIAS + _SUM_ERROR, 0.0)
    product = norm * (1 + _SUM_ERROR) * slope
    gamma = 0.5 * (shortfall + np.sqrt(shortfall**2 + 4 * product)) * (1 + _SUM_ERROR)
    return np.where((n1 > 0) & (n2 > 0), gamma / sigma * (1 + 4 * _EPS), np.inf)[()]


def direction_shortfall(disagreement: ArrayLike, pairs: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """How far the mean of `h (w·z)` may fall below its expectation γ: `e(π) = min_λ (ψ(λ) + ln(1/alpha)/n)/λ`.

    `ψ(λ) = E[κ(λ|g|/2); |g| > c_π]`, `κ(t) = eᵗ − 1 − t`, `c_π = −Φ⁻¹(π/2)`, g standard normal.

    Args:
        disagreement: π, an upper bound of the probability that the two sides of a pair differ, in [0, 1]; any shape.
        pairs: number of pairs n, at least 1; broadcasts.
        alpha: failure probability, in (0, 1).
    Returns:
        Float64 of the broadcast shape, in units of `γ = σ‖∇p‖`, positive, rounded up.
    Guarantee:
        For every unit vector w: P(mean of h (w·z) < γ_w − e(π), disagreement ≤ π) ≤ alpha, γ_w its expectation.
    Source:
        docs/theory/gradient_from_pairs.md, step 2.
    """
    share, n = np.broadcast_arrays(np.asarray(disagreement, dtype=np.float64), np.asarray(pairs, dtype=np.float64))
    share = np.maximum(share, 1e-300)[..., None]
    cost = -np.log(alpha) / n[..., None]
    cut = -special.ndtri(0.5 * share)
    density = np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi)
    second_moment = 0.25 * (share + 2 * cut * density)
    # Any λ gives a bound: a few near the one that is best for small λ, where ψ ≈ λ² · second_moment / 2.
    half = 0.5 * np.sqrt(2 * cost / second_moment) * np.geomspace(1 / 8, 1.1, 32)
    half = np.minimum(half, 30.0)
    grown = np.exp(0.5 * half**2) * special.ndtr(half - cut)
    psi = 2 * (grown - 0.5 * share - half * density)
    error = 64 * _EPS * (grown + share + half * density)
    return np.min((np.maximum(psi, 0.0) + error + cost) / (2 * half), axis=-1)[()] * (1 + 1e-12)


def _cap_bias(cap: float) -> float:
    """`E[(|g|/2 − cap)₊] = φ(c) − c Φ(−c)`, `c = 2 cap`: the most that cutting off takes from the mean."""
    c = 2 * cap
    return float(np.exp(-0.5 * c * c) / np.sqrt(2 * np.pi) - c * special.ndtr(-c)) * (1 + 1e-9)


_CAP_BIAS = _cap_bias(SLOPE_CAP)


def gradient_can_help(selection_wrong: ArrayLike, n0: ArrayLike, n: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """Whether a gradient bound from the pairs may come below the largest gradient norm that the probability allows.

    At an error rate that the selection samples make likely, half the largest norm, `φ(Φ⁻¹(error))/2`, must exceed the slack.

    Args:
        selection_wrong: selection evaluations that did not return the selected class, integers; any shape.
        n0: selection evaluations, at least 1. n: estimation evaluations, at least 4. Broadcast.
        alpha: failure probability of the gradient bound, in (0, 1).
    Returns:
        Booleans of the broadcast shape. Where False, draw no gradient and spend nothing on it: the answer depends on the
        selection samples only, so the guarantee stands either way.
    """
    wrong, n0, n = (np.asarray(value, dtype=np.float64) for value in (selection_wrong, n0, n))
    error = np.minimum((wrong + 0.7) / (n0 + 0.4), 0.5)  # about the median of what the truth may be
    pairs = np.maximum(DIRECTION_SHARE * n / 2, 1)
    largest = np.exp(-0.5 * special.ndtri(error) ** 2) / np.sqrt(2 * np.pi)
    return direction_shortfall(np.minimum(2 * error, 1.0), pairs, _DIRECTION * alpha) < 0.5 * largest

"""Evidence, valid at every stopping time, on which side of one half a certificate's value lies: tests by betting.

Each bet pays `1 + λ (Y − 1/2)`, where the mean of Y is at most the value; under the null its expectation is at most 1, so
the wealth of any mixture of bets exceeds `1/alpha`, ever, with probability at most alpha (Ville 1939). The mixture is fixed
beforehand, so the wealth follows from the counts alone, whatever their order. Statement and proof: docs/theory/stopping.md.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

#: Bets, as shares of the largest that cannot lose everything: a factor √2 apart costs at most four per cent of the growth.
_STAKES = 0.995 * 2.0 ** (-0.5 * np.arange(18))
# Points of the curve "value = 1/2" where pairs bet on its tangent, and those of the polygon that bounds it.
_TANGENTS, _CORNERS = 6, 129
# Taken off a logarithm of wealth, relative to the size of its terms: far more than their rounding.
_ROUNDING = 1e-11


def proportion_evidence(
    right: ArrayLike, wrong: ArrayLike, distance: float
) -> tuple[Floats, Floats]:
    """Evidence that the first-order value at a distance is above, and that it is below, one half: of p against `Φ(distance)`.

    Args:
        right, wrong: counts, whole numbers of at least 0; any shape, broadcast.
        distance: units of sigma, positive.
    Returns:
        Logarithms of the wealth of those who bet that it is above, and that it is below; rounded down.
    Guarantee:
        For every p ≤ Φ(distance), `P(above ≥ ln(1/alpha) at any time) ≤ alpha`; for every p ≥ Φ(distance) the same of below.
    Source:
        Ville 1939; bets on a binomial proportion for certification: Voráček 2024. docs/theory/stopping.md.
    """
    counts = np.stack(np.broadcast_arrays(np.asarray(right, float), np.asarray(wrong, float)), -1)
    up, down = special.ndtr(-distance), -special.ndtr(distance)
    return _log_wealth(counts, _gains(np.array([[up, down]]))), _log_wealth(
        counts, _gains(np.array([[-up, -down]]))
    )


def pair_evidence(
    both: ArrayLike, one: ArrayLike, none: ArrayLike, distance: float
) -> tuple[Floats, Floats]:
    """Evidence that the dipole certificate's value at a distance is above, and that it is at most, one half.

    Args:
        both, one, none: antithetic pairs right on both sides, on exactly one, on none; any shape, broadcast.
        distance: units of sigma, positive.
    Returns:
        Logarithms of wealth as in `proportion_evidence`, rounded down.
    Guarantee:
        If the value `Φ(c − r) + Φ(s − r) − Φ(−s − r)` at the truth is at most 1/2, `P(above ≥ ln(1/alpha) at any time) ≤ alpha`;
        if it is at least 1/2, the same of below.
    Source:
        docs/theory/stopping.md.
    """
    counts = np.stack(np.broadcast_arrays(*(np.asarray(k, float) for k in (both, one, none))), -1)
    curve = _half_curve(float(distance))
    return _log_wealth(counts, _gains(_tangent_payoffs(float(distance)))), _below(counts, *curve)


def _log_wealth(counts: Floats, log_gains: Floats) -> Floats:
    """Logarithm of the mean wealth of all bets, which stake the same at first."""
    wealth = counts @ log_gains.T - _ROUNDING * (1 + counts @ np.abs(log_gains).T)
    return special.logsumexp(wealth, axis=-1) - np.log(len(log_gains))


def _gains(payoffs: Floats) -> Floats:
    """Logarithms of `1 + λ payoff` for each stake, (bets, outcomes); the payoffs' expectation is at most 0 under the null."""
    stakes = _STAKES[:, None, None] / -payoffs.min(axis=1)[:, None]
    return np.log1p(stakes * payoffs).reshape(-1, payoffs.shape[1])


def _half_value(c_n: Floats, r: float) -> Floats:
    """What the pairs right on one side keep at distance r: `Φ(Φ⁻¹(C_N) − r)`."""
    return special.ndtr(special.ndtri(c_n) - r)


def _slab(value: Floats, r: float) -> Floats:
    """The half-width s with `Φ(s − r) − Φ(−s − r) = value`, rounded up."""
    low, high = np.zeros(np.shape(value)), np.full(np.shape(value), r + 10.0)
    for _ in range(70):
        s = 0.5 * (low + high)
        enough = special.ndtr(s - r) - special.ndtr(-s - r) >= value
        low, high = np.where(enough, low, s), np.where(enough, s, high)
    return high


@lru_cache(maxsize=8)
def _half_curve(r: float) -> tuple[Floats, Floats]:
    """Points (C_N, C_S) with value 1/2 at distance r, from `C_N = 0` to where no pair is wrong on both sides."""
    c_n = special.ndtr(-r) * np.linspace(0.0, 1.0, _CORNERS)
    c_s = 1 - 2 * special.ndtr(-_slab(0.5 - _half_value(c_n, r), r))
    return c_n, c_s


def _tangent_payoffs(r: float) -> Floats:
    """`a (1[both] − C_S) + b (1[one]/2 − C_N)` for tangents of the value at points of the curve, (tangents, 3 outcomes)."""
    c_n = special.ndtr(-r) * (np.arange(_TANGENTS) + 0.5) / _TANGENTS
    s = _slab(0.5 - _half_value(c_n, r), r)
    both_lost = 2 * special.ndtr(-s)
    a, b = np.exp(-0.5 * r * r) * np.cosh(r * s), np.exp(r * special.ndtri(c_n) - 0.5 * r * r)
    wrong = -a * (1 - both_lost) - b * c_n
    return np.stack([a * both_lost - b * c_n, wrong + 0.5 * b, wrong], axis=1)


def _below(counts: Floats, c_n: Floats, c_s: Floats) -> Floats:
    """Jeffreys' mixture of the likelihood over its largest value where the certificate's value is at least 1/2.

    The likelihood's logarithm is concave along each side of the polygon, so two tangents bound it there.
    """
    total = counts.sum(-1)
    mixture = (
        special.gammaln(counts + 0.5).sum(-1)
        - special.gammaln(total + 1.5)
        + special.gammaln(1.5)
        - 3 * special.gammaln(0.5)
    )
    points = np.stack([c_s, 2 * c_n, np.maximum(1 - c_s - 2 * c_n, 0.0)], axis=-1)
    start, end, step = points[:-1], points[1:], np.diff(points, axis=0)
    k = counts[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        at_start, at_end = (special.xlogy(k, p).sum(-1) for p in (start, end))
        rise, fall = (np.where(k > 0, k * step / p, 0.0).sum(-1) for p in (start, end))
        crossing = at_start + rise * (at_end - at_start - fall) / (rise - fall)
        # At the ends of the polygon the likelihood may vanish: there one tangent serves.
        inner = np.where(
            np.isneginf(at_start),
            at_end - fall,
            np.where(np.isneginf(at_end), at_start + rise, crossing),
        )
    inner = np.where(np.isnan(inner), np.inf, np.maximum(inner, np.maximum(at_start, at_end)))
    largest = np.where(rise <= 0, at_start, np.where(fall >= 0, at_end, inner)).max(-1)
    share = counts / np.maximum(total, 1)[..., None]
    inside = share[..., 0] < np.interp(0.5 * share[..., 1], c_n, c_s)
    return np.where(inside & (total > 0), mixture - largest - _ROUNDING * (1 + total), -np.inf)

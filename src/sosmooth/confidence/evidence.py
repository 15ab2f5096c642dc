"""Evidence, valid at every stopping time, on a certificate's value at a distance: tests by betting.

Is the value above one half, or is the class ahead of a rival there? Each bet pays
`1 + λ (Y − 1/2)`, where the mean of Y is at most the value. Under the null its expectation is at
most 1, so the wealth of any mixture of bets ever exceeds `1/alpha` with probability at most alpha
(Ville 1939). The mixture is fixed beforehand, so the wealth follows from the counts alone, whatever
their order. Statements and proofs: docs/theory/stopping.md.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import Floats
from sosmooth.confidence._bisection import safe_end

#: Bets, as fractions of the largest one that cannot lose everything: a factor √2 between them costs
#: at most four per cent of the growth.
_STAKES: Floats = np.asarray(0.995 * 2.0 ** (-0.5 * np.arange(18)), np.float64)
# Points of the curve "value = 1/2" where pairs bet on its tangent, and those of the polygon that
# bounds it.
_TANGENTS, _CORNERS = 6, 129
# Against a rival: values at which the two classes may meet, the points of the curve of each, and
# the stakes, a factor 2 apart.
_LEVELS: Floats = np.asarray(special.ndtr(np.linspace(0.0, -1.2, 5)), np.float64)
_TANGENTS_OF_TWO = 3
# Values at which the class and "not the rival" may both be too low. More of them cost nothing but
# time: one martingale bounds the evidence at all of them.
_LOW_LEVELS: Floats = np.asarray(special.ndtr(np.linspace(0.0, -1.5, 16)), np.float64)
_STAKES_OF_TWO = slice(0, None, 2)
# Taken off a logarithm of wealth, relative to the size of its terms: far more than their rounding.
_ROUNDING = 1e-11


def proportion_evidence(
    right: ArrayLike, wrong: ArrayLike, distance: float
) -> tuple[Floats, Floats]:
    """Evidence that the first-order value at a distance is above, or below, one half.

    That is, that p is above, or below, `Φ(distance)`.

    Args:
        right: right evaluations, whole numbers of at least 0; any shape.
        wrong: the others, whole numbers of at least 0; broadcasts.
        distance: units of sigma, positive.

    Returns:
        Logarithms of the wealth of those who bet that it is above, and that it is below; rounded
        down.

    Guarantee:
        For every p ≤ Φ(distance), `P(above ≥ ln(1/alpha) at any time) ≤ alpha`; for every
        p ≥ Φ(distance) the same of below.

    Source:
        Ville 1939; bets on a binomial proportion for certification: Voráček 2024.
        docs/theory/stopping.md.
    """
    counts = np.stack(np.broadcast_arrays(np.asarray(right, float), np.asarray(wrong, float)), -1)
    up, down = special.ndtr(-distance), -special.ndtr(distance)
    return _log_wealth(counts, _gains(np.array([[up, down]]))), _log_wealth(
        counts, _gains(np.array([[-up, -down]]))
    )


def pair_evidence(
    both: ArrayLike, one: ArrayLike, none: ArrayLike, distance: float
) -> tuple[Floats, Floats]:
    """Evidence that the dipole certificate's value at a distance is above, or at most, one half.

    Args:
        both: antithetic pairs right on both sides; any shape.
        one: right on exactly one side; broadcasts.
        none: right on none; broadcasts.
        distance: units of sigma, positive.

    Returns:
        Logarithms of wealth as in `proportion_evidence`, rounded down.

    Guarantee:
        If the value `Φ(c − r) + Φ(s − r) − Φ(−s − r)` at the truth is at most 1/2,
        `P(above ≥ ln(1/alpha) at any time) ≤ alpha`; if it is at least 1/2, the same of below.

    Source:
        docs/theory/stopping.md.
    """
    counts = np.stack(np.broadcast_arrays(*(np.asarray(k, float) for k in (both, one, none))), -1)
    gains = _gains(_tangent_payoffs(float(distance), 0.5, _TANGENTS))
    return _log_wealth(counts, gains), _below(counts, *_level_curve(float(distance), 0.5))


def proportion_ahead(
    right: ArrayLike, rival: ArrayLike, n: ArrayLike, distance: float
) -> tuple[Floats, Floats, Floats]:
    """Evidence that a class is ahead of a rival at a distance, and that it is not, first order.

    Args:
        right: evaluations that returned the class; any shape.
        rival: those that returned the rival; broadcasts.
        n: all of them; broadcasts.
        distance: units of sigma, positive.

    Returns:
        Logarithm of the wealth of those who bet that the values at the distance, of the class and
        of "not the rival", add up to more than 1; and for each of a few levels v, on the first
        axis, evidence that the class is below v, and that "not the rival" is below 1 − v.

    Guarantee:
        If the two add up to at most 1, `P(ahead ≥ ln(1/alpha) at any time) ≤ alpha`. The same of
        each of the others, at all levels at once, where that value is not below.

    Source:
        docs/theory/stopping.md.
    """
    right, rival, n = np.broadcast_arrays(*(np.asarray(k, float) for k in (right, rival, n)))
    counts = np.stack([right, rival, n - right - rival], -1)
    ahead = _log_wealth(counts, _two_proportions(float(distance)))
    at = special.ndtri(_LOW_LEVELS)
    below = [
        [_proportion_below(k, n - k, float(special.ndtr(z + distance))) for z in levels]
        for k, levels in ((right, at), (n - rival, -at))
    ]
    return ahead, np.array(below[0]), np.array(below[1])


def pairs_ahead(
    both: ArrayLike,
    one: ArrayLike,
    rival_both: ArrayLike,
    rival_one: ArrayLike,
    pairs: ArrayLike,
    distance: float,
) -> tuple[Floats, Floats, Floats]:
    """The same of antithetic pairs and the dipole certificate's values.

    How many pairs have the class on one side and the rival on the other is not known; the wealth is
    that of the fewest possible, which is the least.

    Args:
        both: pairs of which both sides returned the class; any shape.
        one: of which exactly one side did; broadcasts, as all others.
        rival_both: of which both sides returned the rival.
        rival_one: of which exactly one side did.
        pairs: all of them.
        distance: units of sigma, positive.

    Returns:
        As `proportion_ahead`.

    Guarantee:
        As for `proportion_ahead`.

    Source:
        docs/theory/stopping.md.
    """
    both, one, rival_both, rival_one, pairs = np.broadcast_arrays(
        *(np.asarray(k, float) for k in (both, one, rival_both, rival_one, pairs))
    )
    taken = both + one + rival_both + rival_one
    mixed = np.maximum(taken - pairs, 0.0)
    rest = [one - mixed, rival_both, rival_one - mixed, pairs - taken + mixed]
    ahead = _log_wealth(np.stack([both, mixed, *rest], -1), _two_pairs(float(distance)))
    of_class = np.stack([both, one, pairs - both - one], -1)
    of_others = np.stack([pairs - rival_both - rival_one, rival_one, rival_both], -1)
    below = np.full((2, len(_LOW_LEVELS), *ahead.shape), -np.inf)
    for position, level in enumerate(_LOW_LEVELS.tolist()):
        curves = [_level_curve(float(distance), v) for v in (level, 1 - level)]
        # Only both together say something.
        both_low = _is_below(of_class, *curves[0]) & _is_below(of_others, *curves[1])
        for of, (counts, curve) in enumerate(zip((of_class, of_others), curves, strict=True)):
            below[of, position, both_low] = _below(counts[both_low], *curve)
    return ahead, below[0], below[1]


def _log_wealth(counts: Floats, log_gains: Floats) -> Floats:
    """Logarithm of the mean wealth of all bets, which stake the same at first."""
    wealth = counts @ log_gains.T - _ROUNDING * (1 + counts @ np.abs(log_gains).T)
    return special.logsumexp(wealth, axis=-1) - np.log(len(log_gains))


def _gains(payoffs: Floats, stakes: Floats = _STAKES) -> Floats:
    """Logarithms of `1 + λ payoff` for each stake, (bets, outcomes).

    The expectation of the payoffs is at most 0 under the null.
    """
    stakes = stakes[:, None, None] / -payoffs.min(axis=1)[:, None]
    return np.log1p(stakes * payoffs).reshape(-1, payoffs.shape[1])


def _half_value(c_n: Floats, r: float) -> Floats:
    """What the pairs right on one side keep at distance r: `Φ(Φ⁻¹(C_N) − r)`."""
    return special.ndtr(special.ndtri(c_n) - r)


def _slab(value: Floats, r: float) -> Floats:
    """The half-width s with `Φ(s − r) − Φ(−s − r) = value`, rounded up."""

    def is_enough(s: Floats) -> NDArray[np.bool_]:
        return special.ndtr(s - r) - special.ndtr(-s - r) >= value

    return safe_end(is_enough, np.zeros(np.shape(value)), np.full(np.shape(value), r + 10.0), 70)


@lru_cache(maxsize=64)
def _level_curve(r: float, level: float) -> tuple[Floats, Floats]:
    """Points (C_N, C_S) with the value `level` at distance r, from `C_N = 0` to its largest C_N."""
    c_n = _largest_c_n(r, level) * np.linspace(0.0, 1.0, _CORNERS)
    c_s = 1 - 2 * special.ndtr(-_slab(level - _half_value(c_n, r), r))
    if special.ndtri(level) + r < 0:
        c_s[-1] = 0.0  # it is rounded up, and fractions beyond the end are not below the level
    return c_n, c_s


def _largest_c_n(r: float, level: float) -> float:
    """Where no pair is wrong on both sides, or where none is right on both, whichever is first."""
    return float(special.ndtr(-np.abs(special.ndtri(level) + r)))


def _tangent_payoffs(r: float, level: float, tangents: int) -> Floats:
    """`a (1[both] − C_S) + b (1[one]/2 − C_N)` for tangents at points of the curve of a level.

    Returns:
        (tangents, outcomes): both, one, none.
    """
    c_n = _largest_c_n(r, level) * (np.arange(tangents) + 0.5) / tangents
    s = _slab(level - _half_value(c_n, r), r)
    both_lost = 2 * special.ndtr(-s)
    a, b = np.exp(-0.5 * r * r) * np.cosh(r * s), np.exp(r * special.ndtri(c_n) - 0.5 * r * r)
    wrong = -a * (1 - both_lost) - b * c_n
    return np.stack([a * both_lost - b * c_n, wrong + 0.5 * b, wrong], axis=1)


@lru_cache(maxsize=8)
def _two_proportions(r: float) -> Floats:
    """Gains of bets on the class and against the rival: (bets, outcomes class, rival, other)."""
    payoffs = []
    for z in special.ndtri(_LEVELS):
        p, q = special.ndtr(z + r), special.ndtr(r - z)
        a, b = np.exp(r * z + 0.5 * r * r), np.exp(-r * z + 0.5 * r * r)
        payoffs.append([a * (1 - p) + b * (1 - q), -a * p - b * q, -a * p + b * (1 - q)])
    return _gains(np.array(payoffs))


@lru_cache(maxsize=8)
def _two_pairs(r: float) -> Floats:
    """The same of pairs: (bets, outcomes).

    Outcomes: the class on both sides; the class and the rival; the class and another; the rival on
    both; the rival and another; others on both.
    """
    payoffs = []
    for level in _LEVELS.tolist():
        of_class = _tangent_payoffs(r, level, _TANGENTS_OF_TWO)[:, None]
        of_others = _tangent_payoffs(r, 1 - level, _TANGENTS_OF_TWO)[None]
        both, one, none = np.moveaxis(of_class, -1, 0)
        neither, rival_one, rival_both = np.moveaxis(of_others, -1, 0)
        outcomes = [
            both + neither,
            one + rival_one,
            one + neither,
            none + rival_both,
            none + rival_one,
            none + neither,
        ]
        payoffs.append(np.stack(outcomes, -1).reshape(-1, 6))
    return _gains(np.concatenate(payoffs), _STAKES[_STAKES_OF_TWO])


def _proportion_below(right: Floats, wrong: Floats, p: float) -> Floats:
    """Jeffreys' mixture of the likelihood over its largest value where the probability is ≥ p."""
    total = right + wrong
    mixture = special.betaln(right + 0.5, wrong + 0.5) - special.betaln(0.5, 0.5)
    largest = special.xlogy(right, p) + special.xlog1py(wrong, -p)
    found = mixture - largest - _ROUNDING * (1 + total - mixture - largest)
    return np.where((right < total * p) & (total > 0), found, -np.inf)


def _below(counts: Floats, c_n: Floats, c_s: Floats) -> Floats:
    """Jeffreys' mixture of the likelihood over its largest value where the value is not below.

    The likelihood's logarithm is concave along each side of the polygon, so two tangents bound it
    there.
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
        # At the ends of the polygon the likelihood may be 0: there one tangent is enough.
        inner = np.where(
            np.isneginf(at_start),
            at_end - fall,
            np.where(np.isneginf(at_end), at_start + rise, crossing),
        )
    inner = np.where(np.isnan(inner), np.inf, np.maximum(inner, np.maximum(at_start, at_end)))
    largest = np.where(rise <= 0, at_start, np.where(fall >= 0, at_end, inner)).max(-1)
    found = mixture - largest - _ROUNDING * (1 + total)
    return np.where(_is_below(counts, c_n, c_s), found, -np.inf)


def _is_below(counts: Floats, c_n: Floats, c_s: Floats) -> NDArray[np.bool_]:
    """Whether the observed fractions lie on the near side of a curve."""
    total = counts.sum(-1)
    part = counts / np.maximum(total, 1)[..., None]
    return (part[..., 0] < np.interp(0.5 * part[..., 1], c_n, c_s)) & (total > 0)

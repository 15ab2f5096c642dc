"""Evidence by betting.

No bet wins on average under the null, for any counts, and evidence grows where there is some.
"""

import numpy as np
import pytest
from scipy import special, stats

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.confidence import evidence
from sosmooth.confidence.evidence import (
    pair_evidence,
    pairs_ahead,
    proportion_ahead,
    proportion_evidence,
)

DISTANCES = [0.01, 0.4, 1.0, 2.5, 6.0]
rng = np.random.default_rng(0)
# Probabilities of pairs right on both sides, on one, on none; some are on the edges.
TRUTHS = np.concatenate(
    [
        rng.dirichlet([1, 1, 1], 500),
        rng.dirichlet([0.2, 0.2, 0.2], 500),
        np.eye(3),
        [[0.5, 0.5, 0], [0.5, 0, 0.5]],
    ]
)


def value(truth, r):
    """The value of the dipole certificate at distance r."""
    c_n, s = 0.5 * truth[..., 1], special.ndtri(0.5 * (1 + truth[..., 0]))
    return special.ndtr(special.ndtri(c_n) - r) + special.ndtr(s - r) - special.ndtr(-s - r)


def outcomes(n):
    """Every outcome of n pairs, and its log probability under each truth (truths, outcomes)."""
    one, none = (k.ravel() for k in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    counts = np.stack([n - one - none, one, none], -1)[one + none <= n]
    ways = special.gammaln(n + 1) - special.gammaln(counts + 1).sum(-1)
    return counts, lambda truth: ways + special.xlogy(counts, truth[:, None]).sum(-1)


@pytest.mark.parametrize("level", [0.5, 0.3, 0.12, 0.88])
@pytest.mark.parametrize("r", DISTANCES)
def test_tangents_are_never_above_the_value(r, level):
    payoffs = evidence._tangent_payoffs(r, level, 6)
    assert np.all(TRUTHS @ payoffs.T - value(TRUTHS, r)[:, None] <= 1e-12 - level)
    assert np.all(payoffs[:, 0] > 0)
    assert np.all(payoffs[:, 2] < 0)


@pytest.mark.parametrize("r", DISTANCES)
def test_no_mixture_of_bets_wins_on_average(r):
    counts, log_probability = outcomes(24)
    above, below = pair_evidence(*counts.T, r)
    curve = evidence._level_curve(r, 0.5)
    on_curve = np.stack([curve[1], 2 * curve[0], np.maximum(1 - curve[1] - 2 * curve[0], 0)], -1)
    truths = np.concatenate([TRUTHS, on_curve])
    of = value(truths, r)
    wealth = np.exp(log_probability(truths)) @ np.exp(np.stack([above, below], -1))
    null = of <= 0.5 + 1e-12
    assert np.all(wealth[null, 0] <= 1 + 1e-9)
    assert np.all(wealth[of >= 0.5 - 1e-12, 1] <= 1 + 1e-9)
    assert np.max(wealth[~null, 0]) > 1  # otherwise nothing was tested


@pytest.mark.parametrize("r", DISTANCES)
def test_no_bet_on_a_proportion_wins_on_average(r):
    n, right = 60, np.arange(61)
    above, below = proportion_evidence(right, n - right, r)
    for p, wealth in (
        (special.ndtr(r), above),
        (0.9 * special.ndtr(r), above),
        (special.ndtr(r), below),
    ):
        # 1 − p has seven digits at six sigma.
        assert special.logsumexp(stats.binom.logpmf(right, n, p) + wealth) <= 1e-6


def smallest_ratio(counts, truths):
    """The logarithm of the mixture over the largest likelihood of 400 pairs, (batch,)."""
    mixture = (
        special.gammaln(counts + 0.5).sum(-1)
        - special.gammaln(401.5)
        + special.gammaln(1.5)
        - 3 * special.gammaln(0.5)
    )
    return mixture - special.xlogy(counts[:, None], truths).sum(-1).max(1)


@pytest.mark.parametrize("r", DISTANCES)
def test_evidence_against_the_radius_is_below_every_likelihood_ratio(r):
    """The ratio of the mixture to the likelihood is at least the claimed evidence.

    It holds at any truth that the method could certify.
    """
    certifiable = TRUTHS[value(TRUTHS, r) >= 0.5]
    counts = rng.multinomial(400, TRUTHS)
    _, below = pair_evidence(*counts.T, r)
    assert np.all(below <= smallest_ratio(counts, certifiable))
    assert np.max(below) > 7


@pytest.mark.parametrize("level", [0.5, 0.3, 0.12, 0.88])
@pytest.mark.parametrize("r", [0.01, 0.4, 1.0, 2.5])
def test_evidence_below_a_level_is_below_every_likelihood_ratio(r, level):
    certifiable = TRUTHS[value(TRUTHS, r) >= level]
    counts = rng.multinomial(400, TRUTHS)
    below = evidence._below(counts, *evidence._level_curve(r, level))
    assert np.all(below <= smallest_ratio(counts, certifiable))
    assert np.max(below) > 7
    p = np.linspace(0.01, 0.99, 99)
    for edge in (0.2, 0.5, 0.9):
        right = np.arange(401)
        found = evidence._proportion_below(right, 400 - right, edge)
        largest = (right[:, None] * np.log(p) + (400 - right[:, None]) * np.log1p(-p))[:, p >= edge]
        jeffreys = special.betaln(right + 0.5, 400.5 - right) - special.betaln(0.5, 0.5)
        assert np.all(found <= jeffreys - largest.max(1))
        assert found[0] > 7


#: Joint laws of a pair: the class on both sides; class and rival; class and another; the rival on
#: both; rival and another; others on both.
JOINT = np.concatenate(
    [rng.dirichlet(np.ones(6), 4000), rng.dirichlet(0.2 * np.ones(6), 4000), np.eye(6)]
)


def of_two(joint):
    """Probabilities of pairs (both, one, none) of the class, and of "not the rival"."""
    aa, ac, ao, cc, co, oo = np.moveaxis(joint, -1, 0)
    return (
        np.stack([aa, ac + ao, cc + co + oo], -1),
        np.stack([aa + ao + oo, ac + co, cc], -1),
    )


@pytest.mark.parametrize("r", DISTANCES)
def test_no_bet_against_a_rival_wins_on_average(r):
    """For every joint law under which the class does not lead; some win where it leads."""
    gains = np.exp(evidence._two_pairs(r))
    ahead = np.sum([value(one, r) for one in of_two(JOINT)], axis=0) - 1
    wealth = JOINT @ gains.T
    assert np.all(wealth[ahead <= 0] <= 1 + 1e-9)
    assert np.max(wealth[ahead > 0]) > 1
    p, q = rng.dirichlet(np.ones(3), 4000).T[:2]
    gains = np.exp(evidence._two_proportions(r))
    ahead = special.ndtri(p) - special.ndtri(q) - 2 * r
    wealth = np.stack([p, q, np.maximum(1 - p - q, 0)], -1) @ gains.T
    assert np.all(wealth[ahead <= 0] <= 1 + 1e-9)


@pytest.mark.parametrize(
    "r", [0.05, *(pytest.param(r, marks=pytest.mark.slow) for r in (0.4, 1.0))]
)
def test_what_the_counts_leave_open_costs_wealth(r):
    """Nobody counts the pairs with both classes: the evidence is at most that of the truth."""
    n = 40
    counts = rng.multinomial(n, JOINT)
    aa, ac, ao, cc, co, _ = counts.T
    found = pairs_ahead(aa, ac + ao, cc, ac + co, n, r)[0]
    known = evidence._log_wealth(counts, evidence._two_pairs(r))
    assert np.all(found <= known + 1e-9)
    assert np.mean(found > known - 0.1) > 0.2


@pytest.mark.parametrize(
    "r", [0.05, *(pytest.param(r, marks=pytest.mark.slow) for r in (0.4, 1.0))]
)
def test_a_rival_with_fewer_votes_is_no_obstacle(r):
    """`stopping` looks only at the strongest rivals."""
    n = 60
    counts = rng.multinomial(n, JOINT[:2000])
    aa, ac, ao, cc, co, _ = counts.T
    stronger = pairs_ahead(aa, ac + ao, cc, ac + co, n, r)[0]
    same = rng.integers(0, cc + 1)
    one = rng.integers(0, cc + ac + co - same + 1)
    weaker = pairs_ahead(aa, ac + ao, same, np.minimum(one, cc + ac + co - same), n, r)[0]
    assert np.all(weaker >= stronger - 1e-9)


def test_evidence_is_about_who_is_ahead():
    shares = np.array([[0.45, 0.2], [0.45, 0.4], [0.3, 0.05], [0.8, 0.19]])
    radius = 0.5 * (special.ndtri(shares[:, 0]) - special.ndtri(shares[:, 1]))
    for r in (0.2, 0.5, 0.9):
        ahead, below, rival_below = proportion_ahead(*(1e5 * shares).T, 1e5, r)
        far = np.abs(radius - r) > 0.05
        lost = np.any((below > 7) & (rival_below > 7), axis=0)
        assert np.array_equal((ahead > 7)[far], (radius > r)[far])
        assert np.array_equal(lost[far], (radius < r)[far])


def test_evidence_is_for_the_dipole_radius():
    shares = np.array(
        [[0.80, 0.15, 0.05], [0.70, 0.25, 0.05], [0.6, 0.1, 0.3], [0.999, 0.001, 0.0]]
    )
    radius = dipole_radius(shares[:, 0], 0.5 * shares[:, 1])
    for r in (0.5, 1.0, 1.5):
        above, below = pair_evidence(*(1e5 * shares).T, r)
        far = np.abs(radius - r) > 0.05
        assert np.array_equal((above > 7)[far], (radius > r)[far])
        assert np.array_equal((below > 7)[far], (radius < r)[far])


def test_no_counts_are_no_evidence():
    assert np.all(np.array(pair_evidence(0, 0, 0, 1.0)) <= 0)
    assert np.all(np.array(proportion_evidence(0, 0, 1.0)) <= 0)
    for found in (*pairs_ahead(0, 0, 0, 0, 0, 1.0), *proportion_ahead(0, 0, 0, 1.0)):
        assert np.all(found <= 0)

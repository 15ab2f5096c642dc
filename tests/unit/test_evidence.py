"""Evidence by betting: no bet wins on average under the null, whatever the counts, and evidence grows where there is some."""

import numpy as np
import pytest
from scipy import special, stats

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.confidence import evidence
from sosmooth.confidence.evidence import pair_evidence, proportion_evidence

DISTANCES = [0.01, 0.4, 1.0, 2.5, 6.0]
rng = np.random.default_rng(0)
# Shares of pairs right on both sides, on one, on none; some of them on the edges.
TRUTHS = np.concatenate(
    [
        rng.dirichlet([1, 1, 1], 500),
        rng.dirichlet([0.2, 0.2, 0.2], 500),
        np.eye(3),
        [[0.5, 0.5, 0], [0.5, 0, 0.5]],
    ]
)


def value(truth, r):
    """What the dipole certificate says of the distance r."""
    c_n, s = 0.5 * truth[..., 1], special.ndtri(0.5 * (1 + truth[..., 0]))
    return special.ndtr(special.ndtri(c_n) - r) + special.ndtr(s - r) - special.ndtr(-s - r)


def outcomes(n):
    """Every outcome of n pairs, and the logarithms of its probability under truths (truths, outcomes)."""
    one, none = (k.ravel() for k in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    counts = np.stack([n - one - none, one, none], -1)[one + none <= n]
    ways = special.gammaln(n + 1) - special.gammaln(counts + 1).sum(-1)
    return counts, lambda truth: ways + special.xlogy(counts, truth[:, None]).sum(-1)


@pytest.mark.parametrize("r", DISTANCES)
def test_tangents_are_never_above_the_value(r):
    payoffs = evidence._tangent_payoffs(r)
    assert np.all(TRUTHS @ payoffs.T - value(TRUTHS, r)[:, None] <= 1e-12 - 0.5)
    assert np.all(payoffs[:, 0] > 0)
    assert np.all(payoffs[:, 2] < 0)


@pytest.mark.parametrize("r", DISTANCES)
def test_no_mixture_of_bets_wins_on_average(r):
    counts, log_probability = outcomes(24)
    above, below = pair_evidence(*counts.T, r)
    curve = evidence._half_curve(r)
    on_curve = np.stack([curve[1], 2 * curve[0], np.maximum(1 - curve[1] - 2 * curve[0], 0)], -1)
    truths = np.concatenate([TRUTHS, on_curve])
    of = value(truths, r)
    wealth = np.exp(log_probability(truths)) @ np.exp(np.stack([above, below], -1))
    null = of <= 0.5 + 1e-12
    assert np.all(wealth[null, 0] <= 1 + 1e-9)
    assert np.all(wealth[of >= 0.5 - 1e-12, 1] <= 1 + 1e-9)
    assert np.max(wealth[~null, 0]) > 1  # or nothing was tested


@pytest.mark.parametrize("r", DISTANCES)
def test_no_bet_on_a_proportion_wins_on_average(r):
    n, right = 60, np.arange(61)
    above, below = proportion_evidence(right, n - right, r)
    for p, wealth in (
        (special.ndtr(r), above),
        (0.9 * special.ndtr(r), above),
        (special.ndtr(r), below),
    ):
        assert (
            special.logsumexp(stats.binom.logpmf(right, n, p) + wealth) <= 1e-6
        )  # 1 − p has seven digits at six sigma


@pytest.mark.parametrize("r", DISTANCES)
def test_evidence_against_the_radius_is_below_every_likelihood_ratio(r):
    """The mixture over the likelihood at any truth that the method could certify is at least what was claimed."""
    certifiable = TRUTHS[value(TRUTHS, r) >= 0.5]
    counts = rng.multinomial(400, TRUTHS)
    _, below = pair_evidence(*counts.T, r)
    mixture = (
        special.gammaln(counts + 0.5).sum(-1)
        - special.gammaln(401.5)
        + special.gammaln(1.5)
        - 3 * special.gammaln(0.5)
    )
    likelihood = special.xlogy(counts[:, None], certifiable).sum(-1).max(1)
    assert np.all(below <= mixture - likelihood)
    assert np.max(below) > 7


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

"""Exact coverage of the joint region of the pair counts.

Every outcome is enumerated, at the truths where failure is most likely.
"""

from functools import partial

import numpy as np
import pytest
from scipy import special

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order import second_order_radius
from sosmooth.certificates.second_order_dipole import one_sided_cost, second_order_dipole_radius
from sosmooth.confidence.pair_counts import pair_cells

DIPOLE = partial(one_sided_cost, gradient_share=1.0)
HALF = partial(one_sided_cost, gradient_share=0.5)


def equal(c_s, c_n):
    return np.full(np.broadcast_shapes(c_s.shape, c_n.shape), 0.5)


def reversed_order(c_s, c_n):
    return np.where(c_s > 0.6, 0.0, 1.0)


def dipole(c_s, c_n):
    return dipole_radius(c_s, c_n)


def together(c_s, c_n):
    return second_order_dipole_radius(c_s, c_n, 0.15)


def first_order(c_s, c_n):
    return second_order_radius(c_s + c_n, np.inf)


CASES = {
    "dipole": (dipole, (DIPOLE,)),
    "together": (together, (HALF, DIPOLE)),
    "first order": (first_order, (equal,)),
}


def masses(wrong, share):
    """`c_s`, `c_n`, rounded so that they stay possible."""
    return 1 - wrong, 0.5 * wrong * (1 - share) * (1 - 1e-15)


def truths(radius, certified, rng):
    """(W, ρ): a grid, and points just below a level curve for each certified radius.

    On the level curve the truth equals the radius.
    """
    angle = np.sin(np.linspace(0, np.pi / 2, 17)) ** 2
    grid = np.stack(np.meshgrid(angle, angle), -1).reshape(-1, 2)
    levels = np.unique(certified[(certified > 0) & np.isfinite(certified)])
    if len(levels) > 120:
        levels = np.concatenate([levels[:5], levels[-20:], rng.choice(levels, 95, replace=False)])
    share = np.concatenate([[0.0, 1e-6, 1e-3], angle[1:]])
    r, share = (x.ravel() for x in np.meshgrid(levels, share))
    low, high = np.zeros(r.shape), np.ones(r.shape)
    for _ in range(50):
        wrong = 0.5 * (low + high)
        above = radius(*masses(wrong, share)) >= r
        low, high = np.where(above, wrong, low), np.where(above, high, wrong)
    return np.concatenate([grid, np.stack([high, share], -1)])


def worst_failure(n, alpha, radius, costs):
    none, one = (k.ravel() for k in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    possible = none + one <= n
    none, one = none[possible], one[possible]
    both = n - one - none
    cells = pair_cells(both, one, none, alpha, *costs)
    certified = np.min(radius(cells.c_s, cells.c_n), axis=1)
    wrong, share = truths(radius, certified, np.random.default_rng(0)).T
    truth = radius(*masses(wrong, share))
    choose = special.gammaln(n + 1) - sum(special.gammaln(k + 1) for k in (both, one, none))
    p_e, p_z = (wrong * (1 - share))[:, None], (wrong * share)[:, None]
    log_law = (
        choose
        + special.xlogy(both, 1 - wrong[:, None])
        + special.xlogy(one, p_e)
        + special.xlogy(none, p_z)
    )
    failed = certified > truth[:, None] * (1 + 1e-12)
    return float(np.max(np.sum(np.exp(log_law) * failed, axis=1))), certified


def check(n, alpha, case):
    failure, _ = worst_failure(n, alpha, *CASES[case])
    assert failure <= alpha * (1 + 1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_failure_is_at_most_alpha(n, alpha, case):
    check(n, alpha, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("n", [30, 60, 100])
def test_failure_is_at_most_alpha_with_more_pairs(n, alpha, case):
    check(n, alpha, case)


def test_the_level_is_used():
    """At 60 pairs some truth spends nearly all of alpha, and none spends more: a tight bound."""
    failure, certified = worst_failure(60, 0.05, *CASES["dipole"])
    assert 0.045 < failure <= 0.05
    assert np.sum(certified > 0) > 300


def test_an_order_against_the_radius_is_as_valid():
    for n in (10, 20):
        assert worst_failure(n, 0.05, dipole, (reversed_order,))[0] <= 0.05
        assert worst_failure(n, 0.05, dipole, (reversed_order, equal))[0] <= 0.05


def test_the_largest_radius_at_which_nothing_was_wrong_is_that_of_one_count():
    """With no wrong pair the region is nearly Clopper–Pearson of the pairs right on both sides."""
    cells = pair_cells([1000], [0], [0], 0.001, DIPOLE)
    assert cells.not_both.max() <= 1 - (0.001 * 0.98) ** (1 / 1000)


def test_gradient_below_the_largest_is_kept_by_the_order():
    """The hedged order loses little compared with the order made for the actual gradient."""
    gamma = 0.8 * float(pdf(special.ndtri(0.2)))
    radius = []
    for costs in ((HALF, DIPOLE), (partial(one_sided_cost, gradient_share=0.8),)):
        cells = pair_cells([30340], [19320], [340], 0.001, *costs)
        radius.append(float(np.min(second_order_dipole_radius(cells.c_s, cells.c_n, gamma))))
    assert radius[0] > radius[1] * 0.9995

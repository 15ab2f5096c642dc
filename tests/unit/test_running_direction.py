"""The bound from a running direction: size, edges, and its capital in 50 digits."""

import mpmath as mp
import numpy as np
import pytest
from benchmarks.running_direction import CASE, DIMENSIONS, main, simulated

from sosmooth.confidence import running_direction
from sosmooth.confidence.pair_mean import PairMean
from sosmooth.confidence.running_direction import running_gradient_norm_upper_bound

LARGEST = 1 / np.sqrt(2 * np.pi)
NOTHING = {
    "block_pairs": [100, 100, 100],
    "direction_norms": np.zeros(2),
    "slope_sums": np.zeros(2),
    "slope_sq_sums": np.zeros(2),
    "pair_one": 0,
    "dimension": 10,
    "sigma": 1.0,
    "alpha": 0.05,
}


def drawn(pairs, dimension, runs=5):
    rng = np.random.default_rng(0)
    return simulated(CASE.draw(np.full(8, pairs), runs, rng), dimension, rng)


@pytest.mark.parametrize(
    ("dimension", "halves_below", "running_below"), [(784, 0.70, 0.70), (150_528, 0.80, 0.73)]
)
def test_the_slack_is_well_below_that_of_two_steps(dimension, halves_below, running_below):
    halves, running = drawn(6250, dimension, 20)
    steps = np.mean(halves.by_steps(5e-5)) - CASE.gamma
    assert 0 < np.mean(halves.by_bet(dimension, 5e-5)) - CASE.gamma < halves_below * steps
    assert 0 < np.mean(running.by_bet(dimension, 5e-5)) - CASE.gamma < running_below * steps


def test_nothing_seen():
    """No pair disagrees: the gradient is small. No slope at all: it may be anything."""
    few = running_gradient_norm_upper_bound(**NOTHING)
    many = running_gradient_norm_upper_bound(**NOTHING | {"block_pairs": [10**6] * 3})
    assert 0 < many < few < LARGEST
    broken = NOTHING | {"direction_norms": np.full(2, np.nan), "pair_one": 300}
    np.testing.assert_allclose(running_gradient_norm_upper_bound(**broken), LARGEST, rtol=1e-5)


def test_pairs_of_no_block_help_to_say_how_many_disagree():
    """Of all pairs more may disagree than the blocks hold."""
    few = running_gradient_norm_upper_bound(**NOTHING | {"pair_one": 200})
    more = {"pair_one": 2000, "pairs": 3000}
    assert running_gradient_norm_upper_bound(**NOTHING | more) < few
    mean = PairMean(*(np.array([value]) for value in (0.2, 150, 150, 20.0, 15.0)))
    seen = {"block_pairs": [150, 150], "direction_norms": [0.2], "slope_sums": [20.0]}
    seen |= {"slope_sq_sums": [15.0]}
    assert mean.norm_upper_bound(
        np.array([2000]), np.array([3000]), 0.05, dimension=10
    ) == running_gradient_norm_upper_bound(**NOTHING | seen | more)


def test_a_smaller_failure_probability_and_a_smaller_sigma_give_a_larger_bound():
    halves, _ = drawn(500, 50)
    assert np.all(halves.by_bet(50, 1e-6) > halves.by_bet(50, 1e-2))
    one = running_gradient_norm_upper_bound(**NOTHING)
    np.testing.assert_allclose(
        running_gradient_norm_upper_bound(**NOTHING | {"sigma": 0.25}), 4 * one
    )


def test_rows_do_not_depend_on_each_other():
    _, running = drawn(50, 50, 300)
    together = running.by_bet(50, 0.05)
    for i in (0, 299):
        alone = running_gradient_norm_upper_bound(
            block_pairs=[50] * 8,
            direction_norms=running.norms[i],
            slope_sums=running.slopes[i],
            slope_sq_sums=running.squares[i],
            pair_one=running.one[i].sum(),
            dimension=50,
            sigma=1.0,
            alpha=0.05,
        )
        assert alone == together[i]


@pytest.mark.parametrize(
    "change",
    [
        {"block_pairs": [100]},
        {"block_pairs": [100, 0, 100]},
        {"block_pairs": [100, 100]},
        {"alpha": 0.0},
        {"sigma": 0.0},
        {"dimension": 0},
        {"pair_one": 301},
        {"pair_one": 30, "pairs": 29},
    ],
)
def test_broken_arguments_are_refused(change):
    with pytest.raises(ValueError, match=r"."):
        running_gradient_norm_upper_bound(**NOTHING | change)


def test_the_stakes_of_direction_and_slopes_cancel():
    """Σ over earlier pairs of the stakes on them is what the slopes of later blocks pay for."""
    blocks = np.array([50.0, 20.0, 70.0, 30.0])
    stakes = running_direction._planned_stakes(blocks, 0.2, 100, 8.0)
    before = np.cumsum(blocks) - blocks
    owed = np.array([np.sum(stakes.weights[i:] / before[i + 1 :]) for i in range(4)])
    np.testing.assert_allclose(
        stakes.shares * stakes.lambdas, stakes.total[:, None] * owed, rtol=1e-12
    )
    assert stakes.weights.sum() == pytest.approx(1)
    assert np.all(stakes.shares[:, 0] == 1)
    assert np.all(stakes.shares[:, -1] == 0)


def test_a_bet_that_has_won_has_won_in_50_digits():
    """The capital of the page, from the stakes alone."""
    _, running = drawn(500, 3072, 8)
    level, cap = 4.0, mp.mpf(running_direction.SLOPE_CAP)
    stakes = running_direction._planned_stakes(running.pairs.astype(float), 0.4, 3072, level)
    seen = running_direction._Seen(running.norms, running.slopes, running.squares, np.full(8, 0.41))
    at = running_direction._largest_gamma(seen, stakes, level)
    with mp.workdps(50):
        tail = mp.mpf(0.41)
        cut = mp.findroot(lambda x: mp.erfc(x / mp.sqrt(2)) - tail, 0.8)
        for i, gamma in enumerate(at.tolist()):
            cell = int(np.searchsorted(running_direction._GAMMAS, gamma)) - 1
            g, capital = mp.mpf(gamma), mp.mpf(0)
            center, total = (mp.mpf(float(a[cell])) for a in (stakes.gammas, stakes.total))
            for k, pairs in enumerate(running.pairs.tolist()):
                share, x = (mp.mpf(float(a[cell, k])) for a in (stakes.shares, stakes.lambdas))
                grown = mp.exp(x * x / 8) * mp.erfc((cut - x / 2) / mp.sqrt(2)) / 2
                density = mp.exp(-cut * cut / 2) / mp.sqrt(2 * mp.pi)
                psi = 2 * (grown - tail / 2 - x / 2 * density)
                capital -= share * pairs * mp.log(1 - x * g + psi)
                if k == 0:
                    continue
                weight = mp.mpf(float(stakes.weights[k - 1]))
                length, y, square = (
                    mp.mpf(float(a[i, k - 1]))
                    for a in (running.norms, running.slopes, running.squares)
                )
                tau = total / g * weight * length / (pairs * (1 - share))
                mean = center * min(mp.mpf(1), center / length)
                stake = tau / (1 + tau * mean)
                price = (-mp.log(1 - stake * cap) - stake * cap) / cap**2
                lost = stake * max(y, mp.mpf(0)) + price * square
                lost += pairs * (tau * mean - mp.log(1 + tau * mean))
                capital -= (1 - share) * lost
                capital -= total * weight * length / g * mp.mpf(running_direction.CAP_BIAS)
            assert level < capital < level + 1e-2


def test_the_benchmark_prints_slack_radius_and_failures(capsys):
    main(["--n", "3200", "--runs", "3", "--repetitions", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert sum("two steps" in line for line in lines) == 3 * len(DIMENSIONS)
    assert sum(line.startswith("failures in 3 runs") for line in lines) == 2

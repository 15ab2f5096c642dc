"""The bound from a running direction: coverage, the law of its sums, and what breaks it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from benchmarks.running_direction import Along, Chance, simulated
from known_classifiers import KNOWN, Known, extremal
from scipy import stats

from sosmooth.confidence import running_direction
from sosmooth.tally import SLOPE_CAP

ALPHA = 0.05
FALSE_ALARM = 1e-6
#: The largest second moment of `h w·z` that so many disagreeing pairs allow.
SHARP = Chance(half_space=0.4, chance=0.0)


def along(known: Known, pairs: np.ndarray, runs: int, rng: np.random.Generator) -> Along:
    """Of a known classifier, pair by pair."""
    z = rng.standard_normal((runs, pairs.sum()))
    second = rng.random(z.shape) < known.mix
    s = known.right(z, second).astype(float) - known.right(-z, second)
    starts = np.cumsum(pairs) - pairs
    one, total, square = (np.add.reduceat(a, starts, axis=1) for a in (s * s, s * z, (s * z) ** 2))
    return Along(pairs, one, total, square)


def failures(known: Known, dimension: int, blocks: list[int], runs: int) -> tuple[int, int]:
    """Of halves and of the running direction."""
    rng = np.random.default_rng(dimension)
    found = np.zeros(2, dtype=int)
    for start in range(0, runs, 500):
        drawn = along(known, np.array(blocks), min(500, runs - start), rng)
        for i, sums in enumerate(simulated(drawn, dimension, rng)):
            found[i] += np.sum(sums.by_bet(dimension, ALPHA) < known.gamma)
    return int(found[0]), int(found[1])


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_the_bound_covers(known):
    most = stats.binom.isf(FALSE_ALARM, 300, ALPHA)
    assert max(failures(known, 1000, [60, 20, 80, 40], 300)) <= most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "blocks"), [(3, [10, 10]), (1000, [50] * 8), (50, [400, 100, 300, 200])]
)
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_the_bound_covers_5000_times(known, dimension, blocks):
    most = stats.binom.isf(FALSE_ALARM, 5000, ALPHA)
    assert max(failures(known, dimension, blocks, 5000)) <= most


def sharp_failures(runs: int, dimension: int = 784) -> tuple[int, int]:
    """Where the bound is nearest to the truth."""
    rng = np.random.default_rng(1)
    drawn = SHARP.draw(np.full(8, 1250), runs, rng)
    halves, running = (
        int(np.sum(sums.by_bet(dimension, ALPHA) < SHARP.gamma))
        for sums in simulated(drawn, dimension, rng)
    )
    return halves, running


def without_deviation(monkeypatch):
    """The estimate alone."""
    has_won = running_direction._has_won
    monkeypatch.setattr(
        running_direction,
        "_has_won",
        lambda gamma, seen, stakes, psi, level: has_won(
            gamma, replace(seen, squares=0 * seen.squares), stakes, 0 * psi, 0.0
        ),
    )


def without_level(monkeypatch):
    """The bet has won as soon as it has not lost."""
    has_won = running_direction._has_won
    monkeypatch.setattr(
        running_direction,
        "_has_won",
        lambda gamma, seen, stakes, psi, level: has_won(gamma, seen, stakes, psi, 0.0),
    )


def with_stakes_that_do_not_cancel(monkeypatch):
    """10 % more on the direction than the slopes can pay for."""
    planned = running_direction._planned_stakes

    def larger(*given):
        stakes = planned(*given)
        return replace(stakes, lambdas=1.1 * stakes.lambdas)

    monkeypatch.setattr(running_direction, "_planned_stakes", larger)


def test_a_sharp_case_is_covered():
    assert max(sharp_failures(300)) <= stats.binom.isf(FALSE_ALARM, 300, ALPHA)


@pytest.mark.parametrize("sabotage", [without_deviation, with_stakes_that_do_not_cancel])
def test_a_broken_bound_is_noticed(sabotage, monkeypatch):
    sabotage(monkeypatch)
    assert min(sharp_failures(300)) > stats.binom.isf(FALSE_ALARM, 300, ALPHA)


@pytest.mark.slow
def test_a_slightly_broken_bound_is_noticed(monkeypatch):
    without_level(monkeypatch)
    assert min(sharp_failures(3000)) > stats.binom.isf(FALSE_ALARM, 3000, ALPHA)


def measured(known: Known, dimension: int, pairs: np.ndarray, runs: int, rng) -> np.ndarray:
    """Norm, slopes and count of each block but the first: of halves, then of the blocks.

    They come from vectors of the whole dimension, (runs, blocks, 4).
    """
    rows = []
    for _ in range(runs):
        z = rng.standard_normal((pairs.sum(), dimension))
        second = rng.random(len(z)) < known.mix
        h = 0.5 * (known.right(z[:, 0], second).astype(float) - known.right(-z[:, 0], second))
        here = []
        for blocks in (pairs.reshape(2, -1).sum(axis=1), pairs):
            ends = np.cumsum(blocks)
            for first, last in pairwise(ends):
                mean = (h[:first, None] * z[:first]).mean(axis=0)
                norm = np.linalg.norm(mean)
                y = np.minimum(h[first:last] * (z[first:last] @ mean) / norm, SLOPE_CAP)
                here.append((norm, y.sum(), (y * y).sum(), np.sum(h[first:last] != 0)))
        rows.append(here)
    return np.array(rows)


def test_the_law_used_here_is_that_of_real_vectors():
    known, dimension, pairs, runs = extremal(0.6, 0.18, 0.9), 12, np.full(4, 30), 1500
    rng = np.random.default_rng(8)
    real = measured(known, dimension, pairs, runs, rng)
    law = np.concatenate(
        [
            np.stack([sums.norms, sums.slopes, sums.squares, sums.one[:, 1:]], axis=2)
            for sums in simulated(along(known, pairs, runs, rng), dimension, rng)
        ],
        axis=1,
    )
    real, law = real.reshape(runs, -1), law.reshape(runs, -1)
    for a, b in zip(real.T, law.T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-6
    # Halves and running direction come from the same pairs.
    spread = np.std(real, axis=0)
    products = [
        (values - np.mean(real, axis=0))[:, :, None]
        * (values - np.mean(real, axis=0))[:, None, :]
        / (spread[:, None] * spread)
        for values in (real, law)
    ]
    means = [np.mean(of, axis=0) for of in products]
    error = np.sqrt(sum(np.var(of, axis=0) for of in products) / runs)
    assert np.max(np.abs(means[0] - means[1]) / error) < 5

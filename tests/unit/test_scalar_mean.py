"""The bound of a mean by betting: exact coverage on finite laws, size, edges."""

import numpy as np
import pytest
from scipy import stats

from sosmooth.confidence.scalar_mean import mean_upper_bound


@pytest.mark.parametrize("upper", [1.0, 2.5])
@pytest.mark.parametrize("guess", [1e-4, 0.05, 4.0])
@pytest.mark.parametrize("n", [1, 5, 40, 300])
@pytest.mark.parametrize("alpha", [0.05, 0.5])
def test_exact_coverage_on_two_and_three_points(n, alpha, upper, guess):
    """y is one of two values (one far below): the number of each is binomial."""
    k = np.arange(n + 1)
    for high, low in ((upper, -upper), (upper, 0.0), (0.1, -9.0), (0.02, -0.02)):
        total, total_sq = k * high + (n - k) * low, k * high**2 + (n - k) * low**2
        bound = mean_upper_bound(n, total, total_sq, upper=upper, expected_sq=guess, alpha=alpha)
        for p in (0.01, 0.1, 0.5, 0.9, 0.99):
            mean = p * high + (1 - p) * low
            assert np.sum(stats.binom.pmf(k, n, p)[bound < mean]) <= alpha


def test_the_error_is_that_of_a_bernstein_bound():
    n, alpha, second = 25_000, 2e-4, 0.1
    bound = mean_upper_bound(n, 0.0, n * second, upper=2.5, expected_sq=second, alpha=alpha)
    assert bound <= 1.05 * np.sqrt(2 * second * np.log(1 / alpha) / n) + 2 * 2.5 * np.log(
        1 / alpha
    ) / (3 * n)


def test_none_seen():
    assert mean_upper_bound(0, 0.0, 0.0, upper=2.5, expected_sq=0.1, alpha=0.05) == 2.5


def test_broadcasts():
    assert mean_upper_bound(
        np.full((3, 1), 10), np.zeros(4), np.ones(4), upper=1.0, expected_sq=0.1, alpha=0.1
    ).shape == (3, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"upper": 0.0},
        {"expected_sq": 0.0},
        {"expected_sq": np.nan},
        {"count": -1},
    ],
)
def test_broken_arguments_are_refused(change):
    arguments = {
        "count": 10,
        "total": 0.0,
        "total_sq": 1.0,
        "upper": 1.0,
        "expected_sq": 0.1,
        "alpha": 0.1,
    } | change
    with pytest.raises(ValueError):
        mean_upper_bound(
            arguments.pop("count"), arguments.pop("total"), arguments.pop("total_sq"), **arguments
        )

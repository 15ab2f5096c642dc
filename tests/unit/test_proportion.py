"""Clopper–Pearson.

The exact tail at the returned float, and exact coverage by enumerating all outcomes.
"""

import mpmath as mp
import numpy as np
import pytest

import exact
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound


def random_cases(count, most, seed):
    rng = np.random.default_rng(seed)
    n = np.floor(10 ** rng.uniform(0, np.log10(most), count)).astype(int)
    share = np.choose(
        rng.integers(3, size=count),
        [
            rng.uniform(0, 1, count),
            1 - 10 ** rng.uniform(-7, -1, count),
            10 ** rng.uniform(-7, -1, count),
        ],
    )
    successes = np.rint(share * n).astype(int)
    return list(
        zip(
            successes.tolist(),
            n.tolist(),
            (10 ** rng.uniform(-8, -0.05, count)).tolist(),
            strict=True,
        )
    )


CORNERS = [
    (k, n, alpha)
    for n in (1, 2, 1000, 10**8)
    for k in (0, 1, n - 1, n)
    for alpha in (1e-9, 0.001, 0.5, 0.999)
]
LARGE = [
    (99_000_000, 10**8, 0.001),
    (99_999_990, 10**8, 5e-4),
    (60_000_000, 10**8, 0.01),
    (123, 10**8, 0.05),
]


def holds(tail, alpha, slope):
    """At most alpha, and not needlessly far below.

    With `slope = d ln(tail)/dp` the spacing of the floats counts.
    """
    assert tail <= mp.mpf(alpha)
    assert tail >= mp.mpf(alpha) * (1 - 1e-8 - 16 * np.finfo(float).eps * slope)


@pytest.mark.parametrize(
    "cases", [random_cases(150, 1e4, 0), CORNERS, LARGE], ids=["random", "corners", "large"]
)
def test_the_exact_tail_at_the_lower_bound(cases):
    for count, n, alpha in cases:
        bound = float(proportion_lower_bound(count, n, alpha))
        if count == 0:
            assert bound == 0
        else:
            holds(exact.binomial_upper_tail(count, n, bound), alpha, count / bound)


@pytest.mark.parametrize(
    "cases", [random_cases(150, 1e4, 1), CORNERS, LARGE], ids=["random", "corners", "large"]
)
def test_the_exact_tail_at_the_upper_bound(cases):
    for count, n, alpha in cases:
        bound = float(proportion_upper_bound(count, n, alpha))
        if count == n:
            assert bound == 1
        elif bound == 1:  # the true bound lies between the last float and one
            last = mp.mpf(np.nextafter(1.0, 0.0))
            assert exact.binomial_upper_tail(n - count, n, 1 - last) > alpha
        else:  # P(X ≤ count) at p is P(n − X ≥ n − count) at 1 − p
            holds(
                exact.binomial_upper_tail(n - count, n, 1 - mp.mpf(bound)),
                alpha,
                (n - count) / (1 - bound),
            )


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_exact_coverage(n, alpha):
    """The worst p is just left of a bound; the failure probability there is a finite sum."""
    lower = proportion_lower_bound(np.arange(n + 1), n, alpha)
    failures = []
    for p in np.concatenate([np.nextafter(lower[1:], 0), np.linspace(0, 1, 41)]):
        q = mp.mpf(p)
        failures.append(
            mp.fsum(
                mp.binomial(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1) if lower[k] > p
            )
        )
    assert max(failures) <= mp.mpf(alpha)
    # The smallest bound with this coverage.
    assert max(failures) >= mp.mpf(alpha) * (1 - mp.mpf(10) ** -6)


def test_upper_is_the_mirror_of_lower():
    count = np.arange(51)
    upper = proportion_upper_bound(50 - count, 50, 0.01)
    np.testing.assert_allclose(1 - upper, proportion_lower_bound(count, 50, 0.01), rtol=1e-9)


def test_broadcasting():
    bound = proportion_lower_bound(np.array([[1], [2]]), 10, np.array([0.1, 0.2, 0.3]))
    assert bound.shape == (2, 3)
    assert bound.dtype == np.float64
    assert np.ndim(proportion_lower_bound(1, 10, 0.1)) == 0


@pytest.mark.parametrize("bound", [proportion_lower_bound, proportion_upper_bound])
@pytest.mark.parametrize(
    "arguments",
    [
        (-1, 10, 0.1),
        (11, 10, 0.1),
        (1.5, 10, 0.1),
        (np.nan, 10, 0.1),
        (0, 0, 0.1),
        (1, 10.5, 0.1),
        (1, np.nan, 0.1),
        (1, np.inf, 0.1),
        (1, 10, 0.0),
        (1, 10, 1.0),
        (1, 10, np.nan),
    ],
)
def test_broken_arguments(bound, arguments):
    with pytest.raises(ValueError, match="must be"):
        bound(*arguments)


@pytest.mark.parametrize("alpha", [1e-149, 1e-151, 1e-170, 1e-200, 1e-250, 1e-300, 5e-324])
@pytest.mark.parametrize("n", [1, 2, 100, 400])
def test_the_exact_tail_where_alpha_is_tiny(n, alpha):
    count = np.unique([0, 1, min(5, n), n // 2, n - 1, n])
    lower, upper = (f(count, n, alpha) for f in (proportion_lower_bound, proportion_upper_bound))
    assert np.all((lower >= 0) & (lower <= count / n) & (count / n <= upper) & (upper <= 1))
    for k, low, high in zip(count.tolist(), lower.tolist(), upper.tolist(), strict=True):
        assert k == 0 or exact.binomial_upper_tail(k, n, low) <= mp.mpf(alpha) * (1 + 1e-9)
        assert k == n or exact.binomial_upper_tail(n - k, n, 1 - mp.mpf(high)) <= mp.mpf(alpha) * (
            1 + 1e-9
        )


@pytest.mark.parametrize("count", [1000, 50_000, 99_990, 100_000])
def test_tiny_alphas_cost_little(count):
    alpha = np.array([1e-149, 1e-151, 1e-160, 1e-200, 1e-300])
    lower = proportion_lower_bound(count, 100_000, alpha)
    assert np.all(np.diff(lower) < 0)
    distance = count / 100_000 - lower
    assert distance[1] < 1.05 * distance[0]

"""Upper bounds of the gradient norm in expectation.

Compared are Theorem 2, Mohapatra et al. 2020, and what the methods take from antithetic pairs: the
mean over all pairs, or one bet on halves.
"""

import numpy as np
from scipy import special

from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.gradient_plan import direction_share
from sosmooth.confidence.pair_mean import PairMean

ALPHA = 5e-4
N0 = 100
CASES = (
    (49, 10**5, 0.1),
    (3072, 10**5, 0.1),
    (3072, 10**5, 0.02),
    (150_528, 10**5, 0.1),
    (150_528, 10**6, 0.1),
)


def main() -> None:
    print(
        f"{'d':>8} {'n':>9} {'1 − p':>6} {'true':>7} {'Theorem 2':>10} "
        f"{'Mohapatra':>10} {'pairs':>7} {'vacuous from':>13}"
    )
    for dimension, n, error in CASES:
        largest = np.exp(-0.5 * special.ndtri(error) ** 2) / np.sqrt(2 * np.pi)
        gamma = 0.85 * largest
        theorem_2 = gradient_norm_upper_bound(
            gamma**2, n // 2, dimension=dimension, sigma=1.0, alpha=ALPHA
        )
        pairs = from_pairs(dimension, n, error, gamma)
        values = (
            f"{gamma:7.4f} {theorem_2:10.4f} {mohapatra(dimension, n, gamma):10.4f} "
            f"{pairs:7.4f} {largest:13.4f}"
        )
        print(f"{dimension:8} {n:9} {error:6} {values}")


def mohapatra(dimension: int, n: int, gamma: float) -> float:
    """Mohapatra et al.'s bound: half of n independent samples in each mean, at `A = γ²`."""
    half, level = n / 2, np.log(2 / ALPHA)
    c = 0.25 + 3 / np.sqrt(8 * np.pi * np.e)
    square = gamma**2 + c * np.sqrt(2 * dimension * level / half**2)
    e = np.sqrt(c * n * level / (2 * half**2 * square))
    return float(np.sqrt(square) / (np.sqrt(1 + e**2) - e))


def from_pairs(dimension: int, n: int, error: float, gamma: float) -> float:
    """What the methods choose after `N0` selection samples, at the expected statistics.

    Hardly a pair is wrong on both sides. The second moment along the gradient is the largest that
    `P(one side right)` allows. NaN: they draw no gradient.
    """
    share = direction_share(round(error * N0), N0, n, dimension, ALPHA)
    if not share:
        return np.nan
    one, pairs = 2 * (error - min(0.002, error**2)), n // 2
    cut = -special.ndtri(one / 2)
    along = 0.25 * (one + 2 * cut * np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi))
    first = int(share * pairs)
    second = pairs - first
    norm = np.sqrt(gamma**2 + ((dimension - 1) * one / 4 + along) / first)
    cos = gamma / norm
    square = cos**2 * along + (1 - cos**2) * one / 4
    values = (norm, first, second, second * gamma * cos, second * square)
    mean = PairMean(*(np.array([value]) for value in values))
    counts = np.array([round(one * pairs)]), np.array([pairs])
    return float(mean.norm_upper_bound(*counts, ALPHA, dimension=dimension)[0])

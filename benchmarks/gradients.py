"""Upper bounds of the gradient norm in expectation.

Compared are Theorem 2, Mohapatra et al. 2020, and the bound from antithetic pairs.
"""

import numpy as np
from scipy import special

from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.gradient_plan import ALL, HALF
from sosmooth.confidence.pair_gradient import pair_gradient_norm_upper_bound

ALPHA = 5e-4
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
        pairs = from_pairs(dimension, n, 2 * (error - min(0.002, error**2)), gamma)
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


def from_pairs(dimension: int, n: int, one: float, gamma: float) -> float:
    """The better of the two ways to bound, at the expected statistics.

    The second moment along the gradient is the largest that `P(one side right) = one` allows.
    """
    cut = -special.ndtri(one / 2)
    along = 0.25 * (one + 2 * cut * np.exp(-0.5 * cut**2) / np.sqrt(2 * np.pi))
    bounds = []
    for share in (HALF, ALL):
        first = share * n / 2
        second = n / 2 - first
        norm = np.sqrt(gamma**2 + ((dimension - 1) * one / 4 + along) / first)
        cos = gamma / norm
        bounds.append(
            pair_gradient_norm_upper_bound(
                direction_norm=norm,
                direction_pairs=first,
                direction_one=one * first,
                slope_pairs=second,
                slope_sum=second * gamma * cos,
                slope_sq_sum=second * (cos**2 * along + (1 - cos**2) * one / 4),
                pair_one=round(one * n / 2),
                pairs=n // 2,
                sigma=1.0,
                alpha=ALPHA,
            )
        )
    return float(min(bounds))

"""Exact bounds of a binomial proportion (Clopper and Pearson 1934), rounded outward."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_alpha
from sosmooth.confidence._bisection import safe_end

# Relative error allowed for SciPy's incomplete beta function as a binomial tail: a thousand times
# the largest error that was measured against mpmath (tests/unit/test_proportion.py), up to counts
# of 1e8.
_TAIL_ERROR = 1e-10
# Below this alpha SciPy's quantiles become NaN and its tails denormal, so Chernoff's bound is used.
_LEAST_ALPHA = 1e-150


def proportion_lower_bound(count: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """One-sided Clopper–Pearson lower bound of a proportion, rounded down.

    It is the `p` with `P(Binomial(n, p) ≥ count) = alpha`. For alpha below 1e-150 Chernoff's bound
    of that tail replaces it, which is a few per cent wider.

    Args:
        count: successes, integers in [0, n]; any shape.
        n: trials, integers of at least 1; broadcasts.
        alpha: failure probability, in (0, 1); broadcasts.

    Returns:
        Float64 of the broadcast shape, in [0, 1].

    Raises:
        ValueError: a count is outside [0, n] or not whole, n is below 1 or not whole, alpha is
            outside (0, 1), or one is NaN.

    Guarantee:
        For every p and n, P(bound > p) ≤ alpha: the exact binomial tail at the returned float is at
        most alpha.

    Source:
        Clopper, Pearson 1934, Biometrika 26. Chernoff 1952, Annals of Mathematical Statistics 23.

    >>> float(round(proportion_lower_bound(99_000, 100_000, 0.001), 6))
    0.988989
    """
    count, n, alpha = _checked(count, n, alpha)
    usual = np.maximum(alpha, _LEAST_ALPHA)
    with np.errstate(divide="ignore"):
        start = np.where(
            count == n,
            np.exp(np.log(usual) / n),
            special.betaincinv(np.maximum(count, 1), n - count + 1, usual),
        )
    bound = _outward(
        start, lambda p: special.betainc(np.maximum(count, 1), n - count + 1, p), usual, -1
    )
    bound = _chernoff_where(alpha, bound, count, n, np.zeros_like(bound))
    return np.where(count == 0, 0.0, bound)[()]


def proportion_upper_bound(count: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """One-sided Clopper–Pearson upper bound of a proportion, rounded up.

    It is the `p` with `P(Binomial(n, p) ≤ count) = alpha`. Small results are exact too:
    `proportion_upper_bound(n − count, n, alpha)` is one minus the lower bound without loss of
    digits. Certificates take it as `error`.

    Args:
        count: successes, integers in [0, n]; any shape.
        n: trials, integers of at least 1; broadcasts.
        alpha: failure probability, in (0, 1); broadcasts.

    Returns:
        Float64 of the broadcast shape, in [0, 1].

    Raises:
        ValueError: a count is outside [0, n] or not whole, n is below 1 or not whole, alpha is
            outside (0, 1), or one is NaN.

    Guarantee:
        For every p and n, P(bound < p) ≤ alpha.

    Source:
        Clopper, Pearson 1934, Biometrika 26.
    """
    count, n, alpha = _checked(count, n, alpha)
    rest = np.maximum(n - count, 1)
    usual = np.maximum(alpha, _LEAST_ALPHA)
    with np.errstate(divide="ignore"):
        start = np.where(
            count == 0, -np.expm1(np.log(usual) / n), special.betainccinv(count + 1, rest, usual)
        )
    bound = _outward(start, lambda p: special.betaincc(count + 1, rest, p), usual, +1)
    bound = _chernoff_where(alpha, bound, count, n, np.ones_like(bound))
    return np.where(count == n, 1.0, bound)[()]


def _checked(count: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> list[NDArray[np.float64]]:
    count, n = (np.asarray(value, dtype=np.float64) for value in (count, n))
    bad = ~((n >= 1) & (n == np.floor(n)) & np.isfinite(n))
    if np.any(bad):
        raise ValueError(f"n must be a whole number of at least 1; got {n[bad].tolist()[:3]}")
    count, n, alpha = np.broadcast_arrays(count, n, checked_alpha(alpha))
    bad = ~((count >= 0) & (count <= n) & (count == np.floor(count)))
    if np.any(bad):
        raise ValueError(
            f"count must be a whole number in [0, n]; got {count[bad][0]!r} of n = {n[bad][0]!r}"
        )
    return [count, n, alpha]


def _outward(
    start: NDArray[np.float64], tail, alpha: NDArray[np.float64], direction: int
) -> NDArray[np.float64]:
    """Step outward from `start` until the tail there, with its error, is at most alpha."""
    bound, step = start, 4 * EPS
    for _ in range(60):
        high = tail(bound) * (1 + _TAIL_ERROR) > alpha
        if not np.any(high):
            break
        bound = np.where(high, bound * (1 + direction * step), bound)
        step *= 2
    else:
        raise ArithmeticError("no Clopper–Pearson bound was found whose tail could be verified")
    return np.clip(bound, 0.0, 1.0)


def _chernoff_where(
    alpha: NDArray[np.float64],
    bound: NDArray[np.float64],
    count: NDArray[np.float64],
    n: NDArray[np.float64],
    outside: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`bound`; where alpha is below `_LEAST_ALPHA`, Chernoff's bound between count/n and `outside`.

    Beyond count/n a binomial tail is at most exp(−n KL(count/n ‖ p)), which falls towards the
    outside. Bisection keeps an end at which this was verified, so the result is never inside.
    """
    small = alpha < _LEAST_ALPHA
    if not np.any(small):
        return bound
    alpha, count, n = (values[small] for values in (alpha, count, n))
    needed = -np.log(alpha) * (1 + 1e-12)

    def is_enough(p: Floats) -> NDArray[np.bool_]:
        with np.errstate(divide="ignore", invalid="ignore"):
            right = special.xlogy(count, count / (n * p))
            wrong = special.xlogy(n - count, (n - count) / (n * (1 - p)))
        # The two nearly cancel: the error of the sum is that of its parts.
        return right + wrong >= needed + 1e-14 * (np.abs(right) + np.abs(wrong))

    result = np.array(bound)
    result[small] = safe_end(is_enough, count / n, outside[small], 120)
    return result

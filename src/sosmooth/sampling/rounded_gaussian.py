"""The law of a Gaussian rounded to a lattice, as integers, for exact noise.

Everything here is integer arithmetic with 192 binary places, so that each threshold is the whole
part of the true number. Proofs: docs/theory/exact.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Steps of the lattice in one sigma. With fewer, rounding would leave no noise; with more, the
#: tables would not fit the caches.
FEWEST_STEPS, MOST_STEPS = Fraction(1, 4), 2**16

_PLACES = 192
_ONE = 1 << _PLACES
# π · 2^256, rounded down.
_PI_256 = 0x3243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89
_WORDS = 2**63
# Taylor steps are at most this fraction of sigma.
_STEP = Fraction(1, 16)


@dataclass(frozen=True)
class RoundedGaussian:
    """The law of `Q = round(s g)`, `g ~ N(0, 1)`, for a lattice with `s` steps in one sigma.

    Attributes:
        thresholds: `⌊2^63 P(|Q| ≤ k)⌋` for k = 0, 1, …, up to the first that is 2^63 − 1; int64
            (cells,), never falling.
        means: `E[g | Q = k]` for k = 0, 1, …, float64 (cells,); the mean of −k is its negative.
        variances: `Var(g | Q = k)`, float64 (cells,); the same for −k.
    """

    thresholds: NDArray[np.int64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]


@lru_cache(maxsize=16)
def rounded_gaussian(steps: Fraction) -> RoundedGaussian:
    """The thresholds, means and variances of `round(s g)`, `g ~ N(0, 1)`.

        P(|Q| ≤ k) = 2Φ((k + ½)/s) − 1,
        E[g | Q = k] = (φ(a) − φ(b))/(Φ(b) − Φ(a)),   a, b = (k ∓ ½)/s,
        E[g² | Q = k] = 1 + (a φ(a) − b φ(b))/(Φ(b) − Φ(a))

    Args:
        steps: s = σ/Δ, exactly; in [1/4, 65536].

    Returns:
        The law. It takes half a second for s = 4080, and the process keeps it.

    Raises:
        ValueError: steps is out of range.
        ArithmeticError: a threshold lies within 2^-80 of a whole number, so that 192 places cannot
            decide; this has not been seen so far.

    Guarantee:
        Each threshold is exact. Each mean and variance is within 2 units of its last place.

    Source:
        docs/theory/exact.md.
    """
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise ValueError(
            f"sigma must be {float(FEWEST_STEPS):g} to {MOST_STEPS} steps of the lattice for exact"
            f" noise; got {float(steps):g}"
        )
    # Odd, so that the middle of a cell is the middle of a substep.
    substeps = 1 | math.ceil(1 / (_STEP * steps))
    step = 1 / (steps * substeps)
    square = step * step
    hh = _fixed(square)

    # First half of the middle substep of the first cell, from 0 to step/2. Then one substep after
    # the other, from (j − ½) step to (j + ½) step.
    density = math.isqrt((1 << (2 * _PLACES + 255)) // _PI_256)
    growth, mean_growth = _taylor(0, _fixed(square / 4))
    mass = (density * mean_growth >> _PLACES) * step.numerator // (2 * step.denominator)
    density = density * growth >> _PLACES
    above_zero, cell, left = mass, 0, density

    thresholds: list[int] = []
    means: list[float] = [0.0]
    variances: list[float] = []
    for j in range(1, substeps * 20 * MOST_STEPS):
        if (j - 1) % substeps == substeps // 2:  # the end of a cell
            thresholds.append(_whole_part(above_zero, j))
            k = len(thresholds) - 1
            if k == 0:
                cell, left = 2 * above_zero, density
            else:
                means.append((left - density) / cell)
            variances.append(_variance(k, steps, left, density, cell))
            if thresholds[-1] == _WORDS - 1:
                break
            cell, left = 0, density
        growth, mean_growth = _taylor(
            int((2 * j - 1) * square.numerator << _PLACES) // (2 * square.denominator), hh
        )
        mass = (density * mean_growth >> _PLACES) * step.numerator // step.denominator
        density = density * growth >> _PLACES
        above_zero += mass
        cell += mass
    return RoundedGaussian(
        np.array(thresholds, dtype=np.int64), np.array(means), np.array(variances)
    )


def _variance(k: int, steps: Fraction, left: int, right: int, mass: int) -> float:
    """`Var(g | Q = k)`, from the densities at the ends of the cell and its mass."""
    mean = ((left - right) << _PLACES) // mass
    end = 2 * steps.numerator
    product = ((2 * k - 1) * left - (2 * k + 1) * right) * steps.denominator
    second = (product << _PLACES) // (end * mass)
    return (_ONE + second - (mean * mean >> _PLACES)) / _ONE


def _fixed(value: Fraction) -> int:
    return (value.numerator << _PLACES) // value.denominator


def _taylor(ah: int, hh: int) -> tuple[int, int]:
    """`φ(a + h)/φ(a)` and `∫₀ʰ φ(a + t) dt / (h φ(a))`, from `a h` and `h²`.

    They are the series of φ about a, and its integral. The terms are `u_n = (−1)ⁿ He_n(a) hⁿ/n!`,
    so `u_{n+1} = −(a h u_n + h² u_{n−1})/(n + 1)`.
    """
    before, term, n = 0, _ONE, 0
    growth = mean_growth = _ONE
    while abs(term) > 4 or abs(before) > 4:
        n += 1
        before, term = term, -((ah * term + hh * before) >> _PLACES) // n
        growth += term
        mean_growth += term // (n + 1)
    return growth, mean_growth


def _whole_part(above_zero: int, steps_taken: int) -> int:
    """`⌊2^63 · 2 ∫₀ˣ φ⌋`, or an error where that is not certain; the true value is below 2^63."""
    # The error of the integral, in units of the last place: docs/theory/exact.md.
    error = (steps_taken + 1) << 20
    low, high = ((above_zero + sign * error) >> (_PLACES - 64) for sign in (-1, 1))
    if low != min(high, _WORDS - 1):
        raise ArithmeticError(
            "a threshold of the noise is too close to a whole number to decide; change the last"
            " digits of sigma"
        )
    return low

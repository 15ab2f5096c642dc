"""No radius is above the true one at all, nor below it by more than 1e-10 of it.

Radii are compared with 50 digits.
"""

import mpmath as mp
import numpy as np
import pytest
from scipy import special

import exact
from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.region import pdf, quantile_from_tail
from sosmooth.certificates.second_order import second_order_radius

CASES = 60


def errors(rng):
    """Error masses from one half to the smallest floats."""
    family = rng.integers(5, size=CASES)
    return np.choose(
        family,
        [
            rng.uniform(0, 0.5, CASES),
            0.5 - 10 ** rng.uniform(-16, -1, CASES),
            10 ** rng.uniform(-16, -0.4, CASES),
            10 ** rng.uniform(-307, -10, CASES),
            10 ** rng.uniform(-3, -0.4, CASES),
        ],
    )


def gradients(rng, error):
    """Gradient norms from zero to the largest possible, close to both."""
    largest = pdf(special.ndtri(error))
    family = rng.integers(6, size=CASES)
    return np.choose(
        family,
        [
            np.zeros(CASES),
            largest * rng.uniform(size=CASES),
            largest * 10 ** rng.uniform(-18, 0, CASES),
            largest * (1 - 10 ** rng.uniform(-16, 0, CASES)),
            np.nextafter(largest, 0),
            largest,
        ],
    )


def pairs(rng):
    """`c_s` and `c_n`: everywhere, at the edges of what is possible, and just above one half."""
    c_s = np.choose(
        rng.integers(5, size=CASES),
        [
            rng.uniform(size=CASES),
            1 - 10 ** rng.uniform(-16, 0, CASES),
            10 ** rng.uniform(-16, 0, CASES),
            0.5 + 10 ** rng.uniform(-10, -1, CASES),
            np.zeros(CASES),
        ],
    )
    most = 0.5 * (1 - c_s)
    c_n = np.choose(
        rng.integers(5, size=CASES),
        [
            most * rng.uniform(size=CASES),
            most,
            most * (1 - 10 ** rng.uniform(-16, -1, CASES)),
            most * 10 ** rng.uniform(-20, 0, CASES),
            np.clip(0.5 - c_s + 10 ** rng.uniform(-14, -1, CASES), 0, most),
        ],
    )
    return c_s, c_n


@pytest.mark.parametrize("seed", range(2))
def test_first_order(seed):
    error = errors(np.random.default_rng(seed))
    for e, radius in zip(error, first_order_radius(error=error), strict=True):
        exact.assert_radius(radius, [(-mp.inf, exact.quantile_from_tail(e))])


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_second_order(seed):
    rng = np.random.default_rng(seed)
    error = errors(rng)
    gamma = gradients(rng, error)
    for e, g, radius in zip(
        error, gamma, second_order_radius(error=error, gradient_norm=gamma), strict=True
    ):
        exact.assert_radius(radius, [exact.band(e, g)])


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_second_order_from_p(seed):
    rng = np.random.default_rng(100 + seed)
    error = np.maximum(errors(rng), 1e-15)
    p, gamma = 1 - error, gradients(rng, error)
    for q, g, radius in zip(p, gamma, second_order_radius(p, gamma), strict=True):
        exact.assert_radius(radius, [exact.band(1 - mp.mpf(q), g)])


@pytest.mark.parametrize("seed", range(2))
def test_dipole(seed):
    c_s, c_n = pairs(np.random.default_rng(seed))
    for s, n, radius in zip(c_s, c_n, dipole_radius(c_s, c_n), strict=True):
        exact.assert_radius(radius, exact.half_line_and_slab(s, n))


@pytest.mark.parametrize("c_s", [1e-300, 1e-17, 5e-17, 1e-16, 3e-16, 1e-9])
def test_dipole_where_the_largest_c_n_is_rounded_up(c_s):
    exact.assert_radius(
        dipole_radius(c_s, 0.5 * (1 - c_s)), exact.half_line_and_slab(c_s, 0.5 * (1 - c_s))
    )


def test_sigma_is_multiplied_downwards():
    rng = np.random.default_rng(5)
    error, sigma = rng.uniform(0, 0.5, CASES), 10 ** rng.uniform(-3, 3, CASES)
    for e, scale, radius in zip(
        error, sigma, first_order_radius(error=error, sigma=sigma), strict=True
    ):
        truth = mp.mpf(scale) * exact.quantile_from_tail(e)
        assert truth * (1 - mp.mpf(10) ** -13) <= mp.mpf(radius) <= truth


def test_the_distribution_function_is_as_accurate_as_the_margins_assume():
    z = np.concatenate([np.linspace(-9, 9, 801), np.random.default_rng(0).normal(0, 3, 400)])
    value = special.ndtr(z)
    worst = max(abs(mp.mpf(value[i]) - exact.upper_tail(-mp.mpf(z[i]))) for i in range(len(z)))
    assert worst <= 2 * np.finfo(float).eps


def test_quantiles_are_as_accurate_as_the_margins_assume():
    tail = np.concatenate(
        [10.0 ** np.linspace(-307, -0.31, 400), np.random.default_rng(0).uniform(0, 0.5, 400)]
    )
    value = quantile_from_tail(tail)
    worst = max(
        abs(mp.mpf(v) / exact.quantile_from_tail(t) - 1) for v, t in zip(value, tail, strict=True)
    )
    assert worst <= 8 * np.finfo(float).eps

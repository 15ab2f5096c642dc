"""Theorem 2's bound.

Its formula, and its estimate and bound on a half-space whose gradient is known.
"""

import numpy as np
import pytest
from scipy import special

from sosmooth.certificates.region import pdf
from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound


def test_many_pairs():
    # t = 4 √(d ln(1/α)/n), in units of sigma
    expected = np.sqrt(0.5 * 0.25**2 + 4 * np.sqrt(49 * np.log(1000) / 50_000)) / 0.25
    bound = gradient_norm_upper_bound(0.5, 50_000, dimension=49, sigma=0.25, alpha=0.001)
    assert expected <= bound <= expected * (1 + 1e-8)


def test_few_pairs():
    # t = 4 √2 ln(1/α)/n where 2 ln(1/α) > d n
    expected = np.sqrt(4 * np.sqrt(2) * np.log(1e6) / 3)
    bound = gradient_norm_upper_bound(0.0, 3, dimension=2, sigma=1.0, alpha=1e-6)
    assert expected <= bound <= expected * (1 + 1e-8)


def test_never_negative_or_nan():
    assert gradient_norm_upper_bound(-100.0, 10, dimension=2, sigma=1.0, alpha=0.1) == 0


def test_units():
    """Stretching the input by s stretches sigma and divides the gradient by s."""
    one = gradient_norm_upper_bound(0.3, 1000, dimension=5, sigma=1.0, alpha=0.01)
    np.testing.assert_allclose(
        gradient_norm_upper_bound(0.3 / 16, 1000, dimension=5, sigma=4.0, alpha=0.01), one / 4
    )


def test_half_space():
    """The estimate is unbiased, and the bound is below the true norm at most as often as alpha."""
    rng = np.random.default_rng(3)
    dimension, pairs, repetitions, p, sigma, alpha = 3, 50, 4000, 0.7, 0.5, 0.2
    noise = rng.normal(size=(2, repetitions, pairs, dimension))  # units of sigma
    inside = noise[..., 0] <= special.ndtri(p)
    products = np.sum(noise[0] * noise[1], axis=-1) * (inside[0] & inside[1]) / sigma**2  # ε·ε'/σ⁴
    estimate = products.mean(axis=1)
    truth = pdf(special.ndtri(p)) / sigma
    spread = estimate.std() / np.sqrt(repetitions)
    assert abs(estimate.mean() - truth**2) < 5 * spread
    # The sample is so small that the bound matters.
    assert np.std(estimate) > 0.1 * truth**2
    bound = gradient_norm_upper_bound(
        estimate, pairs, dimension=dimension, sigma=sigma, alpha=alpha
    )
    assert np.mean(bound < truth) <= alpha
    assert np.mean(np.sqrt(np.maximum(estimate, 0)) < truth) > alpha  # without its margin it fails


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 0},
        {"pairs": 0},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": np.nan},
        {"pairs": [3, 0]},
    ],
)
def test_broken_arguments(change):
    arguments = {
        "gradient_sq_estimate": 0.1,
        "pairs": 10,
        "dimension": 2,
        "sigma": 1.0,
        "alpha": 0.1,
    } | change
    with pytest.raises(ValueError, match=r"must be|needs"):
        gradient_norm_upper_bound(**arguments)

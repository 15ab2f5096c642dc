"""With float and with exact noise, a radius exceeds the truth with probability at most alpha.

The test runs the whole sampling engine.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from sosmooth import METHODS, SmoothedClassifier

SIGMA, ALPHA, REPETITIONS = 0.02, 0.1, 300  # five lattice steps per sigma: coarse rounding
LATTICE = 1 / 255


def half_space(x):
    """Right up to half a step beyond a point of the lattice.

    Rounding to the lattice changes nothing, so the truth is known.
    """
    return (x[:, 0] > 105.5 / 255).long()


@pytest.mark.parametrize(
    ("method", "lattice"),
    [
        pytest.param(
            method,
            lattice,
            id=f"{method}-{'float' if lattice is None else 'exact'}",
            marks=[] if quick else pytest.mark.slow,
        )
        for method in METHODS
        for lattice in (None, LATTICE)
        # test_whole_pipeline.py has quick tests of float noise; the default stands for its parts.
        for quick in [lattice is not None and method not in ("dipole_joint", "second_order_pairs")]
    ],
)
def test_the_radius_exceeds_the_true_one_with_probability_alpha_at_most(method, lattice):
    inputs = torch.tensor([100.0, 0.0]).expand(REPETITIONS, 2) / 255
    smoothed = SmoothedClassifier(
        half_space, sigma=SIGMA, num_classes=2, batch_size=2048, lattice=lattice
    )
    certificates = smoothed.certify(inputs, method=method, n=400, n0=20, alpha=ALPHA)
    failures = np.sum((certificates.radius > 5.5 / 255) | (certificates.prediction == 1))
    assert failures <= stats.binom.isf(1e-6, REPETITIONS, ALPHA)
    assert np.mean(certificates.radius) > 0.3 * 5.5 / 255


@pytest.mark.parametrize("lattice", [None, LATTICE], ids=["float", "exact"])
@pytest.mark.parametrize("method", ["first_order", "dipole_joint"])
def test_stopping_is_right_at_the_edge(method, lattice):
    inputs = torch.tensor([100.0, 0.0]).expand(REPETITIONS, 2) / 255
    smoothed = SmoothedClassifier(
        half_space, sigma=SIGMA, num_classes=2, batch_size=2048, lattice=lattice
    )
    certificates = smoothed.certify(
        inputs, method=method, n=400, n0=20, alpha=ALPHA, radius=5.5 / 255 * (1 + 1e-6)
    )
    assert np.sum(certificates.prediction == 0) <= stats.binom.isf(1e-6, REPETITIONS, ALPHA)


@pytest.mark.parametrize("lattice", [None, LATTICE], ids=["float", "exact"])
def test_predict_is_wrong_with_probability_alpha_at_most(lattice):
    inputs = torch.tensor([105.0, 0.0]).expand(2000, 2) / 255  # P(class 0) = 0.539
    smoothed = SmoothedClassifier(
        half_space, sigma=SIGMA, num_classes=2, batch_size=2048, lattice=lattice
    )
    predicted = smoothed.predict(inputs, n=100, alpha=ALPHA)
    assert np.sum(predicted == 1) <= stats.binom.isf(1e-6, 2000, ALPHA)
    assert np.mean(predicted == 0) > 0.1


@pytest.mark.parametrize("lattice", [None, LATTICE], ids=["float", "exact"])
@pytest.mark.parametrize("method", ["second_order", "second_order_pairs"])
def test_the_gradient_is_above_its_bound_with_probability_alpha_at_most(method, lattice):
    inputs = torch.tensor([100.0, 0.0]).expand(60, 2) / 255
    smoothed = SmoothedClassifier(
        half_space, sigma=SIGMA, num_classes=2, batch_size=4096, lattice=lattice
    )
    found = smoothed.certify(inputs, method=method, n=8000, n0=20, alpha=ALPHA)
    bound = found.bounds.gradient_norm_upper
    truth = stats.norm.pdf(5.5 / 255 / SIGMA) / SIGMA
    assert np.sum(bound < truth) <= stats.binom.isf(1e-6, 60, ALPHA)
    assert np.median(bound) < 3 * truth

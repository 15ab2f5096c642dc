"""Certify the extremal classifiers of each theorem.

There the certified radius is the true one, with no margin.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from sosmooth import SmoothedClassifier
from sosmooth.attacks.extremal_classifier import ExtremalClassifier
from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.third_order import third_order_region
from sosmooth.certificates.third_order_dipole import third_order_dipole_region
from sosmooth.methods import certify_tally
from sosmooth.tally import Design, Tally

SIGMA, ALPHA = 0.7, 0.01
REGIONS = {
    "first_order": first_order_region(0.8),
    "second_order": second_order_region(0.8, 0.1),
    "dipole": dipole_region(0.65, 0.15),
}
CURVED = {
    "third order": third_order_region(0.8, 0.2, -0.1),
    "third order, any slope": third_order_region(0.8, np.inf, -0.15),
    "third order, pairs": third_order_dipole_region(0.65, 0.15, 0.15, -0.1),
}


def planted(region, seed=0):
    rng = np.random.default_rng(seed)
    center, direction = rng.normal(size=20), rng.normal(size=20)
    return center, direction, ExtremalClassifier(region, center, direction, sigma=SIGMA)


@pytest.mark.parametrize("name", [*REGIONS, *CURVED])
def test_the_decision_boundary_lies_at_the_radius(name):
    region = (REGIONS | CURVED)[name]
    center, direction, classifier = planted(region)
    radius = SIGMA * float(region.radius())
    unit = direction / np.linalg.norm(direction)
    smoothed = SmoothedClassifier(classifier, sigma=SIGMA, num_classes=2, batch_size=8192)
    points = np.stack([center + unit * radius * 0.97, center + unit * radius * 1.03])
    assert smoothed.predict(points, n=200_000, alpha=1e-6).tolist() == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", REGIONS)
def test_the_true_radius_is_exceeded_by_at_most_alpha(name):
    """As in test_whole_pipeline.py, in more dimensions and with more samples."""
    region, repetitions, n = REGIONS[name], 1000, 1000
    center, _, classifier = planted(region)
    smoothed = SmoothedClassifier(classifier, sigma=SIGMA, num_classes=2, batch_size=8192)
    inputs = np.broadcast_to(center, (repetitions, 20)).copy()
    radius = smoothed.certify(inputs, method=name, n=n, alpha=ALPHA).radius
    assert np.sum(radius > SIGMA * region.radius() * (1 + 1e-12)) <= stats.binom.isf(
        1e-6, repetitions, ALPHA
    )


@pytest.mark.parametrize("name", ["first_order", "dipole"])
def test_many_samples_reach_the_true_radius(name):
    """At n = 10⁷ the methods without a gradient reach 99 % of the true radius.

    The counts are drawn from their exact law.
    """
    rng = np.random.default_rng(1)
    region, n = REGIONS[name], 10**7
    p = float(region.measure())
    both, one = (p, 0.0) if name == "first_order" else (0.65, 0.15)
    both_, plus, minus, none = rng.multinomial(
        n // 2, [both, one, one, 1 - both - 2 * one], size=50
    ).T
    count = rng.binomial(n, p, size=50)
    tally = Tally(
        Design.INDEPENDENT if name == "first_order" else Design.ANTITHETIC,
        np.full(50, n),
        dimension=20,
        count_top=count,
        pair_both=both_,
        pair_plus_only=plus,
        pair_minus_only=minus,
        pair_none=none,
    )
    zeros = np.zeros(50, dtype=int)
    found = certify_tally(
        name,
        tally,
        selected=zeros,
        selection_margin=zeros + 1,
        index=np.arange(50),
        sigma=SIGMA,
        alpha=ALPHA,
        n0=100,
        seed=0,
    )
    assert np.all(found.radius >= 0.99 * SIGMA * region.radius())


@pytest.mark.parametrize("name", ["dipole", "third order, pairs"])
def test_the_classifier_agrees_with_the_regions_indicator(name):
    region = (REGIONS | CURVED)[name]
    center, direction, classifier = planted(region, seed=4)
    z = np.random.default_rng(0).normal(size=500)
    points = center + SIGMA * z[:, None] * direction / np.linalg.norm(direction)
    assert np.array_equal(classifier(torch.as_tensor(points)).numpy() == 0, region.indicator(z))


def test_a_zero_direction_is_refused():
    with pytest.raises(ValueError, match="nonzero"):
        ExtremalClassifier(REGIONS["dipole"], np.zeros(3), np.zeros(3), sigma=1.0)

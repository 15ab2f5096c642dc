"""How far away a class is measured to be lost: never nearer than it is, and not much farther."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from sosmooth import SmoothedClassifier
from sosmooth.attacks.extremal_classifier import ExtremalClassifier
from sosmooth.attacks.lost_class import LookSettings, _Search, lost_class
from sosmooth.certificates.third_order_dipole import third_order_dipole_region

SIGMA, DIMENSION = 0.5, 12
QUICK = LookSettings(refinements=2, looks=4, n=4000)


def smoothed(classifier, num_classes=2, lattice=None):
    return SmoothedClassifier(
        classifier, sigma=SIGMA, num_classes=num_classes, batch_size=8192, lattice=lattice
    )


def half_space(distance):
    """Class 0 on one side; the smoothed class is lost exactly at this distance from 0."""
    normal = torch.linspace(0.5, 1.5, DIMENSION)
    normal = normal / normal.norm()
    return lambda x: (x.flatten(1) @ normal > distance).long()


def test_along_both_directions_of_a_half_space():
    found = lost_class(smoothed(half_space(0.4)), torch.zeros(DIMENSION), 0, settings=QUICK)
    assert 0.4 <= found.along_gradient < 0.46
    assert 0.4 <= found.along_worst < 0.46
    assert found.distance == min(found.along_gradient, found.along_worst)


def test_a_tight_certificate_is_nearly_reached():
    """The extremal region's true radius is the certified one, and its gradient the axis."""
    region = third_order_dipole_region(0.65, 0.15, 0.15, -0.1)
    direction = np.linspace(-1, 2, DIMENSION)
    classifier = ExtremalClassifier(region, np.zeros(DIMENSION), direction, sigma=SIGMA)
    found = lost_class(smoothed(classifier), torch.zeros(DIMENSION), 0, settings=QUICK)
    assert 0.85 < SIGMA * float(region.radius()) / found.distance <= 1


def test_the_worst_direction_is_not_that_of_the_gradient():
    """A slab bends the gradient away from the half-space behind which the class is lost."""

    def lost(x):
        first, second = x.flatten(1)[:, 0], x.flatten(1)[:, 1]
        return (((first > 0.1) & (first < 0.5)) | (second > 0.7)).long()

    found = lost_class(smoothed(lost), torch.zeros(DIMENSION), 0, settings=QUICK)
    assert found.along_worst < 0.9 * found.along_gradient


def test_false_claims_are_as_rare_as_alpha_says():
    """The first look is just inside, where the class is not lost yet."""
    truth, runs, alpha = 0.4, 200, 0.4
    classifier = smoothed(half_space(truth))
    direction = torch.linspace(0.5, 1.5, DIMENSION)
    direction = direction / direction.norm()
    wrong, looks = 0, 4
    step = SIGMA * (special.ndtri(1 - alpha / (2 * looks)) + 1) / np.sqrt(100) / 0.4
    for seed in range(runs):
        settings = LookSettings(looks=looks, n=100, alpha=alpha, seed=seed)
        search = _Search(classifier, torch.zeros(DIMENSION), 0, "top", settings)
        wrong += search.measured(direction, truth - 1.01 * step) < truth * (1 - 1e-6)
    assert wrong <= stats.binom.isf(1e-6, runs, alpha / 2)
    assert wrong > 0  # near enough to be wrong at times


@pytest.mark.parametrize("classes", ["top", "all"])
def test_what_lost_means(classes):
    """Three classes share the far side: one half is gone before another class leads."""
    axis = torch.zeros(DIMENSION)
    axis[0] = 1.0

    def classifier(x):
        x = x.flatten(1)
        return torch.where(x[:, 0] < 0.3, 0, 1 + (x[:, 1:3] > 0).sum(1).clamp(max=1))

    found = lost_class(smoothed(classifier, 3), torch.zeros(DIMENSION), 0, classes=classes)
    at_half = 0.3
    if classes == "top":
        assert at_half <= found.distance < 1.15 * at_half
    else:
        # A class has at most three quarters of the far side: p_a <= 0.75 (1 - p_a).
        assert found.distance > at_half - SIGMA * special.ndtri(0.75 / 1.75) - 1e-6
        assert found.distance < at_half + SIGMA


def test_a_class_that_is_never_lost():
    constant = smoothed(lambda x: torch.zeros(len(x), dtype=torch.long))
    found = lost_class(constant, torch.zeros(DIMENSION), 0, settings=QUICK)
    assert (found.along_gradient, found.along_worst) == (np.inf, np.inf)


@pytest.mark.parametrize("classes", ["top", "all"])
def test_with_exact_noise_the_points_are_on_the_lattice(classes):
    step = 1 / 64
    exact = smoothed(half_space(0.4), lattice=step)
    found = lost_class(exact, torch.zeros(DIMENSION), 0, classes=classes, settings=QUICK)
    squares = (np.array([found.along_gradient, found.along_worst]) / step) ** 2
    np.testing.assert_allclose(squares, np.rint(squares), rtol=1e-6)
    assert np.all(squares > 0)


def test_the_same_seed_measures_the_same():
    runs = [
        lost_class(smoothed(half_space(0.4)), torch.zeros(DIMENSION), 0, settings=QUICK)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("prediction", "classes"), [(2, "top"), (-1, "top"), (0, "some")])
def test_what_cannot_be_measured_is_refused(prediction, classes):
    with pytest.raises(ValueError, match="prediction must be one of the 2 classes"):
        lost_class(smoothed(half_space(0.4)), torch.zeros(3), prediction, classes=classes)


@pytest.mark.parametrize("wrong", [{"refinements": -1}, {"looks": 0}, {"n": 0}, {"alpha": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        LookSettings(**wrong)

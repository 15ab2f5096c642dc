"""Radii in other norms on classifiers whose distance in every norm is known.

The classifiers depend on the coordinate along one unit vector w. So where the class is lost at the
l2 distance R along w, it is lost at R/‖w‖_∞ in l1 and at R/‖w‖₁ in l∞.
"""

from dataclasses import replace

import numpy as np
import pytest
import test_direction_coverage as third
from known_classifiers import KNOWN, counts_of, extremal
from scipy import stats

from sosmooth import directions
from sosmooth.certificates.second_order_dipole import second_order_dipole_radius
from sosmooth.confidence import other_norms
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.other_norms import corners_in_norm
from sosmooth.methods import bounds_and_radii
from sosmooth.sampling.low_frequencies import lengths
from sosmooth.tally import Design, Tally

FALSE_ALARM = 1e-6
DUAL = {"l1": np.inf, "linf": 1}
AXES = {
    "one feature": np.array([1.0, 0.0, 0.0, 0.0, 0.0]),
    "all alike": np.full(5, 1 / np.sqrt(5)),
    "uneven": np.array([3.0, -2.0, 1.0, 0.5, 0.1]) / np.linalg.norm([3.0, 2.0, 1.0, 0.5, 0.1]),
}
TRUTHS = [KNOWN[0], KNOWN[1], extremal(0.6774, 0.1486, 0.572), extremal(0.5, 0.2, 0.3)]


def drawn(known, axis, pairs, repetitions, rng) -> Tally:
    """Tallies with all pairs in the mean, from vectors of the whole dimension."""
    z = rng.standard_normal((repetitions, pairs, len(axis)))
    nothing = np.zeros((repetitions, pairs), dtype=bool)
    plus, minus = known.right(z @ axis, nothing), known.right(-(z @ axis), nothing)
    mean = np.mean(0.5 * (plus.astype(float) - minus)[..., None] * z, axis=1)
    return Tally(
        Design.ANTITHETIC,
        np.full(repetitions, 2 * pairs),
        len(axis),
        **counts_of(plus, minus),
        direction_pairs=np.full(repetitions, pairs),
        direction_one=np.sum(plus ^ minus, axis=1),
        direction_norm=np.linalg.norm(mean, axis=1),
        direction_largest=np.abs(mean).max(axis=1),
        direction_total=np.abs(mean).sum(axis=1),
        slope_pairs=np.zeros(repetitions, dtype=np.int64),
        slope_sum=np.zeros(repetitions),
        slope_sq_sum=np.zeros(repetitions),
        gradient_share=np.full(repetitions, 0.3),
    )


def slopes_below_the_truth(known, axis, norm, repetitions, seed):
    """How often the bound of the slope along the nearest change is below it; its share alone."""
    tally = drawn(known, axis, 100, repetitions, np.random.default_rng(seed))
    nothing = Bounds(tally.n, gradient_norm_upper=np.full(repetitions, np.inf))
    found = corners_in_norm(tally, 0.999, 1.0, norm=norm, corners=lambda *_: nothing)
    longest = 1.0 if norm == "l1" else np.sqrt(len(axis))
    truth = known.gamma * np.linalg.norm(axis, DUAL[norm]) / longest
    return int(np.sum(found.required("gradient_norm_upper") < truth))


def radii_above_the_truth(known, axis, norm, repetitions, seed):
    tally = drawn(known, axis, 200, repetitions, np.random.default_rng(seed))
    _, radius = bounds_and_radii(
        "second_order_dipole", tally, alpha=0.05, sigma=1.0, classes="top", norm=norm
    )
    distance = second_order_dipole_radius(*known.pair_masses, known.gamma)
    return int(np.sum(radius > distance / np.linalg.norm(axis, DUAL[norm]) * (1 + 1e-9)))


def third_order_radii_above_the_truth(shape, axis, norm, repetitions, pairs=1000):
    """The same for slope and curvature, on an extremal region of the third order."""
    right, distance = third.extremal(*shape)
    w, center = AXES[axis], 0.5 * (1 - shape[0])
    rng = np.random.default_rng(repetitions)
    drawn = third.sample(lambda z: right((z @ w)[:, None]), len(w), pairs, repetitions, rng, center)
    _, radius = bounds_and_radii(
        "third_order_dipole",
        third.tally_of(drawn, center),
        alpha=0.05,
        sigma=1.0,
        classes="top",
        norm=norm,
    )
    truth = distance / np.linalg.norm(w, DUAL[norm])
    assert np.mean(radius) > 0.4 * truth
    return int(np.sum(radius > truth))


def colour_radii_above_the_truth(tilt, repetitions, pairs=1000):
    """Images of 4 x 4 pixels whose class is lost along an axis at this angle to the constant."""
    right, distance = third.extremal(*third.EXTREMAL[0])
    constant, other = np.full(16, 0.25), np.tile([0.25, -0.25], 8)
    w, center = np.cos(tilt) * constant + np.sin(tilt) * other, 0.1
    rng = np.random.default_rng(repetitions)
    drawn = third.sample(lambda z: right((z @ w)[:, None]), 16, pairs, repetitions, rng, center)
    low = np.array([lengths(mean, (1, 4, 4)) for mean in drawn[1]])
    tally = replace(third.tally_of(drawn, center), curvature_low=low)
    asked = {"alpha": 0.05, "sigma": 1.0, "classes": "top"}
    _, plain = bounds_and_radii("third_order_dipole", tally, **asked)
    _, radius = bounds_and_radii("third_order_dipole", tally, **asked, norm="color")
    assert np.all(radius >= plain * (1 - 1e-7))
    assert (np.mean(radius) > 1.1 * np.mean(plain)) == (tilt > 0.5)
    return int(np.sum(radius > distance / np.cos(tilt)))


CASES = [(known, axis, norm) for known in TRUTHS for axis in AXES for norm in DUAL]
ONE_OF_EACH = [CASES[0], CASES[9], CASES[14], CASES[19]]


def slopes_cover(case, repetitions):
    known, axis, norm = case
    missed = slopes_below_the_truth(known, AXES[axis], norm, repetitions, CASES.index(case))
    assert missed <= stats.binom.isf(FALSE_ALARM, repetitions, 0.02)


def radii_cover(case, repetitions):
    known, axis, norm = case
    missed = radii_above_the_truth(known, AXES[axis], norm, repetitions, CASES.index(case))
    assert missed <= stats.binom.isf(FALSE_ALARM, repetitions, 0.05)


def test_slopes_cover():
    for case in CASES:
        slopes_cover(case, 300)


def test_radii_cover():
    for case in ONE_OF_EACH:
        radii_cover(case, 100)


# The axis along which the largest l2 change of the ball leads: nothing is given away there.
THIRD_ORDER = [
    (third.EXTREMAL[0], "one feature", "l1"),
    (third.EXTREMAL[1], "all alike", "linf"),
    (third.EXTREMAL[2], "uneven", "l1"),
]


def test_third_order_radii_cover():
    for case in THIRD_ORDER:
        assert third_order_radii_above_the_truth(*case, 40) <= stats.binom.isf(
            FALSE_ALARM, 40, 0.05
        )


@pytest.mark.parametrize("tilt", [0.0, 1.0])
def test_radii_of_colour_shifts_cover(tilt):
    assert colour_radii_above_the_truth(tilt, 40) <= stats.binom.isf(FALSE_ALARM, 40, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("tilt", [0.0, 1.0])
def test_radii_of_colour_shifts_cover_4000_times(tilt):
    assert colour_radii_above_the_truth(tilt, 4000) <= stats.binom.isf(FALSE_ALARM, 4000, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("case", THIRD_ORDER, ids=lambda case: f"{case[1]}, {case[2]}")
def test_third_order_radii_cover_4000_times(case):
    failed = third_order_radii_above_the_truth(*case, 4000)
    assert failed <= stats.binom.isf(FALSE_ALARM, 4000, 0.05)


def test_with_half_of_the_slope_the_third_order_does_not_cover(monkeypatch):
    """The sabotage that the tests above would see."""
    case, honest = (third.EXTREMAL[0], "one feature", "l1"), directions.steepest_in_norm
    limit = stats.binom.isf(FALSE_ALARM, 12, 0.05)
    assert third_order_radii_above_the_truth(*case, 12, pairs=50_000) <= limit
    monkeypatch.setattr(directions, "steepest_in_norm", lambda *given: 0.5 * honest(*given))
    assert third_order_radii_above_the_truth(*case, 12, pairs=50_000) > limit


@pytest.mark.slow
def test_slopes_cover_5000_times():
    for case in CASES:
        slopes_cover(case, 5000)


@pytest.mark.slow
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: f"{case[0].name}, {case[2]}")
def test_radii_cover_2000_times(case):
    radii_cover(case, 2000)


def test_without_its_slack_the_slope_does_not_cover(monkeypatch):
    monkeypatch.setattr(other_norms, "slope_shortfall", lambda one, pairs, alpha: 0.0 * one)
    missed = slopes_below_the_truth(TRUTHS[2], AXES["one feature"], "l1", 200, 0)
    assert missed > stats.binom.isf(FALSE_ALARM, 200, 0.02)

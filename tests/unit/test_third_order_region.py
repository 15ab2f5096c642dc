"""The third order's extremal regions: they are base classifiers that the certificate just fits."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from sosmooth.attacks.extremal import grid_of_curved_regions
from sosmooth.certificates import _third_order_region
from sosmooth.certificates._third_order_search import bound
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import Region, multiclass_radius
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.certificates.third_order import third_order_radius, third_order_region
from sosmooth.certificates.third_order_dipole import (
    third_order_dipole_radius,
    third_order_dipole_region,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "third_order_dipole.csv"
GIVEN = ("c_s", "c_n", "gradient_norm", "curvature_bound")


def golden():
    with open(GOLDEN, newline="") as file:
        return np.array([[float(row[name]) for name in GIVEN] for row in csv.DictReader(file)]).T


def right_on_both(region):
    """The measure of the points `z` with `z` and `−z` in the region."""
    total = 0.0
    for a, b in region.intervals:
        for c, d in region.intervals:
            low, high = np.maximum(a, -d), np.minimum(b, -c)
            total = total + np.maximum(special.ndtr(high) - special.ndtr(low), 0.0)
    return total


def test_with_pairs_it_has_the_given_numbers_and_one_half_at_the_radius():
    c_s, c_n, gamma, kappa = golden()
    region = third_order_dipole_region(c_s, c_n, gamma, -kappa)
    np.testing.assert_allclose(right_on_both(region), c_s, rtol=0, atol=1e-14)
    np.testing.assert_allclose(region.measure(), c_s + c_n, rtol=0, atol=1e-14)
    np.testing.assert_allclose(region.curvature(), -kappa, rtol=0, atol=1e-14)
    # A slope that limits is met exactly, and some are.
    assert np.all(region.slope() >= -gamma - 1e-14)
    assert np.sum(region.slope() <= -gamma + 1e-14) > 10
    half = region.measure(third_order_dipole_radius(c_s, c_n, gamma, -kappa))
    assert np.all(half >= 0.5)
    assert np.all(half <= 0.5 + 1e-11)


def test_without_pairs_it_has_the_given_numbers_and_one_half_at_the_radius():
    p, gamma, bend = (
        axis.ravel() for axis in np.meshgrid([0.6, 0.8, 0.95], [0.05, 0.1, np.inf], [0.6, 0.9])
    )
    curvature = bend * second_order_region(p, gamma).curvature()
    region = third_order_region(p, gamma, curvature)
    assert len(region.intervals) == 2
    assert np.all(np.isneginf(region.intervals[0][0]))
    np.testing.assert_allclose(region.measure(), p, rtol=0, atol=1e-14)
    np.testing.assert_allclose(region.curvature(), curvature, rtol=0, atol=1e-14)
    assert np.all(region.slope() >= -gamma - 1e-14)
    half = region.measure(third_order_radius(p, gamma, curvature))
    assert np.all(half >= 0.5)
    # What is above one half is what the search for the radius loses.
    assert np.all(half <= 0.5 + 1e-5)
    assert np.median(half) <= 0.5 + 1e-11


@pytest.mark.parametrize("pairs", [False, True])
def test_the_grid_of_the_attacks_is_found(pairs):
    region = grid_of_curved_regions(pairs=pairs)
    assert np.all(np.isfinite(region.measure()))
    assert np.all(region.measure(region.radius()) >= 0.5)


@pytest.mark.parametrize(
    "ends", [(-0.6288, -0.3921, 1.355), (-0.4923, -0.1732, 1.7415), (0.4224, 0.6106, 1.184)]
)
def test_a_classifier_of_three_ends_is_its_own_extremal_region(ends):
    a, b, c = np.array(ends)
    known = Region(((np.array(-np.inf), a), (b, c)), falls=False)
    found = third_order_region(known.measure(), -known.slope(), known.curvature())
    (_, first), (second, third) = found.intervals
    np.testing.assert_allclose([first, second, third], ends, rtol=0, atol=1e-13)
    radius = third_order_radius(known.measure(), -known.slope(), known.curvature())
    assert known.measure(radius) == pytest.approx(0.5, abs=1e-10)
    assert found.radius() == pytest.approx(known.radius(), rel=1e-13)


def test_the_first_crossing_counts():
    """The value falls below one half near 0.08, is nearly 1 at 5, and falls again at 10."""
    ends = ((np.array(-np.inf), np.array(0.01)), (np.array(2.0), np.array(10.0)))
    region = Region(ends, falls=False)
    assert region.measure(5.0) > 0.99
    radius = region.radius()
    assert 0.078 < radius < 0.079
    assert 0.5 <= region.measure(radius) <= 0.5 + 1e-14
    assert region.measure(radius * (1 + 1e-12)) < 0.5
    found = third_order_region(region.measure(), -region.slope(), region.curvature())
    # How near the search ends depends on the processor; above the truth it may not be.
    assert radius * (1 - 1e-9) < found.radius() < radius * (1 + 1e-12)
    one = np.array([0.0, np.inf])
    assert Region(((-one[1:], one),), falls=False).radius().tolist() == [0.0, np.inf]


def test_several_classes_refuse_a_value_that_need_not_fall():
    with pytest.raises(ValueError, match="falls"):
        multiclass_radius(third_order_region(0.8, 0.2, -0.1), [first_order_region(0.9)])


def test_where_the_curvature_says_nothing_it_is_that_of_second_order():
    p, gamma = np.array([0.4, 0.6, 0.8, 0.999]), np.array([0.2, 0.2, 0.1, 0.001])
    region, second = third_order_region(p, gamma, -1.0), second_order_region(p, gamma)
    np.testing.assert_array_equal(region.measure(0.3), second.measure(0.3))
    c_s, c_n = np.array([0.7, 0.2, 1.0]), np.array([0.1, 0.2, 0.0])
    # The first is curved; nothing is certified of the second; the third is the whole axis.
    region = third_order_dipole_region(c_s, c_n, 0.1, -0.1)
    second = second_order_dipole_region(c_s, c_n, 0.1)
    np.testing.assert_allclose(region.measure(0.3)[1:], second.measure(0.3)[1:], rtol=1e-15)
    assert region.radius().tolist()[1:] == [0.0, np.inf]
    assert region.radius()[0] > second.radius()[0]


def test_it_broadcasts():
    assert third_order_region(np.full((2, 1), 0.8), [0.2, 0.1, 0.1], -0.1).radius().shape == (2, 3)
    region = third_order_dipole_region(np.full((2, 1), 0.65), [0.15, 0.14], 0.15, -0.1)
    assert region.radius().shape == (2, 2)
    assert np.ndim(third_order_dipole_region(0.65, 0.15, 0.15, -0.1).radius()) == 0


def test_a_search_that_fails_gives_no_region(monkeypatch):
    def unsolved(multipliers, prices, r, *, tied):
        worse = 1.1 * multipliers
        return worse, bound(worse, prices, r)[1]

    monkeypatch.setattr(_third_order_region, "descended", unsolved)
    region = third_order_dipole_region(0.65, 0.15, 0.15, -0.1)
    assert np.isnan(region.measure())
    assert np.isnan(region.radius())
    assert not region.indicator(0.0)


def test_slope_and_curvature_against_differences():
    region, step = third_order_dipole_region(0.65, 0.15, 0.15, -0.1), 1e-4
    low, here, high = region.measure(np.array([-step, 0.0, step]))
    assert region.slope() == pytest.approx((high - low) / (2 * step), abs=1e-7)
    assert region.curvature() == pytest.approx((high - 2 * here + low) / step**2, abs=1e-5)

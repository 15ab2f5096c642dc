"""The extremal region: measure, complement, radius, indicator, several classes."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import exact
from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_radius, first_order_region
from sosmooth.certificates.region import Region, multiclass_radius, pdf
from sosmooth.certificates.second_order import second_order_radius, second_order_region

shares = st.floats(0, 1)
above_half = st.floats(0.501, 1 - 1e-9)


def largest(p):
    return pdf(special.ndtri(p))


regions = st.one_of(
    above_half.map(first_order_region),
    st.builds(lambda p, share: second_order_region(p, share * largest(p)), above_half, shares),
    st.builds(
        lambda p, share: dipole_region(p - (1 - p) * share, (1 - p) * share), above_half, shares
    ),
)


@given(regions)
def test_the_measure_at_the_radius_is_one_half(region):
    radius = region.radius()
    assert radius > 0
    assert region.measure(radius) == pytest.approx(0.5, abs=1e-12)


@given(regions, st.floats(0, 6), st.floats(0, 6))
def test_the_measure_falls_with_the_distance(region, a, b):
    assert region.measure(max(a, b)) <= region.measure(min(a, b)) + 1e-15


@given(regions, st.floats(0, 8))
def test_the_indicator_is_what_is_measured(region, shift):
    z = np.arange(-12, 12, 1e-3) + 5e-4
    integral = 1e-3 * np.sum(region.indicator(z + shift) * pdf(z))
    assert integral == pytest.approx(region.measure(shift), abs=5e-4 * 4)


@given(regions, st.floats(0, 8))
def test_complement(region, shift):
    outside = region.complement_measure(shift)
    assert region.measure(shift) + outside == pytest.approx(1, abs=3e-12)
    intervals = [(mp.mpf(float(u)), mp.mpf(float(v))) for u, v in region.intervals]
    truth = 1 - exact.measure(intervals, mp.mpf(shift))
    assert truth <= mp.mpf(float(outside)) <= truth * (1 + mp.mpf(10) ** -11)


def test_upper_bound_of_a_class_at_a_distance():
    """First order: `p_c(x') ≤ Φ(Φ⁻¹(p_c) + r)`; a known gradient lowers it."""
    p = np.array([1e-9, 0.1, 0.4])
    r = 0.7
    by_first_order = first_order_region(error=p).complement_measure(r)
    np.testing.assert_allclose(by_first_order, special.ndtr(special.ndtri(p) + r), rtol=1e-10)
    assert np.all(
        second_order_region(error=p, gradient_norm=0.3 * largest(p)).complement_measure(r)
        < by_first_order
    )


def test_corners():
    assert first_order_region(1.0).radius() == np.inf
    assert first_order_region(1.0).complement_measure(3.0) == 0
    assert first_order_region(0.5).radius() == 0
    assert first_order_region(0.0).measure() == 0
    assert dipole_region(1.0, 0.0).radius() == np.inf
    empty = Region(((np.array(-1.0), np.array(-2.0)),))
    assert empty.measure(0.3) == 0
    assert empty.complement_measure(0.3) == 1
    assert not empty.indicator(-1.5)


def test_shapes():
    region = second_order_region(np.full((4, 1), 0.9), np.linspace(0, 0.1, 3))
    assert region.radius().shape == (4, 3)
    assert region.measure(np.zeros((2, 1, 1))).shape == (2, 4, 3)
    assert region.complement_measure(np.zeros((2, 1, 1))).shape == (2, 4, 3)
    assert region.indicator(np.zeros((2, 1, 1))).shape == (2, 4, 3)


class TestSeveralClasses:
    @given(above_half, shares)
    def test_two_classes_that_share_all_mass_are_one(self, p, share):
        """If `p_c = 1 − p_a` with the same gradient norm, comparing equals crossing one half."""
        gamma = share * largest(p)
        top, other = second_order_region(p, gamma), second_order_region(p, gamma)  # 1 − f_c is f_a
        radius = second_order_radius(p, gamma)
        assert multiclass_radius(top, [other]) == pytest.approx(radius, rel=1e-9)

    @given(
        st.lists(st.tuples(st.floats(0.01, 0.3), shares), min_size=1, max_size=4),
        st.floats(0.35, 0.9),
        shares,
    )
    def test_brute_force(self, others, p, share):
        top = second_order_region(p, share * largest(p))
        bounds = [second_order_region(error=q, gradient_norm=s * largest(q)) for q, s in others]
        radius = float(multiclass_radius(top, bounds))
        assert radius > 0
        grid = np.linspace(0, 8, 4001)
        beaten = np.all(
            [top.measure(grid) > bound.complement_measure(grid) for bound in bounds], axis=0
        )
        first_lost = grid[np.argmin(beaten)]
        assert first_lost - (grid[1] - grid[0]) - 1e-9 <= radius <= first_lost

    def test_first_order_closed_form(self):
        p, q = 0.6, 0.15
        radius = multiclass_radius(first_order_region(p), [first_order_region(error=q)])
        assert radius == pytest.approx((special.ndtri(p) - special.ndtri(q)) / 2, rel=1e-12)
        assert radius > first_order_radius(p)

    def test_not_only_the_runner_up_counts(self):
        """A class with a lower probability but a larger gradient may overtake first."""
        top = second_order_region(0.7, 0.0)
        runner_up = second_order_region(error=0.16, gradient_norm=0.0)
        third = second_order_region(error=0.14, gradient_norm=largest(0.14))
        both = multiclass_radius(top, [runner_up, third])
        assert both == multiclass_radius(top, [third]) < multiclass_radius(top, [runner_up])

    @given(st.floats(0.2, 0.45), shares)
    def test_not_beaten_at_the_input(self, p, share):
        assert (
            multiclass_radius(
                second_order_region(p, share * largest(p)), [first_order_region(error=p + 1e-6)]
            )
            == 0
        )

    def test_below_one_half_can_be_certified(self):
        """What the two-class certificate cannot do."""
        assert first_order_radius(0.4) == 0
        assert multiclass_radius(first_order_region(0.4), [first_order_region(error=0.2)]) > 0

    def test_arrays(self):
        top = first_order_region(np.array([0.6, 0.9]))
        assert multiclass_radius(
            top, [first_order_region(error=0.1), first_order_region(error=np.array([0.2, 0.05]))]
        ).shape == (2,)

    def test_no_other_class(self):
        with pytest.raises(ValueError, match="no other class"):
            multiclass_radius(first_order_region(0.9), [])


@given(st.floats(0.51, 0.99), st.floats(0, 1))
def test_second_order_region_has_the_mass_and_the_gradient(p, share):
    """As a base classifier the region has exactly the values that the theorem was told."""
    gamma = share * largest(p)
    region = second_order_region(p, gamma)
    assert region.measure(0) == pytest.approx(p, abs=1e-12)
    step = 1e-4
    slope = (region.measure(-step) - region.measure(step)) / (2 * step)
    assert slope == pytest.approx(gamma, abs=1e-7)


@given(st.floats(0.01, 0.99), shares)
def test_dipole_region_has_the_pair_masses(c_s, share):
    c_n = 0.5 * (1 - c_s) * share
    region = dipole_region(c_s, c_n)
    z = np.arange(-12, 12, 1e-4) + 5e-5
    here, mirrored = region.indicator(z), region.indicator(-z)
    weight = 1e-4 * pdf(z)
    assert np.sum(weight[here & mirrored]) == pytest.approx(c_s, abs=5e-4)
    assert np.sum(weight[here & ~mirrored]) == pytest.approx(c_n, abs=5e-4)

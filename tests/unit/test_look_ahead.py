"""The look-ahead certificate: a linear programme, known classifiers, special cases, soundness."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.optimize import linprog

from sosmooth.certificates import _look_ahead_rays as rays
from sosmooth.certificates._look_ahead_dual import Grid, dual
from sosmooth.certificates._look_ahead_search import better, wrong_mass
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.look_ahead import look_ahead_radius
from sosmooth.certificates.region import moment, pdf
from sosmooth.certificates.second_order import second_order_radius, second_order_region
from sosmooth.certificates.third_order import third_order_radius

# p, and as shares of a half-space's: slope, curvature, gradient across.
CASES = [
    (0.8, 0.75, 0.6, 0.1),
    (0.8, 0.3, 0.1, 0.1),
    (0.95, 0.8, 0.75, 0.1),
    (0.6, 0.7, 0.7, 0.2),
]


def bounds(p, slope, bend, across):
    """The numbers in units of the noise, p first; the slope is known exactly."""
    c = special.ndtri(p)
    steep = float(pdf(c))
    return p, -slope * steep, -slope * steep, -bend * c * steep, across * steep


def smallest_value(given, r, angle, cells=48, end=6.5):
    """The smallest value at one point among functions that are constant on cells of (t, s).

    A linear programme that knows nothing of multipliers. It is at least the smallest value among
    all functions, and near it.
    """
    p, low, high, bend, across = given
    edges = np.linspace(-end, end, cells + 1)
    edges[[0, -1]] = -40, 40
    mass, first = np.diff(special.ndtr(edges)), -np.diff(pdf(edges))
    a, b = r * np.cos(angle), r * np.sin(angle)

    def cell(of_t, of_s):
        return np.outer(of_t, of_s).ravel()

    rise = cell(first, mass)
    curve = cell(-np.diff(moment(edges)), mass)
    found = linprog(
        cell(np.diff(special.ndtr(edges - a)), np.diff(special.ndtr(edges - b))),
        A_ub=np.stack([-cell(mass, mass), -rise, rise, -curve, -cell(mass, first)]),
        b_ub=[-p, -low, high, -bend, across],
        bounds=(0, 1),
        method="highs",
    )
    assert found.success
    return found.fun


@functools.cache
def radius_of(case):
    return float(look_ahead_radius(*bounds(*case)))


@pytest.mark.parametrize(
    ("case", "known"), list(zip(CASES, [0.98547, 1.15446, 1.73070, 0.32640], strict=True))
)
def test_against_a_linear_programme(case, known):
    """At the radius no value is below one half, and the smallest is near it."""
    given, r = bounds(*case), radius_of(case)
    assert r == pytest.approx(known, rel=2e-4)
    values = [smallest_value(given, r, angle) for angle in np.linspace(0.1, 1.3, 7)]
    assert 0.5 < min(values) < 0.504


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_no_function_is_below_the_dual(seed):
    """Whatever the multipliers: unions of rectangles of (t, s), their exact numbers and values."""
    rng = np.random.default_rng(seed)
    r, angle = rng.uniform(0.05, 3, 40), rng.uniform(0.01, np.pi - 0.01, 40)
    y = rng.exponential(1.0, (5, 40)) * (rng.random((5, 40)) < 0.7)
    edges = np.sort(rng.normal(0, 1.3, (2, 7)), axis=1)
    edges[:, 0], edges[:, -1] = -40, 40
    right = rng.random((6, 6)) < rng.uniform(0.3, 0.9)

    def mean(of_t, of_s):
        return float(of_t @ right @ of_s)

    mass, first = np.diff(special.ndtr(edges)), -np.diff(pdf(edges))
    curve = -np.diff(moment(edges))
    slope = mean(first[0], mass[1])
    prices = np.array(
        [
            mean(mass[0], mass[1]),
            slope - rng.exponential(0.01),
            -slope,
            mean(curve[0], mass[1]),
            -abs(mean(mass[0], first[1])),
        ]
    )
    a, b = r * np.cos(angle), r * np.sin(angle)
    value = np.einsum(
        "in,ij,jn->n",
        np.diff(special.ndtr(edges[0][:, None] - a), axis=0),
        right,
        np.diff(special.ndtr(edges[1][:, None] - b), axis=0),
    )
    assert np.all(wrong_mass(y, prices[:, None], r, angle) >= 1 - value)


def test_the_slack_covers_the_grid():
    """A grid of 1/6 of the step gives a positive part within the slack, and never a larger one."""
    rng = np.random.default_rng(0)
    y = rng.exponential(0.5, (5, 30))
    y[4, ::3] = 0.0
    a, b = rng.uniform(-3, 3, 30), 10.0 ** rng.uniform(-2.5, 0.4, 30)
    prices = np.array([0.8, -0.2, 0.2, -0.2, -0.05])[:, None]
    coarse, fine = (dual(y, prices, a, b, Grid.of(cells)) for cells in (1632, 9792))
    assert np.all(np.isfinite(coarse.slack))
    assert np.all(fine.value + coarse.slack >= coarse.value)
    assert np.all(np.abs(fine.value - coarse.value) < 2e-4 * (1 + np.abs(y).sum(axis=0)))


def test_the_gradient_and_the_second_derivative():
    rng = np.random.default_rng(1)
    y, grid = rng.exponential(0.5, (5, 20)) + 0.2, Grid.of(400)
    a, b = rng.uniform(-2, 2, 20), rng.uniform(0.3, 2, 20)
    prices = np.array([0.8, -0.2, 0.2, -0.2, -0.05])[:, None]
    here, step = dual(y, prices, a, b, grid), 1e-5
    for i in range(5):
        moved = [dual(y + s * step * np.eye(5)[:, i, None], prices, a, b, grid) for s in (-1, 1)]
        slope = (moved[1].value - moved[0].value) / (2 * step)
        np.testing.assert_allclose(here.gradient[i], slope, atol=1e-6)
        bend = (moved[1].gradient - moved[0].gradient) / (2 * step)
        np.testing.assert_allclose(here.hessian[:, i].T, bend, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("case", CASES[:2])
def test_between_the_rays_the_value_is_above_one_half(case):
    """Points that the search never looked at, solved one by one."""
    given, r = bounds(*case), radius_of(case)
    rng = np.random.default_rng(2)
    angle = rng.uniform(0.01, np.pi - 0.01, 80)
    prices = np.array([given[0], given[1], -given[2], given[3], -given[4]])[:, None]
    start = np.full((5, 80), 0.3)
    start[0] = 1.0
    y = better(start, prices, np.full(80, r), angle, 60)
    mass = wrong_mass(y, prices, np.full(80, r), angle)
    assert np.all(mass < 0.5)
    assert mass.max() > 0.495


def test_known_classifiers():
    """Bands across a skew direction: their numbers, and the distance to their boundary."""
    rng = np.random.default_rng(3)
    for p, share, angle in ((0.8, 0.7, 0.3), (0.9, 0.9, 0.1), (0.7, 0.5, 2.9)):
        band = second_order_region(p, share * float(pdf(special.ndtri(p))))
        slope, bend = float(band.slope()), float(band.curvature())
        radius = look_ahead_radius(
            band.measure(),
            slope * np.cos(angle) - rng.exponential(0.01),
            slope * np.cos(angle) + rng.exponential(0.01),
            bend * np.cos(angle) ** 2,
            abs(slope) * np.sin(angle),
        )
        assert 0.9 * float(band.radius()) < radius <= float(band.radius())


def test_special_cases():
    p, low, high, bend, across = bounds(*CASES[0])
    assert look_ahead_radius(p) == first_order_radius(p)
    assert look_ahead_radius(p, low, high, bend) == first_order_radius(p)
    length = np.hypot(low, across)
    second = second_order_radius(p, length)
    np.testing.assert_allclose(look_ahead_radius(p, low, high, -np.inf, across), second, 1e-9)
    # The curvature of the band itself says nothing new along û, so little is gained.
    known = float(second_order_region(p, length).curvature())
    assert second <= look_ahead_radius(p, low, high, 1.001 * known, across) < 1.001 * second
    # A half-space across û is hardly bent: nothing is left to lose beyond the third order.
    near = bounds(0.8, 0.97, 0.97, 0.0)
    third = third_order_radius(0.8, -near[1], near[3])
    assert 0.995 * third < look_ahead_radius(*near) <= third
    assert look_ahead_radius(0.5, low, high, bend, across) == 0
    assert look_ahead_radius(1.0, 0.0, 0.0, 0.0, 0.0) == np.inf
    assert look_ahead_radius(np.full(3, p), low, high, bend, across).shape == (3,)


@pytest.mark.parametrize(
    ("place", "by"), [(0, -0.01), (1, -0.02), (2, np.inf), (3, -0.03), (4, 0.02)]
)
def test_weaker_bounds_give_a_smaller_radius(place, by):
    weaker = np.array(bounds(*CASES[0]))
    weaker[place] += by
    assert look_ahead_radius(*weaker) < radius_of(CASES[0]) * (1 - 1e-3)


def test_the_sign_of_the_axis_does_not_matter():
    p, low, high, bend, across = bounds(*CASES[0])
    other = look_ahead_radius(p, -high, -low, bend, across)
    np.testing.assert_allclose(other, radius_of(CASES[0]), rtol=2e-4)


def test_impossible_bounds_and_broken_values_are_refused():
    for wrong in ((0.8, 0.3), (0.8, -0.1, -0.3), (0.95, -0.08, -0.08, 0.1, 0.0)):
        with pytest.raises(ValueError, match=r"slope"):
            look_ahead_radius(*wrong)
    with pytest.raises(ValueError, match="orthogonal_norm"):
        look_ahead_radius(0.8, orthogonal_norm=-0.1)
    with pytest.raises(ValueError, match="curvature"):
        look_ahead_radius(0.8, curvature=np.nan)
    with pytest.raises(ValueError, match="either p or error"):
        look_ahead_radius()


@given(st.floats(0, 3), st.floats(0.01, 2), st.floats(-1, 2), st.floats(-1, 3), st.floats(0.9, 1))
def test_a_chord_that_is_called_below_is_below(near, length, low, high, shrink):
    far = near + length
    r = np.linspace(near, far, 2001)
    gap = 0.5 * np.exp(0.5 * shrink * r * r) - np.interp(r, [near, far], [low, high])
    called = rays._below(near, far, low, high, shrink)
    assert not called or gap.min() >= 0
    assert called or gap.min() < 1e-6


def test_the_hull_skips_what_lies_above():
    points = [(0.0, 1.0), (1.0, 5.0), (2.0, 1.0), (3.0, 0.5), (4.0, 3.0)]
    assert rays._lower_hull(points) == [(0.0, 1.0), (3.0, 0.5), (4.0, 3.0)]

"""The third-order certificates: golden values, a linear programme, known classifiers, soundness."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programme import pair_programme
from scipy import special

from sosmooth.certificates import _third_order_search as search
from sosmooth.certificates._third_order_prices import Fixed
from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.region import moment, pdf
from sosmooth.certificates.second_order import second_order_radius
from sosmooth.certificates.second_order_dipole import (
    second_order_dipole_radius,
    second_order_dipole_region,
)
from sosmooth.certificates.third_order import third_order_radius
from sosmooth.certificates.third_order_dipole import third_order_dipole_radius

GOLDEN = Path(__file__).parent.parent / "golden" / "third_order_dipole.csv"
GIVEN = ("c_s", "c_n", "gradient_norm", "curvature_bound", "radius")
shares = st.floats(0.02, 1)


def golden():
    with open(GOLDEN, newline="") as file:
        rows = [[float(row[name]) for name in GIVEN] for row in csv.DictReader(file)]
    assert len(rows) == 30
    return np.array(rows).T


def test_golden():
    c_s, c_n, gamma, kappa, truth = golden()
    radius = third_order_dipole_radius(c_s, c_n, gamma, -kappa)
    np.testing.assert_allclose(radius, truth, rtol=0, atol=2e-8)


def test_units():
    c_s, c_n, gamma, kappa, truth = golden()[:, :6]
    radius = third_order_dipole_radius(c_s, c_n, gamma / 0.25, -kappa / 0.25**2, sigma=0.25)
    np.testing.assert_allclose(radius, 0.25 * truth, rtol=0, atol=1e-8)
    one = third_order_radius(0.8, 0.2, -0.1)
    assert third_order_radius(error=0.2, gradient_norm=0.8, curvature=-1.6, sigma=0.25) == (
        pytest.approx(0.25 * float(one), rel=1e-9)
    )
    assert third_order_radius(np.full((3, 1), 0.8), np.full(2, 0.2), -0.1).shape == (3, 2)


@pytest.mark.parametrize("row", range(0, 30, 5))
def test_against_the_linear_programme(row):
    """At the radius a programme of cells, told nothing of states and multipliers, brackets 1/2."""
    c_s, c_n, gamma, kappa, _ = golden()[:, row]
    r = float(third_order_dipole_radius(c_s, c_n, gamma, -kappa))
    low, high = (linear_programme(c_s, c_n, gamma, kappa, r, lower=side) for side in (True, False))
    assert low - 1e-9 <= 0.5 <= high + 1e-9
    assert high - low < 0.03


def linear_programme(c_s, c_n, gamma, kappa, r, cells=1200, end=9.0, *, lower):
    """Bounds of the smallest value at distance r; beyond `end` lies less than 1e-15 of anything.

    On each cell of `z > 0` the masses of the pairs right on both sides, at z, at −z are variables.
    With each cell's most favourable weights the value is at most the true one, with its least
    favourable ones at least.
    """
    edges = np.linspace(0, end, cells + 1)
    mass, near, far = np.diff(special.ndtr(edges)), edges[:-1], edges[1:]
    rise, fall = (lambda z: np.exp(r * z - r * r / 2)), (lambda z: np.exp(-r * z - r * r / 2))
    best, worst = (near, far) if lower else (far, near)  # of rise; the other way round of fall
    cost = np.concatenate([rise(best) + fall(best), rise(best), fall(worst)])
    pull = np.concatenate([0 * far, worst, -best])
    bend = np.concatenate([2 * (worst**2 - 1), worst**2 - 1, worst**2 - 1])
    return pair_programme(cost, mass, c_s, c_n, [(-pull, gamma), (-bend, kappa)], lower=lower)


class Known:
    """A classifier that is right on intervals of one axis, and all that is known of it there."""

    def __init__(self, ends):
        self.ends = np.sort(ends)
        self.right = [(a, b) for a, b in zip(self.ends[::2], self.ends[1::2], strict=True)]

    def value(self, r):
        return sum(special.ndtr(b - r) - special.ndtr(a - r) for a, b in self.right)

    @property
    def gamma(self):
        return float(sum(pdf(b) - pdf(a) for a, b in self.right))

    @property
    def kappa(self):
        return float(sum(moment(b) - moment(a) for a, b in self.right))

    @property
    def c_s(self):
        return sum(
            max(0.0, special.ndtr(min(b, -c)) - special.ndtr(max(a, -d)))
            for a, b in self.right
            for c, d in self.right
        )

    @property
    def radius(self):
        """The first distance at which the value is below one half."""
        r = np.linspace(0, 12, 24001)
        return r[np.argmax(self.value(r) < 0.5)]


def knowns(seed, count):
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        inner = rng.normal(0, 1.3, 2 * rng.integers(0, 4) + 1) + 0.4
        known = Known(np.append(inner, -np.inf))
        if known.value(0.0) > 0.51:
            found.append(known)
    return found


@pytest.mark.parametrize(
    ("seed", "count"),
    [(0, 40), *(pytest.param(seed, 150, marks=pytest.mark.slow) for seed in (0, 1, 2))],
)
def test_no_known_classifier_loses_within_its_radius(seed, count):
    """The radius of one of the first 40 is 3e-6 below the truth: a larger one would be noticed."""
    some = knowns(seed, count)
    p, gamma, kappa, c_s, truth = np.array(
        [(k.value(0.0), k.gamma, k.kappa, k.c_s, k.radius) for k in some]
    ).T
    single = third_order_radius(p, gamma + 1e-12, -kappa - 1e-12)
    pairs = third_order_dipole_radius(c_s, p - c_s, gamma + 1e-12, -kappa - 1e-12)
    assert np.all(single <= truth + 1e-9)
    assert np.all(pairs <= truth + 1e-9)
    # And the bound is near: half of them are within a tenth.
    assert np.median(pairs / truth) > 0.9
    assert np.max(pairs / truth) > 1 - 1e-5


def masses(p, none):
    """`c_s`, `c_n` of a probability and the share of its error that is wrong on both sides."""
    wrong = min((1 - p) * none, 1 - p)
    wrong = max(wrong, 1 - 2 * p)
    return 1 - wrong - 2 * (1 - p - wrong), 1 - p - wrong


@settings(max_examples=10)
@given(st.floats(0.51, 0.98), shares, st.floats(0.1, 1.2), st.floats(0.2, 1.2))
def test_order_of_the_certificates(p, none, slope, bend):
    c_s, c_n = masses(p, none)
    gamma = slope * float(pdf(special.ndtri(c_n)))
    second = second_order_dipole_radius(c_s, c_n, gamma)
    kappa = -bend * float(second_order_dipole_region(c_s, c_n, gamma).curvature())
    third = radius_or_none(third_order_dipole_radius, c_s, c_n, gamma, -kappa)
    if third is None:
        return
    assert third >= second * (1 - 1e-12)
    assert second >= dipole_radius(c_s, c_n) - 1e-12
    if bend >= 1:
        assert third == pytest.approx(second, rel=1e-9)
    else:
        alone = third_order_radius(p, gamma, -kappa)
        assert third >= alone * (1 - 1e-5) - 1e-9


@settings(max_examples=10)
@given(
    st.floats(0.55, 0.97), shares, st.floats(0.2, 1.1), st.floats(0.3, 1.1), st.floats(0, 0.3),
    st.integers(0, 3),
)  # fmt: skip
def test_monotone_in_each_bound(p, none, slope, bend, worse, which):
    c_s, c_n = masses(p, none)
    gamma = slope * float(pdf(special.ndtri(c_n)))
    kappa = -bend * float(second_order_dipole_region(c_s, c_n, gamma).curvature())
    here = radius_or_none(third_order_dipole_radius, c_s, c_n, gamma, -kappa)
    if here is None:
        return
    there = third_order_dipole_radius(
        c_s * (1 - worse * (which == 0)),
        c_n * (1 - worse * (which == 1)),
        gamma + worse * (which == 2),
        -kappa - worse * (which == 3),
    )
    assert there <= here * (1 + 1e-4) + 1e-9


def radius_or_none(radius, *arguments):
    """None where no classifier meets the bounds."""
    try:
        return radius(*arguments)
    except ValueError:
        return None


def prices_of(known):
    none = 1 - 2 * known.value(0.0) + known.c_s
    return np.array([[0.5 * none], [0.5 * (1 - known.c_s)], [known.gamma], [known.kappa]])


def test_any_multipliers_are_sound():
    """Weak duality: whatever the multipliers, at any distance, the bound is not below the truth."""
    rng = np.random.default_rng(5)
    for known in knowns(7, 40):
        r = rng.uniform(0.05, 3, 200)
        scale = np.exp(rng.uniform(-1, 1, (4, 200))) * np.exp(r * rng.uniform(0, 1.5) - r * r / 2)
        y = scale * np.stack([r**0, r**0, r, r**2])
        y[rng.integers(4, size=200), range(200)] = 0.0
        prices = np.repeat(prices_of(known), 200, axis=1)
        assert np.all(search.bound(y, Fixed(prices), r)[0] >= 1 - known.value(r))


def test_perturbed_best_multipliers_are_sound_and_sabotage_is_noticed():
    rng = np.random.default_rng(6)
    for known in (
        Known([-np.inf, -0.6288, -0.3921, 1.355]),
        Known([-np.inf, 0.4224, 0.6106, 1.184]),
    ):
        r = np.full(300, known.radius)
        prices = np.repeat(prices_of(known), 300, axis=1)
        # Without pairs: all the wrong mass at one price.
        single = np.stack([0 * r, np.full(300, 1 - known.value(0.0)), prices[2], prices[3]])
        y = np.repeat(best_of_three(known, r[0])[:, None], 300, axis=1)
        y *= 1 + 10 ** rng.uniform(-9, -1, (1, 300)) * rng.normal(size=(4, 300))
        y[0] = y[1]
        bound = search.bound(y, Fixed(single), r)[0]
        truth = 1 - known.value(r)
        assert np.all(bound >= truth)
        assert np.min(bound - truth) < 1e-9
        # A κ or a γ one per cent too small must break it.
        for row in (2, 3):
            wrong = single.copy()
            wrong[row] *= 0.99
            assert np.min(search.bound(y, Fixed(wrong), r)[0] - truth) < -1e-4


def best_of_three(known, r):
    """`w` interpolated at the three ends by 1, z and z² − 1."""
    z = known.ends[1:]
    level, slope, bend = np.linalg.solve(
        np.stack([z**0, z, z * z - 1], axis=1), np.exp(r * z - r * r / 2)
    )
    return np.array([level, level, slope, bend])


def test_the_integral_against_quadrature():
    rng = np.random.default_rng(8)
    x, weight = np.polynomial.legendre.leggauss(16)
    edges = np.linspace(0, 13, 2001)
    half = 0.5 * np.diff(edges)
    z = (0.5 * (edges[1:] + edges[:-1])[:, None] + half[:, None] * x).ravel()
    mass = (half[:, None] * weight).ravel() * pdf(z)
    r = rng.uniform(0.05, 4, 200)
    y = np.exp(r * rng.uniform(0, 1.2, 200) - r * r / 2) * np.exp(rng.uniform(-2, 0.5, (4, 200)))
    y[2:] *= [r, r * r]
    found = search.bound(y, Fixed(np.zeros((4, 200))), r)[0]
    for k in range(200):
        both, one, mu, nu = y[:, k]
        rise = np.exp(r[k] * z - r[k] ** 2 / 2) - mu * z - nu * (z * z - 1)
        fall = np.exp(-r[k] * z - r[k] ** 2 / 2) + mu * z - nu * (z * z - 1)
        gain = np.maximum.reduce([0 * z, rise - one, fall - one, rise + fall - one - both])
        assert found[k] == pytest.approx(float(mass @ gain), abs=2e-7, rel=1e-6)


def test_without_curvature_it_is_the_second_order():
    p, gamma = np.array([0.6, 0.8, 0.95, 0.999]), np.array([0.2, 0.1, 0.05, 0.001])
    np.testing.assert_array_less(
        np.abs(third_order_radius(p, gamma, -np.inf) / second_order_radius(p, gamma) - 1), 1e-9
    )
    c_s, c_n = 2 * p - 1, (1 - p) * 0.9
    np.testing.assert_allclose(
        third_order_dipole_radius(c_s, c_n, gamma, -0.49),
        second_order_dipole_radius(c_s, c_n, gamma),
        rtol=1e-9,
    )


def test_the_ends_of_the_range():
    assert third_order_dipole_radius(1.0, 0.0, 0.0, 0.0) == np.inf
    assert third_order_radius(1.0, 0.0, 0.0) == np.inf
    assert third_order_dipole_radius(0.3, 0.2, 0.1, 0.0) == 0
    assert third_order_radius(0.5, 0.1, 0.0) == 0
    # No pair is wrong on both sides, or none on one side only.
    assert third_order_dipole_radius(0.6, 0.2, 0.2, -0.1) > second_order_dipole_radius(
        0.6, 0.2, 0.2
    )
    assert third_order_dipole_radius(0.8, 0.0, 0.0, -0.1) > second_order_dipole_radius(
        0.8, 0.0, 0.0
    )
    # Known to rise, and to bend upwards.
    assert third_order_radius(0.7, -0.05, -0.1) > third_order_radius(0.7, 0.0, -0.1)
    assert third_order_radius(0.7, 0.1, 0.05) > third_order_radius(0.7, 0.1, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        (0.5, 0.3, 0.1, -0.1),
        (np.nan, 0.1, 0.1, -0.1),
        (0.5, 0.1, np.nan, -0.1),
        (0.5, 0.1, 0.1, np.nan),
        (0.7, 0.1, -0.3, -0.1),  # rises too steeply
        (0.7, 0.1, 0.1, 0.4),  # bends too much
    ],
)
def test_broken_arguments_are_refused(arguments):
    with pytest.raises(ValueError):
        third_order_dipole_radius(*arguments)


def test_bounds_that_contradict_each_other_only_together_are_refused():
    """Each is possible alone: a slope near the largest, and a curvature near the largest."""
    p = 0.7
    steep, bent = float(pdf(special.ndtri(p))), float(2 * moment(special.ndtri(0.5 + 0.15)))
    assert third_order_radius(p, -0.97 * steep, -0.2) > 0
    assert third_order_radius(p, 0.1, 0.97 * bent) > 0
    with pytest.raises(ValueError, match="together"):
        third_order_radius(p, -0.97 * steep, 0.97 * bent)
    with pytest.raises(ValueError, match="needs gradient_norm and curvature"):
        third_order_radius(p, 0.1)

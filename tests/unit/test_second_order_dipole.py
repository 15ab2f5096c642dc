"""The second-order dipole certificate.

It is compared with golden values, an independent linear programme, 50 digits and other
certificates.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programme import pair_programme
from scipy import special

import exact
from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order import second_order_radius
from sosmooth.certificates.second_order_dipole import (
    one_sided_cost,
    second_order_dipole_radius,
    second_order_dipole_region,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "second_order_dipole.csv"


def masses(both, one):
    """`c_s`, `c_n` from two fractions in [0, 1]: `both` of all, `one` of the rest."""
    return both, 0.5 * (1 - both) * one


shares = st.floats(0, 1)


def test_golden():
    with open(GOLDEN, newline="") as file:
        rows = [
            [float(row[name]) for name in ("c_s", "c_n", "gamma", "radius")]
            for row in csv.DictReader(file)
        ]
    c_s, c_n, gamma, truth = np.array(rows).T
    assert len(rows) == 20
    np.testing.assert_allclose(second_order_dipole_radius(c_s, c_n, gamma), truth, rtol=1e-10)


def linear_programme(c_s, c_n, gamma, r, cells=700, end=8.0, *, lower):
    """Bounds of the smallest value at distance r from a discretised programme.

    It does not use the closed form. On each cell of `z > 0` the masses of the states S, P and M
    are variables. With each cell's smallest weights and largest `z` for P, smallest for M, the
    value is at most the true one (a relaxation); the other way round it is at least the true one.
    """
    edges = np.append(np.linspace(0, end, cells), np.inf)
    mass = np.diff(special.ndtr(edges))
    near, far = edges[:-1], np.minimum(edges[1:], 40.0)
    weight = lambda z: np.exp(r * z - r * r / 2)  # noqa: E731
    even = lambda z: weight(z) + weight(-z)  # noqa: E731
    # The last cell reaches to infinity: its states have their average cost there, not the largest.
    tail = special.ndtr(r - end) / mass[-1], special.ndtr(-r - end) / mass[-1]
    if lower:
        cost = np.concatenate([even(near), weight(near), weight(-far)])
        pull = np.concatenate([far, -near])
        cost[-1] = 0.0
        pull[cells - 1] = 40.0
    else:
        cost = np.concatenate([even(far), weight(far), weight(-near)])
        pull = np.concatenate([near, -far])
        cost[[cells - 1, 2 * cells - 1, 3 * cells - 1]] = sum(tail), tail[0], tail[1]
        pull[-1] = -pdf(end) / mass[-1]
    drift = np.concatenate([np.zeros(cells), -pull])
    return pair_programme(cost, mass, c_s, c_n, [(drift, gamma)], lower=lower)


@pytest.mark.parametrize(
    ("c_s", "c_n", "share"),
    [
        (0.6068, 0.1932, 0.7),
        (0.62, 0.18, 0.9),
        (0.85, 0.05, 1.2),
        (0.2, 0.35, 0.7),
        (0.24, 0.28, 0.1),
        (0.9, 0.045, 0.4),
    ],
)
def test_against_the_linear_programme(c_s, c_n, share):
    gamma = share * float(pdf(special.ndtri(c_n)))
    region = second_order_dipole_region(c_s, c_n, gamma)
    for r in (0.3, float(region.radius())):
        value = float(region.measure(r))
        low, high = (linear_programme(c_s, c_n, gamma, r, lower=side) for side in (True, False))
        assert low - 1e-9 <= value <= high + 1e-9
        assert high - low < 0.04


@given(shares, shares, st.floats(0, 1.5))
def test_the_region_has_the_quantities_it_was_told(both, one, share):
    c_s, c_n = masses(both, one)
    gamma = share * float(pdf(special.ndtri(c_n)))
    region = second_order_dipole_region(c_s, c_n, gamma)
    (u, v), (left, right) = region.intervals
    assert v <= left or u >= v
    total = region.measure()
    gradient = pdf(v) - pdf(u) + pdf(right) - pdf(left)
    assert total == pytest.approx(c_s + c_n, abs=1e-12)
    assert abs(gradient) == pytest.approx(min(gamma, float(pdf(special.ndtri(c_n)))), abs=1e-9)


@given(shares, shares, st.floats(0, 1.5))
def test_order_of_the_certificates(both, one, share):
    c_s, c_n = masses(both, one)
    gamma = share * float(pdf(special.ndtri(c_s + c_n)))
    joint = second_order_dipole_radius(c_s, c_n, gamma)
    slack = 1e-9 * (1 + joint) if np.isfinite(joint) else 0
    assert joint + slack >= second_order_radius(
        error=1 - c_s - c_n if c_s + c_n < 1 else 0.0, gradient_norm=gamma
    ) - 1e-7 * (c_s > 1 - 1e-7)
    assert (
        joint + slack >= dipole_radius(c_s, c_n) >= first_order_radius(min(c_s + c_n, 1.0)) - slack
    )


@given(shares, shares, st.floats(0, 1.2), shares, shares, shares)
def test_monotone_in_each_bound(both, one, share, d_both, d_one, d_gamma):
    """Worse for a larger gradient, for a pair moved from both to one, and from one to none."""
    c_s, c_n = masses(both, one)
    gamma = share * 0.4
    here = second_order_dipole_radius(c_s, c_n, gamma)
    tolerance = 1e-10 * (1 + here) if np.isfinite(here) else 0.0
    moved = c_s * d_both * 0.1
    assert second_order_dipole_radius(c_s, c_n, gamma + d_gamma) <= here + tolerance
    assert (
        second_order_dipole_radius(
            c_s - moved, min(c_n + moved / 2, 0.5 * (1 - c_s + moved)), gamma
        )
        <= here + tolerance
    )
    assert second_order_dipole_radius(c_s, c_n * d_one, gamma) <= here + tolerance


@pytest.mark.parametrize("seed", range(3))
def test_no_radius_is_above_the_true_one(seed):
    rng = np.random.default_rng(seed)
    size = 60
    c_s = np.where(rng.random(size) < 0.5, rng.random(size), 1 - 10 ** rng.uniform(-8, 0, size))
    most = 0.5 * (1 - c_s)
    c_n = most * np.choose(
        rng.integers(3, size=size),
        [rng.random(size), 1 - 10 ** rng.uniform(-12, 0, size), np.ones(size)],
    )
    gamma = pdf(special.ndtri(c_n)) * np.choose(
        rng.integers(3, size=size), [rng.random(size), 10 ** rng.uniform(-9, 0, size), 0 * c_n]
    )
    for s, n, g, radius in zip(
        c_s, c_n, gamma, second_order_dipole_radius(c_s, c_n, gamma), strict=True
    ):
        exact.assert_radius(radius, exact.pairs_and_gradient(s, n, g), relative=1e-6)


def test_the_ends_of_the_range():
    assert second_order_dipole_radius(1.0, 0.0, 0.0) == np.inf
    assert second_order_dipole_radius(0.0, 0.5, 0.1) == 0
    assert second_order_dipole_radius(0.3, 0.2, 0.0) == 0
    assert second_order_dipole_radius(0.9, 0.02, np.inf) == pytest.approx(
        float(dipole_radius(0.9, 0.02)), rel=1e-12
    )
    assert second_order_dipole_radius(0.5, 0.2, 0.1 / 0.25, sigma=0.25) == pytest.approx(
        0.25 * float(second_order_dipole_radius(0.5, 0.2, 0.1)), rel=1e-12
    )
    assert second_order_dipole_radius(np.full((3, 1), 0.6), np.full(2, 0.1), 0.1).shape == (3, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        (0.5, 0.3, 0.1),
        (0.5, 0.1, -0.1),
        (np.nan, 0.1, 0.1),
        (0.5, 0.1, np.nan),
        (1.1, 0.0, 0.0),
        (0.5, -0.1, 0.1),
    ],
)
def test_broken_arguments_are_refused(arguments):
    with pytest.raises(ValueError):
        second_order_dipole_radius(*arguments)


@pytest.mark.parametrize("share", [0.3, 0.7, 1.2])
def test_the_order_of_outcomes_is_the_slope_of_the_radius(share):
    c_s, c_n, step = 0.7, 0.12, 1e-6
    gamma = share * float(pdf(special.ndtri(c_n)))
    radius = lambda s, n: float(second_order_dipole_radius(s, n, gamma))  # noqa: E731
    to_one = radius(c_s, c_n) - radius(c_s - step, c_n + step / 2)
    to_none = radius(c_s, c_n) - radius(c_s - step, c_n)
    assert one_sided_cost(c_s, c_n, share) == pytest.approx(to_one / to_none, abs=1e-3)

"""Order and monotonicity of the certificates, broadcasting, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import exact
from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order import second_order_radius

probabilities = st.floats(0, 1)
shares = st.floats(0, 1)
sigmas = st.floats(0.01, 100)
# Tolerance for comparing two radii: each is rounded down by its own margin.
TOLERANCE = 1e-12


def largest(p):
    return pdf(special.ndtri(p))


def at_least(larger, smaller):
    assert larger >= smaller * (1 - TOLERANCE) - TOLERANCE


def pair_of(c_s, share):
    return c_s, 0.5 * (1 - c_s) * share


pairs = st.builds(pair_of, probabilities, shares)


@given(probabilities, st.floats(0, 2))
def test_second_order_is_never_below_first_order(p, gamma):
    assert second_order_radius(p, gamma) >= first_order_radius(p)


@given(st.floats(1e-300, 0.5), shares)
def test_nor_in_the_tail(error, share):
    gamma = share * pdf(special.ndtri(error))
    assert second_order_radius(error=error, gradient_norm=gamma) >= first_order_radius(error=error)


@given(pairs)
def test_dipole_is_never_below_first_order(pair):
    c_s, c_n = pair
    at_least(dipole_radius(c_s, c_n), first_order_radius(error=max(0.0, (1 - c_s) - c_n)))


@given(probabilities)
def test_dipole_without_one_sided_pairs_is_second_order_without_gradient(c_s):
    np.testing.assert_allclose(
        dipole_radius(c_s, 0.0), second_order_radius(c_s, 0.0), rtol=1e-10, atol=1e-12
    )


@given(probabilities)
def test_dipole_without_pairs_wrong_on_both_sides_is_first_order(c_s):
    c_n = 0.5 * (1 - c_s)
    np.testing.assert_allclose(
        dipole_radius(c_s, c_n), first_order_radius(error=c_n), rtol=1e-10, atol=1e-12
    )


@given(probabilities, st.floats(1.0, 10.0))
def test_a_vacuous_gradient_says_nothing(p, factor):
    expected = first_order_radius(p)
    for gamma in (largest(max(p, 1e-300)) * factor * (1 + 1e-12), np.inf):
        assert second_order_radius(p, gamma) == expected


@given(probabilities, probabilities, st.floats(0, 0.5))
def test_rises_with_p(p, q, gamma):
    low, high = sorted((p, q))
    at_least(first_order_radius(high), first_order_radius(low))
    at_least(second_order_radius(high, gamma), second_order_radius(low, gamma))


@given(probabilities, shares, shares)
def test_falls_with_the_gradient(p, a, b):
    low, high = sorted((a, b))
    at_least(second_order_radius(p, low * largest(p)), second_order_radius(p, high * largest(p)))


@given(pairs, shares)
def test_rises_with_one_sided_pairs(pair, part):
    c_s, c_n = pair
    at_least(dipole_radius(c_s, c_n), dipole_radius(c_s, part * c_n))


@given(pairs, shares)
def test_rises_with_pairs_right_on_both_sides(pair, part):
    c_s, c_n = pair
    at_least(dipole_radius(c_s, c_n), dipole_radius(part * c_s, c_n))


@given(probabilities, shares, sigmas)
def test_sigma_is_a_unit(p, share, sigma):
    gamma = share * largest(p)
    np.testing.assert_allclose(
        first_order_radius(p, sigma=sigma), sigma * first_order_radius(p), rtol=1e-14
    )
    scaled = second_order_radius(p, gamma / sigma, sigma=sigma)
    if gamma < 0.999 * largest(p):
        np.testing.assert_allclose(
            scaled, sigma * second_order_radius(p, gamma), rtol=1e-9, atol=1e-9 * sigma
        )
    c_s, c_n = pair_of(p, share)
    np.testing.assert_allclose(
        dipole_radius(c_s, c_n, sigma=sigma), sigma * dipole_radius(c_s, c_n), rtol=1e-14
    )


@given(st.floats(0.5, 1))
def test_error_is_the_same_information(p):
    error = 1 - p
    assert first_order_radius(error=error) == first_order_radius(p)
    assert second_order_radius(error=error, gradient_norm=0.01) == second_order_radius(p, 0.01)


@given(st.floats(0, 0.5), shares)
def test_zero_at_and_below_one_half(p, share):
    assert first_order_radius(p) == 0
    assert second_order_radius(p, share * 0.4) == 0
    assert dipole_radius(p * share, min(p * (1 - share), 0.5 * (1 - p * share))) == pytest.approx(
        0, abs=1e-12
    )


def test_certainty_is_infinite():
    assert (
        first_order_radius(1.0)
        == second_order_radius(1.0, 0.1)
        == dipole_radius(1.0, 0.0)
        == np.inf
    )
    assert (
        first_order_radius(error=0.0) == second_order_radius(error=0.0, gradient_norm=0.0) == np.inf
    )


def test_the_tails_keep_their_digits():
    error = np.array([1e-12, 1e-30, 1e-300])
    truth = [float(exact.quantile_from_tail(e)) for e in error]
    np.testing.assert_allclose(first_order_radius(error=error), truth, rtol=1e-13)
    second = second_order_radius(error=error, gradient_norm=0.5 * pdf(special.ndtri(error)))
    assert np.all(second > first_order_radius(error=error))
    # One half of the mass is on either side, the far side has none: first order at half the error.
    np.testing.assert_allclose(
        second_order_radius(error=error, gradient_norm=0.0),
        first_order_radius(error=error / 2),
        rtol=1e-10,
    )


def test_broadcasting():
    p, gamma, sigma = (
        np.linspace(0.6, 0.9, 4)[:, None],
        np.array([0.0, 0.1, np.inf]),
        np.array([[[0.25]], [[0.5]]]),
    )
    radius = second_order_radius(p, gamma, sigma=sigma)
    assert radius.shape == (2, 4, 3)
    assert radius.dtype == np.float64
    assert radius[1, 2, 1] == second_order_radius(p[2, 0], 0.1, sigma=0.5)
    assert first_order_radius(p, sigma=sigma).shape == (2, 4, 1)
    assert dipole_radius(p, np.array([0.0, 0.01]), sigma=sigma).shape == (2, 4, 2)
    assert (
        np.ndim(first_order_radius(0.9))
        == np.ndim(second_order_radius(0.9, 0.1))
        == np.ndim(dipole_radius(0.9, 0.0))
        == 0
    )
    assert second_order_radius(np.empty((0, 3)), 0.1).shape == (0, 3)
    assert dipole_radius([], []).shape == (0,)
    assert first_order_radius([0.9, 0.5]).tolist()[1] == 0.0


BROKEN = {
    "p is NaN": (first_order_radius, (np.nan,), {}),
    "p above one": (first_order_radius, (1.0000001,), {}),
    "p below zero": (first_order_radius, (-1e-9,), {}),
    "one of many": (first_order_radius, ([0.5, np.nan],), {}),
    "neither": (first_order_radius, (), {}),
    "both": (first_order_radius, (0.9,), {"error": 0.1}),
    "error above one": (first_order_radius, (), {"error": 1.1}),
    "sigma zero": (first_order_radius, (0.9,), {"sigma": 0.0}),
    "sigma negative": (second_order_radius, (0.9, 0.1), {"sigma": -1.0}),
    "sigma infinite": (dipole_radius, (0.9, 0.0), {"sigma": np.inf}),
    "sigma NaN": (dipole_radius, (0.9, 0.0), {"sigma": np.nan}),
    "second order without gradient": (second_order_radius, (0.9,), {}),
    "gradient negative": (second_order_radius, (0.9, -1e-9), {}),
    "gradient NaN": (second_order_radius, (0.9, np.nan), {}),
    "second order with both": (second_order_radius, (0.9, 0.1), {"error": 0.1}),
    "second order with neither": (second_order_radius, (), {"gradient_norm": 0.1}),
    "c_s NaN": (dipole_radius, (np.nan, 0.1), {}),
    "c_n NaN": (dipole_radius, (0.1, np.nan), {}),
    "c_s above one": (dipole_radius, (1.1, 0.0), {}),
    "c_n negative": (dipole_radius, (0.5, -0.1), {}),
    "too much mass": (dipole_radius, (0.5, 0.2500001), {}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_arguments(case):
    function, arguments, keywords = BROKEN[case]
    with pytest.raises(ValueError) as caught:
        function(*arguments, **keywords)
    assert len(str(caught.value).splitlines()) == 1


def test_too_much_mass_by_rounding_is_forgiven():
    assert dipole_radius(0.7, 0.15 + 1e-16) == pytest.approx(first_order_radius(0.85), rel=1e-12)

"""The joint region of the pair counts: comparisons, its ends, and its cost."""

import time
from functools import partial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import exact
from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.second_order_dipole import one_sided_cost
from sosmooth.confidence.pair_counts import _rejecting_score, _Tail, pair_cells
from sosmooth.confidence.proportion import proportion_lower_bound

DIPOLE = partial(one_sided_cost, gradient_share=1.0)


def joint(both, one, none, alpha=0.001):
    cells = pair_cells(both, one, none, alpha, DIPOLE)
    return np.min(dipole_radius(cells.c_s, cells.c_n), axis=1)


def test_reaches_the_prototype():
    both, one = np.array([[44963, 5037], [32987, 16738], [27290, 20330], [15000, 30000]]).T
    assert np.all(joint(both, one, 50000 - both - one) >= [1.6209, 0.9384, 0.7093, 0.2669])


HALF = partial(one_sided_cost, gradient_share=0.5)


def by_probability(c_s, c_n):
    return np.full(np.broadcast_shapes(c_s.shape, c_n.shape), 0.5)


def test_far_from_a_pair_of_bounds_where_no_pair_is_right_on_one_side():
    """The true probability of pairs right on none is at most its bound; cells below it are cut."""
    assert joint(26_000, 0, 24_000)[0] >= 0.2455
    assert joint(300, 0, 200)[0] >= 0.3260


def test_where_few_pairs_are_wrong_hedging_costs_nothing():
    cells = pair_cells(50_000, 0, 0, 0.00095, HALF, DIPOLE)
    assert np.min(dipole_radius(cells.c_s, cells.c_n)) == joint(50_000, 0, 0, 0.00095)[0] >= 3.8092


@pytest.mark.parametrize("costs", [(DIPOLE,), (HALF, DIPOLE), (by_probability,)])
@pytest.mark.parametrize("alpha", [0.05, pytest.param(0.001, marks=pytest.mark.slow)])
def test_more_agreeing_pairs_never_lower_the_radius(costs, alpha):
    both = np.unique(np.r_[np.arange(1, 200), np.geomspace(200, 10**6, 80).astype(int)])
    for one, none in ((0, 0), (1, 0), (0, 1)):
        cells = pair_cells(both, one, none, alpha, *costs)
        for radius in (
            np.min(dipole_radius(cells.c_s, cells.c_n), axis=1),
            np.min(first_order_radius(error=cells.error), axis=1),
        ):
            assert np.all(np.diff(radius) >= 0)


@pytest.mark.parametrize("pairs", [50_000, 500_000])
def test_at_or_above_the_published_bound_and_the_first_order_reference(pairs):
    """On tallies in the range of real ones: p from 1/2 to 1, P(none right) up to 2(1 − p)²."""
    rng = np.random.default_rng(pairs)
    error = np.concatenate([rng.uniform(0, 0.5, 300), 10 ** rng.uniform(-5, -0.31, 300)])
    none = np.minimum(rng.uniform(0, 2, 600) * error**2, error)
    one = 2 * (error - none)
    both, k_plus, k_minus, k_none = np.array(
        [
            rng.multinomial(pairs, [max(1 - a - b, 0), a / 2, a / 2, b])
            for a, b in zip(one, none, strict=True)
        ]
    ).T
    found = joint(both, k_plus + k_minus, k_none)
    c_s, c_n = (proportion_lower_bound(k, pairs, 0.0005) for k in (both, k_plus))
    assert np.mean(found >= dipole_radius(c_s, np.minimum(c_n, 0.5 * (1 - c_s)))) >= 0.99
    right = 2 * both + k_plus + k_minus
    reference = first_order_radius(proportion_lower_bound(right, 2 * pairs, 0.001))
    sure = right >= 0.52 * 2 * pairs
    assert np.all(found[sure] >= reference[sure] * 0.9995)


counts = st.integers(0, 10**8)


@given(counts, counts, counts, st.sampled_from([1e-6, 0.001, 0.05, 0.4]))
def test_corners_are_possible_and_below_the_estimate(both, one, none, alpha):
    if both + one + none == 0:
        one = 1
    n = both + one + none
    cells = pair_cells(both, one, none, alpha, DIPOLE)
    assert np.all(
        (cells.c_s >= 0) & (cells.c_n >= 0) & (cells.c_s + 2 * cells.c_n <= 1) & (cells.error <= 1)
    )
    assert np.all(cells.c_s + cells.c_n <= 1 - cells.error + 1e-14)
    if both + one > none:
        c_s = both / n
        assert np.min(dipole_radius(cells.c_s, cells.c_n)) <= dipole_radius(
            c_s, min(one / (2 * n), 0.5 * (1 - c_s))
        )


@pytest.mark.parametrize(
    "counts",
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (10**8, 0, 0), (0, 10**8, 0), (10**8 - 1, 0, 1), (2, 1, 0)],
)
def test_every_count_has_a_region(counts):
    radius = joint(*counts)
    assert np.all(np.isfinite(radius) & (radius >= 0))


def test_a_batch_is_its_inputs_one_by_one():
    both, one, none = np.array([[900, 90, 10], [60, 30, 10], [5, 0, 0], [40, 9, 0]]).T
    together = joint(both, one, none)
    np.testing.assert_array_equal(
        together, [joint(*k)[0] for k in zip(both, one, none, strict=True)]
    )


@pytest.mark.parametrize("counts", [(-1, 2, 0), (0, 0, 0), (np.nan, 1, 1)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="pair counts must be"):
        pair_cells(*counts, 0.05, DIPOLE)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.nan])
def test_alpha_outside_its_range(alpha):
    with pytest.raises(ValueError, match="alpha must be a failure probability"):
        pair_cells(5, 1, 1, alpha, DIPOLE)


@pytest.mark.parametrize(
    ("count", "n"),
    [(0, 1), (0, 50), (3, 10), (9, 10), (170, 50_000), (16_000, 50_000), (0, 10**8), (900, 10**8)],
)
def test_bounds_by_tangents_hold_the_exact_tail(count, n):
    """In 50 digits: the tail at the bound is at most the requested one, and hardly less."""
    score = np.linspace(-7.5, 2.5, 9)
    bound = _Tail(np.array([float(count)]), np.array([float(n)])).upper_bound(score)[0]
    for s, p in zip(score, bound, strict=True):
        tail = exact.binomial_upper_tail(n - count, n, 1 - mp.mpf(p)) if n - count < 10**6 else None
        if tail is None:
            log_terms = [
                mp.log(mp.binomial(n, k))
                + (k * mp.log(p) if k else 0)
                + (n - k) * mp.log1p(-mp.mpf(p))
                for k in range(max(0, count - 400), count + 1)
            ]
            tail = mp.fsum(mp.exp(t) for t in log_terms)
        assert tail <= exact.upper_tail(-mp.mpf(s))
        assert tail >= exact.upper_tail(-mp.mpf(s)) * (0.97 if n > 10 else 0.7) or p == 1


def test_the_score_for_several_directions_has_its_level():
    angle = np.array([0.0, 0.1, 0.5])
    z = _rejecting_score(0.001, angle)
    np.testing.assert_allclose(
        special.ndtr(-z) + angle / (2 * np.pi) * np.exp(-0.5 * z**2), 0.001, rtol=1e-9
    )
    # By simulation: a half-plane tangent to the circle of radius z, at some angle of the range.
    points = np.random.default_rng(0).standard_normal((2, 10**6))
    wide = _rejecting_score(0.1, np.array(0.5))
    inside = np.any(
        [np.cos(a) * points[0] + np.sin(a) * points[1] <= -wide for a in np.linspace(0, 0.5, 60)],
        axis=0,
    )
    assert np.mean(inside) == pytest.approx(0.1, abs=0.0015)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10**5, 10**8])
def test_five_milliseconds_an_image(n):
    both, one, none = (np.full(100, int(share * n / 2)) for share in (0.66, 0.33, 0.01))
    joint(both[:1], one[:1], none[:1])
    begun = time.process_time()
    joint(both, one, none)
    assert time.process_time() - begun < 0.5

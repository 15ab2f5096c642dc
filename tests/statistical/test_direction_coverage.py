"""Slope and curvature along a fixed direction, and the third-order radius of them: coverage."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import special, stats
from test_class_coverage import true_radius

from sosmooth import SmoothedClassifier
from sosmooth.certificates._third_order_prices import (
    AnyDirection,
    lowest_along_a_direction,
    no_steeper,
)
from sosmooth.certificates.region import pdf
from sosmooth.certificates.third_order import third_order_radius, third_order_region
from sosmooth.certificates.third_order_directions import any_direction
from sosmooth.confidence import direction_corners
from sosmooth.confidence.direction_bounds import curvature_shortfall, slope_shortfall
from sosmooth.methods import METHODS
from sosmooth.sampling.spectrum import spectrum
from sosmooth.tally import SLOPE_CAP, Design, Tally

FALSE_ALARM = 1e-6


def limit(runs, alpha):
    return stats.binom.isf(FALSE_ALARM, runs, alpha)


# `t → (wrong at t)`, values in {0, 1}; the other side of the pair is the same at −t.
WRONG = {
    "half-space": lambda t: t > 0.8,
    "half-space near 1/2": lambda t: t > 0.05,
    "rare": lambda t: t > 2.2,
    "slab": lambda t: np.abs(t) > 1.2,
    "centre": lambda t: np.abs(t) < 0.15,
    "one side of the centre": lambda t: (t > 0) & (t < 0.3),
    "two bands": lambda t: ((t > -0.4) & (t < -0.3)) | (t > 1.5),
}


def pairs_of(name, t):
    """h and the wrong share u of the pairs at t."""
    plus, minus = WRONG[name](t).astype(float), WRONG[name](-t).astype(float)
    return 0.5 * (minus - plus), 0.5 * (plus + minus)


def population(name):
    """P(one side wrong), P(both), the slope `E h t` and the curvature `−E u (t² − 1)`."""
    t = np.linspace(-9, 9, 400_001)
    mass = pdf(t) * (t[1] - t[0])
    h, u = pairs_of(name, t)
    return mass[u == 0.5].sum(), mass[u == 1].sum(), (mass * h) @ t, -(mass * u) @ (t * t - 1)


@pytest.mark.parametrize("pairs", [40, 400])
@pytest.mark.parametrize("name", WRONG)
def test_the_slope_is_covered(name, pairs):
    rng, runs, alpha = np.random.default_rng(3), 4000, 0.05
    one, _, slope, _ = population(name)
    t = rng.standard_normal((runs, pairs))
    mean = np.mean(pairs_of(name, t)[0] * t, axis=1)
    shortfall = slope_shortfall(one, pairs, alpha)
    assert np.sum(mean - slope > shortfall) <= limit(runs, alpha)


@pytest.mark.parametrize("center", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("pairs", [40, 400])
@pytest.mark.parametrize("name", WRONG)
def test_the_curvature_is_covered(name, pairs, center):
    rng, runs, alpha = np.random.default_rng(4), 4000, 0.05
    one, none, _, curvature = population(name)
    t = rng.standard_normal((runs, pairs))
    u = pairs_of(name, t)[1]
    estimate = -np.mean((u - center) * (t * t - 1), axis=1)
    shortfall = curvature_shortfall(one, none, pairs, alpha, center=center)
    assert np.sum(estimate - curvature > shortfall) <= limit(runs, alpha)


def test_the_shortfalls_are_not_loose():
    """Two fifths of them would not cover a half-space."""
    rng, runs, pairs, alpha = np.random.default_rng(5), 20_000, 400, 0.05
    t = rng.standard_normal((runs, pairs))
    name = "half-space"
    one, none, slope, curvature = population(name)
    h, u = pairs_of(name, t)
    missed = np.mean(h * t, axis=1) - slope > 0.4 * slope_shortfall(one, pairs, alpha)
    assert np.sum(missed) > limit(runs, alpha)
    estimate = -np.mean((u - 0.1) * (t * t - 1), axis=1)
    part = 0.4 * curvature_shortfall(one, none, pairs, alpha, center=0.1)
    assert np.sum(estimate - curvature > part) > limit(runs, alpha)


def test_the_shortfalls_fall_with_samples_and_rise_with_what_is_possible():
    pairs = np.array([100, 1000, 10_000])
    for values in (
        slope_shortfall(0.2, pairs, 0.01),
        curvature_shortfall(0.2, 0.05, pairs, 0.01, center=0.1),
        slope_shortfall([0.4, 0.2, 0.1], 500, 0.01),
        curvature_shortfall([0.4, 0.2, 0.1], 0.02, 500, 0.01),
        curvature_shortfall(0.2, [0.3, 0.2, 0.0], 500, 0.01, center=0.05),
    ):
        assert np.all(np.diff(values) < 0)
    assert curvature_shortfall(0.15, 0.02, 10_000, 0.01, center=0.09) < curvature_shortfall(
        0.15, 0.02, 10_000, 0.01
    )


def test_broken_arguments_are_refused():
    with pytest.raises(ValueError, match="one_upper"):
        slope_shortfall(1.1, 10, 0.1)
    with pytest.raises(ValueError, match="none_upper"):
        curvature_shortfall(0.1, np.nan, 10, 0.1)
    with pytest.raises(ValueError, match="center"):
        curvature_shortfall(0.1, 0.1, 10, 0.1, center=0.6)
    with pytest.raises(ValueError, match="alpha"):
        curvature_shortfall(0.1, 0.1, 10, 0.0)


@pytest.mark.parametrize("dimension", [1, 2, 5, 40])
def test_no_direction_is_below_the_trust_region_bound(dimension):
    rng = np.random.default_rng(dimension)
    theta = rng.normal(size=(dimension, 300))
    x = rng.normal(size=(dimension, 300)) * 10 ** rng.uniform(-3, 1, 300)
    mu, nu = 10 ** rng.uniform(-3, 1, (2, 300))
    mu[60:70], nu[70:80] = 0.0, 0.0
    x[:, :20] = 0.0
    # The hard case: nothing along the lowest eigenvector.
    x[np.argmin(theta[:, 20:60], axis=0), np.arange(20, 60)] = 0.0
    bound = lowest_along_a_direction(mu, nu, theta, x * x)
    for _ in range(500):
        v = rng.normal(size=theta.shape)
        v /= np.linalg.norm(v, axis=0)
        assert np.all(mu * (x * v).sum(axis=0) + nu * (theta * v * v).sum(axis=0) >= bound)
    # Tight: the slopes of the price are those of a unit vector, and the price is homogeneous.
    prices = AnyDirection(np.zeros((1, 300)), np.zeros((1, 300)), np.zeros((2, 300)), theta, x * x)
    y = np.stack([0 * mu, 0 * mu, mu, nu])
    at_best = (prices.slopes(y)[1] * y).sum(axis=0)
    np.testing.assert_allclose(-at_best, bound, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dimension", [1, 2, 5, 40])
def test_no_gentle_change_is_below_the_bound_for_them(dimension):
    """Vectors of length at most one along which the mean slope is bounded, as in other norms."""
    rng = np.random.default_rng(dimension)
    theta = rng.normal(size=(dimension, 200)) + np.where(np.arange(200) < 40, 4.0, 0.0)
    x = rng.normal(size=(dimension, 200)) * 10 ** rng.uniform(-3, 1, 200)
    steepest = np.linalg.norm(x, axis=0) * np.minimum(rng.uniform(0, 1.2, 200), 1)
    mu, nu = 10 ** rng.uniform(-3, 1, (2, 200))
    steepest[50:55], mu[60:65], nu[70:75] = 0.0, 0.0, 0.0
    nothing = np.zeros((1, 200))
    price = AnyDirection(nothing, nothing, np.zeros((2, 200)), theta, x * x)
    bounded = no_steeper(price, steepest, np.ones(200, bool))
    y = np.stack([0 * mu, 0 * mu + 1e-3, mu, nu])
    bound, least = -bounded.value(y), np.full(200, np.inf)
    for _ in range(2000):
        u = rng.normal(size=theta.shape)
        u *= rng.random(200) ** (1 / dimension) / np.linalg.norm(u, axis=0)
        slope = (x * u).sum(axis=0)
        u *= np.minimum(1, steepest / np.maximum(-slope, 1e-300))  # one of the gentle ones
        value = mu * (x * u).sum(axis=0) + nu * (theta * u * u).sum(axis=0)
        assert np.all(value >= bound - 1e-12)
        least = np.minimum(least, value)
    assert np.all(bound >= -bounded.price.value(y) - 1e-9 * np.abs(bound))
    at_best = (bounded.slopes(y)[1] * y).sum(axis=0)
    np.testing.assert_allclose(-at_best, bound, rtol=1e-6, atol=1e-5)
    if dimension == 2:
        tight = np.abs(least - bound) < 0.05 * (mu * np.linalg.norm(x, axis=0) + nu * 5)
        assert np.mean(tight[40:]) > 0.95


@pytest.mark.parametrize("ends", [(-0.2, 0.1), (0.0, 0.05)])
def test_a_bound_of_the_slope_takes_nothing_away(ends):
    """Even where no eigenvalue is below 0, so that shorter vectors are lower."""
    rng = np.random.default_rng(5)
    p, slack = rng.uniform(0.52, 0.95, 100), np.full((2, 100), 0.02)
    c_n = rng.uniform(0.3, 0.9, 100) * (1 - p)
    x = rng.uniform(0.1, 0.9, 100) * pdf(special.ndtri(p)) * random_units(rng, 5, 100)
    given = ((p - c_n)[None], c_n[None], slack, rng.uniform(*ends, (5, 100)), x * x)
    length = np.linalg.norm(x, axis=0)
    without = any_direction(*given).distance
    for share in (0.5, 0.999):
        found = any_direction(*given, steepest=share * length + slack[0]).distance
        assert np.all(found >= without - 1e-5 * (1 + without))


def random_units(rng, dimension, n):
    v = rng.normal(size=(dimension, n))
    return v / np.linalg.norm(v, axis=0)


def sample(right, dimension, pairs, runs, rng, center):
    """Counts, X̂, Ĥ and the sums of the gradient's norm, of `runs` sets of pairs.

    The classifier sees all coordinates, (pairs, d).
    """
    counts, means, hessians, sums = [], [], [], []
    for _ in range(runs):
        z = rng.standard_normal((pairs, dimension))
        plus, minus = right(z).astype(float), right(-z).astype(float)
        wrong = 1 - 0.5 * (plus + minus)
        counts.append([np.sum(wrong == share) for share in (0, 0.5, 1)])
        half = 0.5 * (plus - minus)
        means.append(half @ z / pairs)
        sums.append(gradient_sums(half, z, pairs // 2))
        weight = wrong - center
        hessians.append(np.eye(dimension) * weight.mean() - (z.T * weight) @ z / pairs)
    return np.array(counts).T, np.array(means), np.array(hessians), sums


def gradient_sums(half, z, first):
    """What a tally holds of the gradient's norm: the mean of some pairs, the slope of others."""
    mean = half[:first] @ z[:first] / first
    length = np.linalg.norm(mean)
    y = np.minimum(half[first:] * (z[first:] @ mean) / max(length, 1e-300), SLOPE_CAP)
    return {
        "direction_norm": length,
        "direction_pairs": first,
        "direction_one": np.count_nonzero(half[:first]),
        "slope_pairs": len(half) - first,
        "slope_sum": y.sum(),
        "slope_sq_sum": y @ y,
    }


def tally_of(drawn, center, share=0.2, *, gradient=False):
    """The tally of such pairs: 20 per cent of alpha for slope and curvature."""
    counts, mean, hessian, sums = drawn
    both, one, none = counts.astype(np.int64)
    eigenvalues, squares = (
        np.array(each) for each in zip(*map(spectrum, mean, hessian), strict=True)
    )
    known = {name: np.array([each[name] for each in sums]) for name in sums[0]}
    nothing = {"direction_pairs": np.zeros(len(both), dtype=np.int64)}
    return Tally(
        Design.ANTITHETIC,
        2 * (both + one + none),
        mean.shape[1],
        count_top=2 * both + one,
        pair_both=both,
        pair_plus_only=one // 2,
        pair_minus_only=one - one // 2,
        pair_none=none,
        **(known if gradient else nothing),
        curvature_center=np.full(len(both), center),
        curvature_eigenvalues=eigenvalues,
        curvature_squares=squares,
        curvature_largest=np.abs(mean).max(axis=1),
        curvature_total=np.abs(mean).sum(axis=1),
        curvature_share=np.full(len(both), share),
    )


def certify(drawn, center, alpha, method="third_order_dipole", *, gradient=False):
    return METHODS[method].certify(tally_of(drawn, center, gradient=gradient), alpha, 1.0)[1]


def extremal(p, slope, bend):
    """The theorem's own region, and its radius; slope and bend as shares of a half-space's."""
    c = float(special.ndtri(p))
    gamma, kappa = slope * float(pdf(c)), bend * c * float(pdf(c))
    region = third_order_region(p, gamma, -kappa)
    return (lambda z: region.indicator(z[:, 0])), float(third_order_radius(p, gamma, -kappa))


def rotated(right, dimension, seed=2):
    """The same classifier along a random direction."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]
    return lambda z: right(z @ turn)


def failures(shape, dimension, runs, alpha, pairs=1000, seed=0):
    """How often the radius of a region of this shape is above the true one."""
    right, truth = extremal(*shape)
    center = 0.5 * (1 - shape[0])
    rng = np.random.default_rng([dimension, seed])
    drawn = sample(rotated(right, dimension), dimension, pairs, runs, rng, center)
    radius = certify(drawn, center, alpha, gradient=True)
    assert np.mean(radius) > (0.5 if pairs >= 1000 else 0.2) * truth
    return np.sum(radius > truth)


EXTREMAL = [(0.8, 0.75, 0.6), (0.8, 5.0, 0.3), (0.65, 0.9, 0.5)]


@pytest.mark.parametrize(("shape", "dimension"), list(zip(EXTREMAL, [20, 5, 2], strict=True)))
def test_the_extremal_regions_are_covered(shape, dimension):
    assert failures(shape, dimension, 60, 0.05) <= limit(60, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("dimension", [2, 5, 20, 49])
@pytest.mark.parametrize("shape", EXTREMAL)
def test_the_extremal_regions_are_covered_2000_times(shape, dimension):
    assert failures(shape, dimension, 2000, 0.05) <= limit(2000, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "pairs", "parts"), [(5, 250, 3), (5, 2500, 3), (49, 1000, 10)]
)
def test_the_extremal_region_is_covered_in_parts_of_2000(dimension, pairs, parts):
    """As 20 000 matrices of eigenvectors need not be held at once."""
    failed = sum(failures(EXTREMAL[1], dimension, 2000, 0.05, pairs, seed) for seed in range(parts))
    assert failed <= limit(2000 * parts, 0.05)


def test_with_a_part_of_the_gradient_the_extremal_region_is_not_covered(monkeypatch):
    """Sabotage of the norm of the gradient alone: what the tests above would see."""
    honest = direction_corners.drawn_gradient_norm_upper
    assert failures(EXTREMAL[0], 5, 12, 0.05, pairs=20_000) <= limit(12, 0.05)
    monkeypatch.setattr(
        direction_corners, "drawn_gradient_norm_upper", lambda *given: 0.6 * honest(*given)
    )
    assert failures(EXTREMAL[0], 5, 12, 0.05, pairs=20_000) > limit(12, 0.05)


def test_the_norm_of_the_gradient_helps_in_high_dimension():
    """There chance makes the mean longer than the gradient is."""
    right, truth = extremal(*EXTREMAL[2])
    drawn = sample(right, 600, 10_000, 2, np.random.default_rng(2), 0.2)
    without, known = certify(drawn, 0.2, 0.01), certify(drawn, 0.2, 0.01, gradient=True)
    assert np.all(known > 1.01 * without)
    assert np.all(known < truth)
    second = certify(drawn, 0.2, 0.01, "second_order_dipole", gradient=True)
    assert np.all(known > 0.99 * second)


@pytest.mark.slow
def test_without_the_curvature_slack_the_extremal_region_is_not_covered(monkeypatch):
    """Sabotage: what the tests above would see."""
    right, truth = extremal(0.8, 5.0, 0.3)
    runs, alpha = 250, 0.01
    drawn = sample(right, 2, 1000, runs, np.random.default_rng(0), 0.1)
    assert np.sum(certify(drawn, 0.1, alpha) > truth) <= limit(runs, alpha)
    monkeypatch.setattr(
        direction_corners,
        "curvature_shortfall",
        lambda one, none, n, alpha, center: np.zeros(n.shape),
    )
    assert np.sum(certify(drawn, 0.1, alpha) > truth) > limit(runs, alpha)


# Value at distance r from 0 along the worst direction, for classifiers in two dimensions or more.
SHAPES = {
    "half-space": (lambda z: z[:, 0] < 0.8, 0.8),
    "slab": (lambda z: np.abs(z[:, 0]) < 1.3, None),
    "saddle": (lambda z: z[:, 0] * z[:, 1] < 0.5, None),
    "ball": (lambda z: (z**2).sum(axis=1) < 1.5 * z.shape[1], None),
    "curved away from the gradient": (
        lambda z: (z[:, 0] < 1.2) & (np.abs(z[:, 1]) < 2.0),
        None,
    ),
    # So many stripes are as good as chance.
    "soft": (
        lambda z: np.abs(1e5 * (z[:, 1] + 0.3)) % 1 < np.where(z[:, 0] < 1, 0.95, 0.05),
        None,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_other_shapes_are_covered(name):
    assert shape_failures(name, 2, 40, 0.05) <= limit(40, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("dimension", [2, 5, 20, 49])
@pytest.mark.parametrize("name", SHAPES)
def test_other_shapes_are_covered_500_times(name, dimension):
    assert shape_failures(name, dimension, 500, 0.05) <= limit(500, 0.05)


def shape_failures(name, dimension, runs, alpha):
    """How often the radius of one of `SHAPES` is above the true one."""
    right, truth = SHAPES[name]
    if truth is None:
        truth = nearest(right, dimension)
    drawn = sample(right, dimension, 1000, runs, np.random.default_rng(9), 0.1)
    return np.sum(certify(drawn, 0.1, alpha, gradient=True) > truth)


def nearest(right, dimension):
    """An upper end of the distance at which the value is 1/2, from above by at most 2 per cent."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((200_000, dimension))
    found = 4.0
    for angle in np.linspace(0, 2 * np.pi, 33):
        v = np.zeros(dimension)
        v[:2] = np.cos(angle), np.sin(angle)
        if np.mean(right(z + found * v)) > 0.5:
            continue  # another direction was as near
        low, high = 0.0, found
        while high - low > 1e-3:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if np.mean(right(z + middle * v)) > 0.5 else (low, middle)
        found = high
    return found * 1.02


def test_many_pairs_come_near_the_truth():
    """Half a million evaluations of the extremal region in 20 dimensions: 98 % of its radius."""
    right, truth = extremal(0.8, 0.75, 0.6)
    drawn = sample(right, 20, 250_000, 1, np.random.default_rng(1), 0.1)
    radius = certify(drawn, 0.1, 0.001)
    assert 0.98 * truth < radius[0] < truth


def test_it_is_above_the_second_order_where_it_is_drawn_and_equal_where_it_is_not():
    """Where nothing is drawn it is the second-order dipole to the bit. Else the counts get less of
    alpha, and that costs at most 1 per cent."""
    right, _ = extremal(0.8, 0.75, 0.6)
    drawn = sample(right, 5, 20_000, 8, np.random.default_rng(3), 0.1)
    third, second = certify(drawn, 0.1, 0.001), certify(drawn, 0.1, 0.001, "second_order_dipole")
    assert np.all(third > 1.05 * second)
    tally = tally_of(drawn, 0.1)
    nothing = np.full(8, np.nan)
    some = np.where(np.arange(8) % 2, 0.1, np.nan)
    for center in (nothing, some):
        part = replace(tally, curvature_center=center)
        bounds, radius = METHODS["third_order_dipole"].certify(part, 0.001, 1.0)
        undrawn = np.isnan(center)
        assert radius[undrawn].tolist() == second[undrawn].tolist()
        assert radius[~undrawn].tolist() == third[~undrawn].tolist()
        assert np.isnan(bounds.required("slope_lower")).tolist() == undrawn.tolist()
    flat = replace(tally, curvature_eigenvalues=np.full((8, 5), -1.0))  # the curvature says nothing
    least = METHODS["third_order_dipole"].certify(flat, 0.001, 1.0)[1]
    assert np.all(least > 0.99 * second)


def test_the_others_in_the_batch_change_nothing():
    drawn = sample(extremal(0.8, 0.75, 0.6)[0], 5, 1000, 9, np.random.default_rng(4), 0.1)
    tally, method = tally_of(drawn, 0.1), METHODS["third_order_dipole"]
    bounds, radius = method.certify(tally, 0.01, 1.0)
    for size in (1, 4):
        parts = [method.certify(tally[i : i + size], 0.01, 1.0) for i in range(0, 9, size)]
        assert np.concatenate([part for _, part in parts]).tolist() == radius.tolist()
        slopes = np.concatenate([part.required("slope_lower") for part, _ in parts])
        assert slopes.tolist() == bounds.required("slope_lower").tolist()


def test_the_region_of_the_worst_direction_has_the_certified_radius():
    drawn = sample(extremal(0.8, 0.75, 0.6)[0], 5, 5000, 6, np.random.default_rng(6), 0.1)
    tally, method = tally_of(drawn, 0.1), METHODS["third_order_dipole"]
    tally = replace(tally, curvature_center=np.array([0.1] * 5 + [np.nan]))
    bounds, radius = method.certify(tally, 0.01, 0.5)
    region = method.region(bounds, 0.5)
    np.testing.assert_allclose(0.5 * region.radius(), radius, rtol=1e-3)
    assert np.all(0.5 * region.radius() >= radius * (1 - 1e-9))


def test_a_smaller_alpha_gives_a_smaller_radius():
    rng = np.random.default_rng(0)
    drawn = sample(extremal(0.8, 0.75, 0.6)[0], 49, 20_000, 3, rng, 0.1)
    radii = [certify(drawn, 0.1, alpha) for alpha in (0.1, 0.01, 0.001, 1e-6)]
    assert np.all(np.diff(radii, axis=0) < 0)


@pytest.mark.parametrize("ends", [special.ndtri([0.56, 0.66]), [0.9, 1.1]])
def test_ahead_of_each_other_class_with_the_curvature(ends):
    """Three classes in stripes of one coordinate: the rivals at one half, and below it."""
    labels = [0, 2, 1]
    truth = true_radius(labels, ends)

    def classify(x):
        return torch.as_tensor(labels)[torch.bucketize(x[:, 1].double(), torch.as_tensor(ends))]

    smoothed = SmoothedClassifier(classify, sigma=1.0, num_classes=3, batch_size=8192)
    found = smoothed.certify(
        np.zeros((60, 4), np.float32), method="third_order_dipole", n0=100, n=2000, alpha=0.05,
        curvature="on", classes="all",
    )  # fmt: skip
    assert not np.isnan(found.tally.curvature_center).any()
    assert np.sum(found.radius > truth) <= limit(60, 0.05)
    assert np.sum(found.radius > 0.3 * truth) > 30

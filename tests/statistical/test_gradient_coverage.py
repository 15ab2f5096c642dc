"""The gradient bound and the whole methods on classifiers whose gradient and radius are known."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.gradients import from_pairs
from known_classifiers import KNOWN, Known, draw, extremal
from scipy import special, stats

from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order_dipole import second_order_dipole_radius
from sosmooth.confidence.gradient_plan import (
    ALL,
    GRADIENT_SHARE,
    HALF,
    LARGER_GRADIENT_SHARE,
    GradientPlan,
    direction_share,
    planned_gradient,
)
from sosmooth.confidence.joint_pairs import drawn_gradient_norm_upper
from sosmooth.confidence.proportion import proportion_lower_bound
from sosmooth.methods import METHODS
from sosmooth.tally import SLOPE_CAP, Tally

ALPHA = 0.05
FALSE_ALARM = 1e-6


def bound(tally: Tally, alpha: float = ALPHA):
    """Where there are slopes, by one bet; else by the length of the mean over all pairs."""
    return drawn_gradient_norm_upper(tally, alpha, 1.0)


def failures(known, dimension, n, repetitions, seed, share):
    """How often the bound fails."""
    rng = np.random.default_rng(seed)
    count = 0
    for start in range(0, repetitions, 500):
        tally = draw(known, dimension, n, min(500, repetitions - start), rng, share)
        count += np.sum(bound(tally) < known.gamma)
    return count


@pytest.mark.parametrize("share", [HALF, ALL])
@pytest.mark.parametrize("dimension", [1, 2, 1000])
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_gradient_bound_covers(known, dimension, share):
    repetitions = 500
    assert failures(known, dimension, 400, repetitions, dimension, share) <= stats.binom.isf(
        FALSE_ALARM, repetitions, ALPHA
    )


@pytest.mark.slow
@pytest.mark.parametrize("share", [HALF, ALL])
@pytest.mark.parametrize(("n", "dimension"), [(40, 1), (40, 1000), (1000, 2)])
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_gradient_bound_covers_20000_times(known, dimension, n, share):
    assert failures(known, dimension, n, 20_000, dimension, share) <= stats.binom.isf(
        FALSE_ALARM, 20_000, ALPHA
    )


def measured(
    known: Known, dimension: int, pairs: int, repetitions: int, rng: np.random.Generator
) -> np.ndarray:
    """`‖X̄‖`, the mean slope and the count of one-sided pairs.

    They come from vectors of the whole dimension; nothing comes from a law.
    """
    first = int(HALF * pairs)
    axis = rng.standard_normal(dimension)
    axis /= np.linalg.norm(axis)
    out = []
    for _ in range(repetitions):
        z = rng.standard_normal((pairs, dimension))
        second = rng.random(pairs) < known.mix
        h = 0.5 * (known.right(z @ axis, second).astype(float) - known.right(-(z @ axis), second))
        mean = np.mean(h[:first, None] * z[:first], axis=0)
        norm = np.linalg.norm(mean)
        y = np.minimum(h[first:] * (z[first:] @ mean) / norm, SLOPE_CAP)
        out.append((norm, np.mean(y), np.mean(y * y), np.sum(h[:first] != 0)))
    return np.array(out)


def test_the_law_used_here_is_that_of_real_vectors():
    known, dimension, pairs, repetitions = KNOWN[6], 50, 200, 800
    rng = np.random.default_rng(8)
    real = measured(known, dimension, pairs, repetitions, rng)
    t = draw(known, dimension, 2 * pairs, repetitions, rng)
    law = np.stack(
        [
            t.direction_norm,
            t.slope_sum / t.slope_pairs,
            t.slope_sq_sum / t.slope_pairs,
            t.direction_one,
        ],
        axis=1,
    )
    for a, b in zip(real.T, law.T, strict=True):
        assert stats.ks_2samp(a, b).pvalue > 1e-6
        assert abs(np.mean(a) - np.mean(b)) <= 5 * np.hypot(np.std(a), np.std(b)) / np.sqrt(
            repetitions
        )


@pytest.mark.parametrize(
    ("dimension", "n", "limit"),
    [(49, 10**5, 0.157), (3072, 10**5, 0.157), (150_528, 10**5, 0.163), (150_528, 10**6, 0.152)],
)
def test_the_size_of_the_bound(dimension, n, limit):
    """P(error) = 0.1, gradient at 85 % of its maximum, in expectation."""
    gamma = 0.85 * float(pdf(special.ndtri(0.1)))
    assert gamma < from_pairs(dimension, n, 0.1, gamma) <= limit


@pytest.mark.parametrize("name", ["dipole_joint", "second_order_pairs", "second_order_dipole"])
@pytest.mark.parametrize(
    ("gradient", "share"),
    [
        pytest.param(gradient, share, marks=[] if quick else pytest.mark.slow)
        for gradient in (0.3, 0.7, 0.95)
        for share in (HALF, ALL)
        for quick in [(gradient, share) in ((0.3, ALL), (0.95, HALF))]
    ],
)
def test_the_true_radius_of_the_extremal_region_is_exceeded_by_at_most_alpha(name, gradient, share):
    known, repetitions = extremal(0.62, 0.18, gradient), 600
    method = METHODS[name]
    tally = draw(known, 30, 1000, repetitions, np.random.default_rng(int(100 * gradient)), share)
    _, radius = method.certify(tally, ALPHA, 1.0)
    truth = second_order_dipole_radius(*known.pair_masses, known.gamma)
    assert np.sum(radius > truth) <= stats.binom.isf(FALSE_ALARM, repetitions, ALPHA)


def test_the_gain_on_a_classifier_as_measured_on_images():
    """C_S, C_N and gradient of a CIFAR-10 image, in its dimension.

    100 000 evaluations show most of the possible gain.
    """
    known = extremal(0.6774, 0.1486, 0.572)
    tally = draw(known, 3072, 100_000, 4, np.random.default_rng(0))
    assert tally.count_top is not None
    reference = first_order_radius(proportion_lower_bound(tally.count_top, tally.n, 0.001))
    ratio = {}
    for name in ("dipole", "dipole_joint", "second_order_pairs", "second_order_dipole"):
        _, radius = METHODS[name].certify(tally, 0.001, 1.0)
        ratio[name] = float(np.mean(radius / reference))
    assert (
        1.0
        < ratio["dipole"]
        < ratio["dipole_joint"]
        < ratio["second_order_pairs"]
        < ratio["second_order_dipole"]
    )
    assert ratio["second_order_dipole"] > 1.17


def test_where_no_gradient_was_drawn_nothing_is_spent_on_it():
    tally = draw(KNOWN[0], 10, 2000, 3, np.random.default_rng(0))
    without = Tally(**(vars(tally) | {"direction_pairs": np.zeros(3, dtype=np.int64)}))
    radius = {}
    for name in ("dipole_joint", "second_order_dipole"):
        _, radius[name] = METHODS[name].certify(without, 0.001, 1.0)
    np.testing.assert_allclose(radius["second_order_dipole"], radius["dipole_joint"], rtol=1e-9)


def test_no_gradient_where_it_cannot_help():
    assert direction_share(20, 100, 10**5, 49, 2e-5) == ALL
    assert direction_share(20, 100, 10**5, 784, 2e-5) == HALF
    assert direction_share(20, 100, 10**5, 150_528, 2e-5) == HALF
    assert direction_share(0, 10**4, 10**5, 49, 2e-5) == 0
    assert direction_share(20, 100, 100, 49, 2e-5) == 0
    assert direction_share(50, 100, 2, 49, 0.5) == 0
    # Beyond four million features the rounding of the sums exceeds what the bound allows for.
    assert direction_share(10, 100, 10**10, 4 * 10**6, 2e-5) == HALF
    assert direction_share(10, 100, 10**10, 4 * 10**6 + 1, 2e-5) == 0


def test_the_share_of_alpha_follows_the_selection_and_is_kept_with_the_tally():
    """With few errors the gradient gets more. The bounds follow the tally, for any alpha."""
    assert planned_gradient(0, 100, 10**6, 49, 0.001).alpha_share == GRADIENT_SHARE
    assert planned_gradient(1, 100, 10**6, 49, 0.001).alpha_share == LARGER_GRADIENT_SHARE
    assert planned_gradient(15, 100, 10**6, 49, 0.001).alpha_share == LARGER_GRADIENT_SHARE
    assert planned_gradient(16, 100, 10**6, 49, 0.001).alpha_share == GRADIENT_SHARE
    assert planned_gradient(16, 100, 10, 49, 0.001) == GradientPlan(0.0, 0.0)

    tally = draw(KNOWN[0], 10, 2000, 3, np.random.default_rng(0))
    certify = METHODS["second_order_dipole"].certify
    unnamed, _ = certify(replace(tally, gradient_share=None), 0.001, 1.0)
    for share in (GRADIENT_SHARE, LARGER_GRADIENT_SHARE):
        found, _ = certify(replace(tally, gradient_share=np.full(3, share)), 0.001, 1.0)
        smaller = found.gradient_norm_upper < unnamed.gradient_norm_upper
        assert np.all(smaller if share > GRADIENT_SHARE else ~smaller)
    mixed = replace(tally, gradient_share=np.array([0.05, 0.3, 0.05]))
    for i, share in enumerate((0.05, 0.3, 0.05)):
        alone, _ = certify(replace(tally, gradient_share=np.full(3, share)), 0.001, 1.0)
        together, _ = certify(mixed, 0.001, 1.0)
        for name in ("gradient_norm_upper", "c_s_lower"):
            assert together.required(name)[i] == alone.required(name)[i]
    with pytest.raises(ValueError, match="gradient_share must be in"):
        certify(replace(tally, gradient_share=np.ones(3)), 0.001, 1.0)

"""What pairs show along one axis, and the radius of it: coverage against planted truths."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from sosmooth.axis import axis_radius
from sosmooth.certificates.region import moment, pdf
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.certificates.third_order import third_order_region
from sosmooth.confidence import axis_bounds as confidence
from sosmooth.confidence.axis_bounds import AxisPairs, axis_bounds
from sosmooth.confidence.pair_mean import PairMean
from sosmooth.tally import SLOPE_CAP
from sosmooth.theorems import BY_DIPOLE, by_probability

FALSE_ALARM, ALPHA = 1e-6, 0.05
COSTS = (by_probability, BY_DIPOLE)
DIMENSION = 3


@dataclass(frozen=True)
class Truth:
    """A classifier in three dimensions, and what is true of it; units of the noise.

    Attributes:
        right: (…, 3) → bool.
        p: probability.
        slope: gradient, (3,).
        curvature: second derivatives, (3, 3).
        distance: to the nearest point whose smoothed value is one half.
    """

    right: Callable[[np.ndarray], np.ndarray]
    p: float
    slope: np.ndarray
    curvature: np.ndarray
    distance: float


def along(intervals):
    """Right where the first coordinate is in one of the intervals."""
    lower, upper = (np.array(ends, dtype=float) for ends in zip(*intervals, strict=True))

    def right(z):
        return np.any([(z[..., 0] > a) & (z[..., 0] <= b) for a, b in intervals], axis=0)

    def value(r):
        return float(np.sum(special.ndtr(upper - r) - special.ndtr(lower - r)))

    slope = np.array([np.sum(pdf(lower) - pdf(upper)), 0, 0])
    bend = np.zeros((3, 3))
    bend[0, 0] = np.sum(moment(lower) - moment(upper))
    r = np.linspace(0, 4, 4001)
    lost = [[value(s * x) <= 0.5 for x in r] for s in (-1, 1)]
    distance = min(r[of.index(True)] if True in of else np.inf for of in lost)
    return Truth(right, value(0), slope, bend, distance)


def ball(radius):
    """Right in a ball: even, and curved alike in every direction."""

    def value(r):
        return stats.ncx2.cdf(radius**2, DIMENSION, max(r, 1e-9) ** 2)

    # E f (|z|² − d)/d along every axis.
    bend = integrate.quad(
        lambda q: (q / DIMENSION - 1) * stats.chi2.pdf(q, DIMENSION), 0, radius**2
    )[0]
    distance = optimize.brentq(lambda r: value(r) - 0.5, 0, 6)
    p = stats.chi2.cdf(radius**2, DIMENSION)
    return Truth(
        lambda z: (z * z).sum(axis=-1) < radius**2, p, np.zeros(3), bend * np.eye(3), distance
    )


def extremal(p, slope, bend):
    """What the third order allows at worst along the axis; shares of a half-space's."""
    c = special.ndtri(p)
    region = third_order_region(p, slope * float(pdf(c)), -bend * c * float(pdf(c)))
    pieces = [(float(a), float(b)) for a, b in region.intervals if a < b]
    return along(pieces)


TRUTHS = {
    "half-space": along([(-np.inf, 0.8)]),
    "slab": along([(-1.3, 1.3)]),
    "band": along([(-1.2, 0.9)]),
    "extremal": extremal(0.8, 0.75, 0.6),
    "extremal, surer": extremal(0.9, 0.8, 0.75),
    "ball": ball(2.2),
}


def limit(runs, alpha=ALPHA):
    return stats.binom.isf(FALSE_ALARM, runs, alpha)


def unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def mean_of(x, h, first):
    """The sums of vectors x (runs, pairs, d): over the first pairs, and along their mean after."""
    weighted = h[..., None] * x
    mean = weighted[:, :first].mean(axis=1)
    y = np.minimum(np.einsum("rnd,rd->rn", weighted[:, first:], unit(mean)), SLOPE_CAP)
    runs, pairs = h.shape
    return PairMean(
        np.linalg.norm(mean, axis=1),
        np.full(runs, first),
        np.full(runs, pairs - first),
        y.sum(axis=1),
        (y * y).sum(axis=1),
    )


def drawn(truth, cosine, pairs, runs, rng, *, center=0.1, part=1.0):
    """What `runs` sets of pairs show.

    Args:
        truth: the classifier.
        cosine: of the axis to the first coordinate; None: the axis is the mean of the first third.
        pairs: of each run.
        runs: how many.
        rng: random numbers.
        center: c.
        part: of the pairs that estimate, those that give the mean.

    Returns:
        The pairs, and the axes (runs, d).
    """
    z = rng.standard_normal((runs, pairs, DIMENSION))
    plus, minus = (truth.right(s * z).astype(float) for s in (1, -1))
    h, u = 0.5 * (plus - minus), 1 - 0.5 * (plus + minus)
    skipped = 0
    if cosine is None:
        skipped = pairs // 3
        axis = unit(np.mean((h[..., None] * z)[:, :skipped], axis=1))
        axis[np.all(axis == 0, axis=1), 0] = 1
    else:
        axis = np.broadcast_to([cosine, np.sqrt(1 - cosine**2), 0.0], (runs, DIMENSION))
    counts = [np.sum(u == share, axis=1) for share in (0, 0.5, 1)]
    z_after, h_after, u_after = z[:, skipped:], h[:, skipped:], u[:, skipped:]
    t = np.einsum("rnd,rd->rn", z_after, axis)
    first = int(part * h_after.shape[1])
    across = mean_of(z_after - t[..., None] * axis[:, None], h_after, first)
    whole = None if cosine is not None else mean_of(z, h, skipped)
    found = AxisPairs(
        *counts,
        np.full(runs, h_after.shape[1]),
        np.mean(h_after * t, axis=1),
        -np.mean((u_after - center) * (t * t - 1), axis=1),
        np.full(runs, center),
        across,
        whole,
    )
    return found, axis


def fails(truth, axis, bounds):
    """Whether any of the bounds misses the truth, (runs,)."""
    slope = axis @ truth.slope
    bend = np.einsum("rd,de,re->r", axis, truth.curvature, axis)
    across = np.linalg.norm(truth.slope - slope[:, None] * axis, axis=1)
    return (
        (bounds.slope_lower > slope)
        | (bounds.slope_upper < slope)
        | (bounds.curvature_lower > bend)
        | (bounds.across_upper < across)
        | (bounds.gradient_norm_upper < np.linalg.norm(truth.slope))
        | (bounds.corners.required("error_upper").max(axis=0) < 1 - truth.p)
    )


def failures(name, cosine, runs, pairs, *, part=1.0, seed=0):
    """Runs in which a bound, and those of the first 1000 in which the radius, is too good.

    Where no bound misses the truth the theorem says that the radius does not either, so those radii
    are computed for a few runs alone.
    """
    truth, rng, missed, too_large = TRUTHS[name], np.random.default_rng(seed), 0, 0
    for start in range(0, runs, 500):
        size = min(500, runs - start)
        found, axis = drawn(truth, cosine, pairs, size, rng, part=part)
        bounds = axis_bounds(found, ALPHA, costs=COSTS)
        failed = fails(truth, axis, bounds)
        missed += np.sum(failed)
        looked = failed.copy()
        looked[:2] = True
        looked &= start < 1000
        if np.any(looked):
            too_large += np.sum(radius_of(found, looked) > truth.distance)
    return missed, too_large


def radius_of(found, which):
    """Radii of some of the runs."""
    values = {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}
    parts = {
        name: PairMean(**{key: of[which] for key, of in vars(value).items()})
        for name, value in vars(found).items()
        if isinstance(value, PairMean)
    }
    return axis_radius(
        replace(found, **{name: value[which] for name, value in values.items()}, **parts), ALPHA
    )


CASES = [
    ("half-space", 0.95, 1.0),
    ("slab", 0.9, 1.0),
    ("band", 1.0, 0.5),
    ("extremal", 1.0, 1.0),
    ("extremal", None, 1.0),
    ("extremal, surer", 0.98, 0.5),
    ("ball", None, 0.5),
]
QUICK = [CASES[0], CASES[4], CASES[5], CASES[6]]


@pytest.mark.parametrize(("name", "cosine", "part"), QUICK)
def test_bounds_and_radius_are_covered(name, cosine, part):
    runs = 200
    missed, too_large = failures(name, cosine, runs, 100, part=part)
    assert missed <= limit(runs)
    assert too_large <= limit(runs)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [40, 400])
@pytest.mark.parametrize(("name", "cosine", "part"), CASES)
def test_bounds_and_radius_are_covered_in_many_runs(name, cosine, part, pairs):
    runs = 20_000
    missed, too_large = failures(name, cosine, runs, pairs, part=part, seed=1)
    assert missed <= limit(runs)
    assert too_large <= limit(1000)


def scaled(monkeypatch, factor, *names):
    """Sabotage: bounds with only a part of their slack."""
    for name in names:
        honest = getattr(confidence, name)
        monkeypatch.setattr(
            confidence, name, lambda *args, of=honest, **more: factor * of(*args, **more)
        )


@pytest.mark.parametrize("name", ["slope_shortfall", "curvature_shortfall"])
def test_a_part_of_the_slack_is_not_enough(name, monkeypatch):
    runs, cosine = 200, 1.0
    truth = TRUTHS["extremal"]
    found, axis = drawn(truth, cosine, 100, runs, np.random.default_rng(2))
    assert np.sum(fails(truth, axis, axis_bounds(found, ALPHA, costs=COSTS))) <= limit(runs)
    scaled(monkeypatch, 0.1, name)
    assert np.sum(fails(truth, axis, axis_bounds(found, ALPHA, costs=COSTS))) > limit(runs)


def test_an_axis_from_the_pairs_that_estimate_is_refuted():
    """The mistake that the proof rules out, in a dimension where it shows."""
    rng, runs, pairs, dimension, wide = np.random.default_rng(4), 100, 60, 120, 0.05
    z = rng.standard_normal((runs, pairs, dimension))
    h = np.where(z[..., 0] < -wide, 0.5, 0.0) - np.where(z[..., 0] > wide, 0.5, 0.0)
    weighted = -h[..., None] * z
    counts = [np.zeros(runs, int), np.full(runs, pairs), np.zeros(runs, int)]
    for same in (False, True):
        axis = unit(weighted[:, 0 if same else pairs // 2 :].mean(axis=1))
        used = weighted[:, : pairs if same else pairs // 2]
        slope = np.einsum("rnd,rd->r", used, axis) / used.shape[1]
        nothing = PairMean(*np.zeros((5, runs)))
        found = AxisPairs(
            *counts, np.full(runs, used.shape[1]), slope, *np.zeros((2, runs)), nothing
        )
        low = axis_bounds(found, ALPHA, costs=COSTS).slope_lower
        missed = np.sum(low > axis[:, 0] * float(pdf(wide)))
        assert (missed > limit(runs)) == same


def some_pairs(n=1_000_000, slope=-0.19, curvature=-0.1, across=0.01):
    """One input with a half-space's numbers and less slope and curvature than it has."""
    none, one = n // 25, n // 4
    return AxisPairs(
        *(np.array([k]) for k in (n - one - none, one, none, n)),
        np.array([slope]),
        np.array([curvature]),
        np.array([0.15]),
        PairMean(*(np.array([value]) for value in (across, n, 0, 0.0, 0.0))),
    )


def test_what_it_gives():
    found = some_pairs()
    bounds = axis_bounds(found, 0.001, costs=COSTS)
    gradient = np.full_like(bounds.corners.c_s_lower, np.inf)
    gradient[:] = bounds.gradient_norm_upper
    second = second_order_dipole_region(
        bounds.corners.c_s_lower, bounds.corners.c_n_lower, gradient
    )
    assert axis_radius(found, 0.001) > 1.03 * second.radius().min()
    assert axis_radius(found, 0.001, sigma=0.25) == pytest.approx(
        0.25 * axis_radius(found, 0.001), rel=1e-12
    )
    # Without a curvature it is the second-order dipole.
    flat = axis_radius(some_pairs(curvature=-10.0), 0.001)
    assert flat == pytest.approx(second.radius().min(), rel=1e-9)


def test_bounds_that_no_classifier_meets_give_what_the_pairs_alone_give():
    """A curvature that is too large contradicts the counts; the second-order dipole remains."""
    assert axis_radius(some_pairs(curvature=0.9), 0.001) == pytest.approx(
        axis_radius(some_pairs(curvature=-10.0), 0.001), rel=1e-9
    )


def test_the_whole_gradient_helps():
    found = some_pairs(across=0.08)
    one = found.across
    whole = replace(one, direction_norm=np.array([0.192]))
    alone, both = (
        axis_bounds(pairs, 0.001, costs=COSTS) for pairs in (found, replace(found, whole=whole))
    )
    assert both.gradient_norm_upper < alone.gradient_norm_upper
    assert both.across_upper < alone.across_upper


def test_broken_arguments_are_refused():
    for wrong, share, message in (
        (some_pairs(), 1.0, "share"),
        (replace(some_pairs(), axis_pairs=np.array([0])), 0.3, "axis_pairs"),
        (replace(some_pairs(), center=np.array([0.7])), 0.3, "center"),
        (some_pairs(slope=np.nan), 0.3, "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            axis_radius(wrong, 0.001, share=share)

"""classes="all" on classifiers whose true radius is known: labels that depend on one coordinate only."""

from math import lgamma

import numpy as np
import pytest
from scipy import optimize, special, stats

from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import multiclass_radius
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.methods import METHODS, certify_tally
from sosmooth.tally import Design, Tally

#: Labels of the stripes of the line, and the ends between them; the input is at 0, sigma 1, class 0 leads there.
STRIPES = {
    # The top class and its rival are half-lines that face each other: the worst case of both bounds at once.
    "facing half-lines": ([0, 2, 1], special.ndtri([0.56, 0.57])),
    # No class has half of the probability; six others share what is between.
    "below one half": (
        [0, 2, 3, 4, 5, 6, 7, 1],
        special.ndtri([0.45, 0.49, 0.53, 0.57, 0.61, 0.65, 0.69]),
    ),
    "slab among three": ([1, 0, 2, 3], [-0.7, 0.6, 1.1]),
    "even and odd": ([1, 2, 0, 2, 1], [-1.2, -0.8, 0.8, 1.2]),
}


def smoothed_values(labels, ends, at):
    """Probability of each class with the input moved to `at`, (classes, *at)."""
    edges = np.subtract.outer(np.concatenate([[-np.inf], ends, [np.inf]]), at)
    return np.tensordot(
        np.eye(max(labels) + 1)[labels], np.diff(special.ndtr(edges), axis=0), axes=(0, 0)
    )


def true_radius(labels, ends):
    def lead(at):
        values = smoothed_values(labels, ends, at)
        return values[0] - values[1:].max(axis=0)

    assert lead(0.0) > 0
    found = []
    for sign in (1, -1):
        grid = np.linspace(0, 6, 1201)
        lost = np.flatnonzero(lead(sign * grid) <= 0)
        if len(lost):
            i = lost[0]
            found.append(
                optimize.brentq(
                    lambda t, sign=sign: lead(sign * t), grid[i - 1], grid[i], xtol=1e-12
                )
            )
    return min(found, default=np.inf)


def drawn(labels, ends, design, n, repetitions, rng):
    """Tallies from their exact law: a multinomial over the stripes, or over pairs of stripes."""
    classes = max(labels) + 1
    size = np.full(repetitions, n)
    if design is not Design.ANTITHETIC:
        counts = rng.multinomial(n, smoothed_values(labels, ends, 0.0), repetitions)
        return Tally(
            design,
            size,
            3,
            count_top=counts[:, 0],
            class_counts=counts,
            gradient_sq_estimate=np.full(repetitions, 9.0),
        )
    cuts = np.concatenate([[0.0], np.unique(np.abs(ends)), [np.inf]])
    middle = np.minimum(0.5 * (cuts[:-1] + cuts[1:]), cuts[:-1] + 1)
    label = lambda z: np.asarray(labels)[np.searchsorted(ends, z)]  # noqa: E731
    far, near = label(middle), label(-middle)
    chance = 2 * np.diff(special.ndtr(cuts))
    k = rng.multinomial(n // 2, chance / chance.sum(), repetitions)
    straight = rng.binomial(k, 0.5)  # which side of the pair is drawn first
    both, one = np.zeros((2, repetitions, classes), dtype=np.int64)
    for j, (a, b) in enumerate(zip(far, near, strict=True)):
        if a == b:
            both[:, a] += k[:, j]
        else:
            one[:, a] += k[:, j]
            one[:, b] += k[:, j]
    plus = np.where((far == 0) & (near != 0), straight, 0) + np.where(
        (near == 0) & (far != 0), k - straight, 0
    )
    zero = np.zeros(repetitions, dtype=np.int64)
    return Tally(
        design,
        size,
        3,
        count_top=2 * both[:, 0] + one[:, 0],
        pair_both=both[:, 0],
        pair_plus_only=plus.sum(1),
        pair_minus_only=one[:, 0] - plus.sum(1),
        pair_none=n // 2 - both[:, 0] - one[:, 0],
        direction_pairs=zero,
        direction_one=zero,
        direction_norm=0.0 * zero,
        slope_pairs=zero,
        slope_sum=0.0 * zero,
        slope_sq_sum=0.0 * zero,
        class_both=both,
        class_one=one,
    )


def certify(name, tally, alpha, classes="all"):
    size = len(tally)
    settings = {
        "selected": np.zeros(size, dtype=np.int64),
        "selection_margin": np.ones(size),
        "index": np.arange(size),
    }
    return certify_tally(
        name, tally, **settings, sigma=1.0, alpha=alpha, n0=100, seed=0, classes=classes
    )


def overlap(a, b):
    return max(float(special.ndtr(min(a[1], b[1])) - special.ndtr(max(a[0], b[0]))), 0.0)


def exactly(labels, ends, label):
    """C_S, C_N and the norm of the gradient of one class."""
    edges = np.concatenate([[-np.inf], ends, [np.inf]])
    parts = [(a, b) for a, b, c in zip(edges[:-1], edges[1:], labels, strict=True) if c == label]
    c_s = sum(overlap(a, (-b[1], -b[0])) for a in parts for b in parts)
    p = sum(overlap(a, a) for a in parts)
    return c_s, max(p - c_s, 0.0), abs(sum(stats.norm.pdf(a) - stats.norm.pdf(b) for a, b in parts))


def test_with_the_exact_values_it_is_never_above_the_true_radius():
    """Each region with everything that is true of random stripes: no estimation, so nothing may fail."""
    rng = np.random.default_rng(0)
    below_half = 0
    for _ in range(100):
        count = rng.integers(3, 8)
        labels = np.concatenate([rng.permutation(3), rng.integers(0, 4, count - 3)])
        ends = np.sort(rng.normal(0, 1, count - 1))
        values = smoothed_values(labels, ends, 0.0)
        order = np.argsort(-values)  # so that class 0 leads
        labels = np.argsort(order)[labels]
        true = true_radius(labels, ends)
        top, *others = (exactly(labels, ends, label) for label in range(len(values)))
        tops = [
            first_order_region(top[0] + top[1]),
            second_order_region(top[0] + top[1], top[2]),
            dipole_region(top[0], top[1]),
            second_order_dipole_region(*top),
        ]
        neither = [(1 - c_s - 2 * c_n, c_n, gamma) for c_s, c_n, gamma in others]
        complement = [
            second_order_dipole_region(max(c_s, 0.0), c_n, gamma) for c_s, c_n, gamma in neither
        ]
        radii = [float(multiclass_radius(region, complement)) for region in tops]
        assert max(radii) <= true * (1 + 1e-9)
        assert max(radii) <= radii[3] * (1 + 1e-9)
        below_half += values.max() < 0.5 and radii[3] > 0
    assert below_half > 15


@pytest.mark.parametrize("stripes", STRIPES)
@pytest.mark.parametrize("name", METHODS)
def test_the_radius_exceeds_the_true_one_with_probability_alpha_at_most(name, stripes):
    labels, ends = STRIPES[stripes]
    repetitions, alpha = 800, 0.2
    for n in (60, 2000):
        tally = drawn(labels, ends, METHODS[name].design, n, repetitions, np.random.default_rng(n))
        failures = np.sum(certify(name, tally, alpha).radius > true_radius(labels, ends))
        assert failures <= stats.binom.isf(1e-6, repetitions, alpha)


@pytest.mark.parametrize("name", ["first_order", "dipole_joint"])
def test_below_one_half_all_certifies_and_top_abstains(name):
    labels, ends = STRIPES["below one half"]
    tally = drawn(labels, ends, METHODS[name].design, 100_000, 20, np.random.default_rng(0))
    found = certify(name, tally, 0.001)
    radius, true = found.radius, true_radius(labels, ends)
    assert np.all(certify(name, tally, 0.001, "top").radius == 0)
    assert np.all((radius > 0) & (radius < true))
    if (
        name == "first_order"
    ):  # both worst cases at once: what is missing is the price of estimation alone
        assert np.all(radius > 0.85 * true)


@pytest.mark.parametrize("alpha", [0.02, 0.3])
def test_three_classes_exactly(alpha):
    """All outcomes of 50 independent samples, top and rival as half-lines that face each other."""
    n = 50
    top, rival = (k.ravel() for k in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    top, rival = top[top + rival <= n], rival[top + rival <= n]
    third = n - top - rival
    counts = np.stack([top, rival, third], axis=1)
    tally = Tally(Design.INDEPENDENT, np.full(len(top), n), 1, count_top=top, class_counts=counts)
    certified = certify("first_order", tally, alpha).radius
    ways = lgamma(n + 1) - special.gammaln(counts + 1).sum(axis=1)
    worst = 0.0
    for p in (0.3, 0.45, 0.55, 0.8):
        for q in np.linspace(0.05, 0.98, 12) * min(p, 1 - p):
            labels, ends = [0, 2, 1], special.ndtri([p, 1 - q])
            if 1 - p - q >= p:
                continue
            law = np.exp(ways + special.xlogy(counts, [p, q, 1 - p - q]).sum(axis=1))
            assert law.sum() == pytest.approx(1)
            worst = max(worst, law[certified > true_radius(labels, ends)].sum())
    assert alpha / 20 < worst <= alpha

"""classes="all" on classifiers whose true radius is known.

Their labels depend on one coordinate only.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special, stats

from sosmooth import methods
from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import multiclass_radius
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.confidence.rivals import rival_bounds
from sosmooth.methods import METHODS, certify_tally
from sosmooth.tally import Design, Tally

#: Labels of the stripes of the line, and the ends between them. The input is at 0, sigma is 1, and
#: class 0 leads there.
STRIPES = {
    # The top class and its rival are half-lines that face each other: both bounds at their worst.
    "facing half-lines": ([0, 2, 1], special.ndtri([0.56, 0.57])),
    # No class has one half of the probability; six others have the rest.
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
            gradient_sq_estimate=np.full(repetitions, 9.0),
            **classes_of(counts, None),
        )
    far, near, chance = pair_law(labels, ends)
    k = rng.multinomial(n // 2, chance, repetitions)
    straight = rng.binomial(k, 0.5)  # which side of the pair comes first
    both, one = pairs_of(far, near, k, classes)
    plus = np.where((far == 0) & (near != 0), straight, 0) + np.where(
        (near == 0) & (far != 0), k - straight, 0
    )
    return pair_tally(both, one, plus.sum(1), n)


def pair_law(labels, ends):
    """The labels at z and at −z over intervals of |z|, (cells,) each, and their probability."""
    cuts = np.concatenate([[0.0], np.unique(np.abs(ends)), [np.inf]])
    middle = np.minimum(0.5 * (cuts[:-1] + cuts[1:]), cuts[:-1] + 1)
    far, near = (np.asarray(labels)[np.searchsorted(ends, z)] for z in (middle, -middle))
    chance = 2 * np.diff(special.ndtr(cuts))
    return far, near, chance / chance.sum()


def pairs_of(far, near, k, classes):
    """Pairs with each class on both sides, and on one side, (batch, classes).

    `outcomes` counts the pairs in each cell.
    """
    both, one = np.zeros((2, len(k), classes), dtype=np.int64)
    for j, (a, b) in enumerate(zip(far, near, strict=True)):
        if a == b:
            both[:, a] += k[:, j]
        else:
            one[:, a] += k[:, j]
            one[:, b] += k[:, j]
    return both, one


def classes_of(same, one, runner_up=1):
    """The fields of a tally for all classes except class 0, the selected one."""
    batch, classes = same.shape
    return {
        "num_classes": classes,
        "runner_up": np.full(batch, runner_up),
        "class_ids": np.tile(np.arange(1, classes), (batch, 1)),
        "class_same": same[:, 1:],
        "class_one": None if one is None else one[:, 1:],
    }


def pair_tally(both, one, plus, n, runner_up=1):
    zero = np.zeros(len(both), dtype=np.int64)
    return Tally(
        Design.ANTITHETIC,
        np.full(len(both), n),
        3,
        count_top=2 * both[:, 0] + one[:, 0],
        pair_both=both[:, 0],
        pair_plus_only=plus,
        pair_minus_only=one[:, 0] - plus,
        pair_none=n // 2 - both[:, 0] - one[:, 0],
        direction_pairs=zero,
        direction_one=zero,
        direction_norm=0.0 * zero,
        slope_pairs=zero,
        slope_sum=0.0 * zero,
        slope_sq_sum=0.0 * zero,
        **classes_of(both, one, runner_up),
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
    """Each region knows all that is true of random stripes: nothing is estimated, none may fail."""
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


@pytest.mark.parametrize(
    ("name", "stripes"),
    [
        pytest.param(name, stripes, marks=[pytest.mark.slow] if costly else [])
        for name, method in METHODS.items()
        for number, stripes in enumerate(STRIPES)
        for costly in [
            method.design is Design.ANTITHETIC
            and (number > 0 or name not in ("dipole", "second_order_dipole"))
        ]
    ],
)
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
    # Both bounds at their worst: only the price of estimation is missing.
    if name == "first_order":
        assert np.all(radius > 0.85 * true)


def compositions(total, cells):
    """All ways to spread `total` over cells, (ways, cells)."""
    if cells == 1:
        return np.array([[total]])
    return np.concatenate(
        [
            np.insert(compositions(total - first, cells - 1), 0, first, axis=1)
            for first in range(total + 1)
        ]
    )


def chances(outcomes, law):
    """The multinomial probability of each outcome."""
    ways = special.gammaln(outcomes.sum(1) + 1) - special.gammaln(outcomes + 1).sum(1)
    return np.exp(ways + special.xlogy(outcomes, law).sum(1))


#: Class 0 and its rival face each other at both ends of the line; others are between them.
ROWS = {3: [0, 2, 1], 4: [0, 2, 3, 1]}


def worst_failure(design, classes, alpha, runner_up):
    """The largest probability that the radius exceeds the true one, exact, on a grid of truths."""
    labels, worst = ROWS[classes], 0.0
    n = {3: 50, 4: 26}[classes] if design is Design.INDEPENDENT else 2 * {3: 24, 4: 14}[classes]
    certified = {}  # of each outcome, whatever its probability
    for p in (0.3, 0.45, 0.55, 0.8):
        for q in np.linspace(0.05, 0.98, 8) * min(p, 1 - p):
            between = np.linspace(p, 1 - q, classes - 1)
            ends = special.ndtri(between)
            values = smoothed_values(labels, ends, 0.0)
            if values[0] <= values[1:].max():
                continue
            far, near = (), ()
            if design is Design.INDEPENDENT:
                outcomes, law, key = compositions(n, classes), values, None
            else:
                far, near, law = pair_law(labels, ends)
                outcomes, key = compositions(n // 2, len(law)), (*far, *near)
            if key not in certified:
                if design is Design.INDEPENDENT:
                    tally = Tally(
                        design,
                        np.full(len(outcomes), n),
                        1,
                        count_top=outcomes[:, 0],
                        **classes_of(outcomes, None, runner_up),
                    )
                    name = "first_order"
                else:
                    both, one = pairs_of(far, near, outcomes, classes)
                    tally = pair_tally(both, one, one[:, 0], n, runner_up)
                    name = "second_order_dipole"
                certified[key] = certify(name, tally, alpha).radius
            chance = chances(outcomes, law)
            assert chance.sum() == pytest.approx(1)
            worst = max(worst, chance[certified[key] > true_radius(labels, ends)].sum())
    return worst


@pytest.mark.parametrize(
    ("runner_up", "alpha"),
    [
        pytest.param(runner_up, alpha, marks=[] if quick else pytest.mark.slow)
        for runner_up in (1, 2, -1)
        for alpha in (0.02, 0.3)
        for quick in [runner_up == 1 or alpha == 0.02]
    ],
)
@pytest.mark.parametrize("classes", [3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("design", [Design.INDEPENDENT, Design.ANTITHETIC])
def test_every_outcome(design, classes, alpha, runner_up):
    """All outcomes of few samples, with any class as the runner-up of the selection."""
    worst = worst_failure(design, classes, alpha, runner_up)
    assert worst <= alpha
    if design is Design.INDEPENDENT and runner_up == 1:
        assert worst > alpha / 20


@pytest.mark.parametrize("design", [Design.INDEPENDENT, Design.ANTITHETIC])
def test_without_the_price_of_the_rivals_it_would_fail(design, monkeypatch):
    """If the bounds of the rivals cost no alpha, the enumeration finds the failure."""

    def free(tally, alpha, split, cost):
        return rival_bounds(tally, 0.999, replace(split, runner_up=0.98, rest=0.02), cost)

    monkeypatch.setattr(methods, "rival_bounds", free)
    assert worst_failure(design, 3, 0.02, 1) > 0.02


@pytest.mark.slow
def test_three_regions_that_meet_near_the_input():
    """Sectors of 120 degrees: by symmetry the smoothed classifier decides like the base one."""
    distance, repetitions, alpha = 0.1, 400, 0.2
    rng = np.random.default_rng(0)
    ways = np.exp(2j * np.pi * np.arange(3) / 3)

    def label(z):
        return np.argmax((z[..., None] * ways.conj()).real, axis=-1)

    true = distance * np.sin(np.pi / 3)  # from a point on the middle of its sector to its edge
    z = rng.normal(size=(10**6, 2)) @ [1, 1j]
    plus, minus = label(distance + z), label(distance - z)
    joint = np.bincount(3 * plus + minus, minlength=9) / len(z)
    for n in (60, 2000, 20_000):
        k = rng.multinomial(n // 2, joint, repetitions).reshape(-1, 3, 3)
        both = np.einsum("bii->bi", k)
        one = k.sum(1) + k.sum(2) - 2 * both
        for runner_up in (1, -1):
            tally = pair_tally(both, one, k[:, 0].sum(1) - both[:, 0], n, runner_up)
            for name in ("dipole", "dipole_joint", "second_order_dipole"):
                found = certify(name, tally, alpha)
                failures = np.sum(found.radius > true)
                assert failures <= stats.binom.isf(1e-6, repetitions, alpha)
    assert np.mean(found.radius > 0) > 0.9
    assert np.all(certify("dipole_joint", tally, alpha, "top").radius == 0)

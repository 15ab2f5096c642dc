"""The rules for stopping, on planted truths: how often they are wrong, how much they save."""

from itertools import product

import numpy as np
import pytest
from scipy import special, stats

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.confidence.evidence import _level_curve
from sosmooth.stopping import RobustAt, WithinTolerance
from sosmooth.tally import Design, Tally

FALSE_ALARM = 1e-6


def tally_of(design, counts):
    """Counts (batch, 3) of pairs right on both, one, none.

    Of single evaluations the first column counts the right ones, the last the wrong ones.
    """
    n = counts.sum(1)
    if design is Design.INDEPENDENT:
        return Tally(design, n, count_top=counts[:, 0])
    plus = counts[:, 1] // 2
    return Tally(
        design,
        2 * n,
        pair_both=counts[:, 0],
        pair_plus_only=plus,
        pair_minus_only=counts[:, 1] - plus,
        pair_none=counts[:, 2],
    )


def drawn(rule, truths, rng):
    """The tallies at which the rule stops, one for each row of truths (batch, 3)."""
    design = Design.INDEPENDENT if rule.method == "first_order" else Design.ANTITHETIC
    sides = 1 if design is Design.INDEPENDENT else 2
    counts, going, before = np.zeros(truths.shape, dtype=int), np.arange(len(truths)), 0
    for look in rule.looks():
        counts[going] += rng.multinomial((look - before) // sides, truths[going])
        going, before = going[~rule.stopped(tally_of(design, counts[going]))], look
    return tally_of(design, counts)


def certified(rule, truths, rng):
    tally = drawn(rule, truths, rng)
    size = len(truths)
    found = {
        "selected": np.zeros(size, int),
        "selection_margin": np.ones(size, int),
        "index": np.arange(size),
    }
    return rule.certify(tally, **found, n0=1, seed=0)


def allowed(alpha, repetitions):
    """The number of failures that chance exceeds with probability FALSE_ALARM."""
    return stats.binom.isf(FALSE_ALARM, repetitions, alpha)


@pytest.mark.parametrize("method", ["first_order", "dipole_joint"])
@pytest.mark.parametrize("r", [0.3, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_radius_just_out_of_reach_is_certified_with_probability_at_most_alpha(method, r):
    alpha, repetitions, rng = 0.05, 1200, np.random.default_rng(1)
    c_n, c_s = _level_curve(r, 0.5)
    for at in (0,) if method == "first_order" else (8, 110):
        truth = np.array([c_s[at], 2 * c_n[at], 1 - c_s[at] - 2 * c_n[at]])
        if method == "first_order":
            truth = np.array([special.ndtr(r), 0.0, special.ndtr(-r)])
        rule = RobustAt(0.5 * r, method, 6000, 0.5, alpha)
        found = certified(rule, np.tile(truth, (repetitions, 1)), rng)
        # The truth is on the edge: each of the two answers is wrong.
        assert np.sum(found.prediction == 0) <= allowed(alpha, repetitions)
        assert np.sum(found.abstain_reason == "not_certifiable_at_radius") <= allowed(
            alpha, repetitions
        )
        assert np.sum(found.prediction == 0) >= 1  # otherwise nothing was tested


@pytest.mark.parametrize(
    "method", ["first_order", pytest.param("dipole_joint", marks=pytest.mark.slow)]
)
def test_a_radius_within_tolerance_is_too_large_with_probability_at_most_alpha(method):
    alpha, repetitions, rng = 0.1, 300, np.random.default_rng(2)
    for truth in ([0.75, 0.15, 0.1], [0.98, 0.02, 0.0]):
        c_s, c_n = truth[0], 0.5 * truth[1]
        true_radius = dipole_radius(c_s, c_n)
        shares = np.array(truth)
        if method == "first_order":
            p = c_s + c_n
            shares, true_radius = np.array([p, 0.0, 1 - p]), special.ndtri(p)
        rule = WithinTolerance(0.25, method, 4000, 1.0, alpha)
        found = certified(rule, np.tile(shares, (repetitions, 1)), rng)
        assert np.sum(found.radius > true_radius) <= allowed(alpha, repetitions)
        assert np.all(found.radius > 0)
        assert c_s > 0.9 or np.mean(found.tally.n) < 3000  # the surest gain most from samples


@pytest.mark.parametrize("method", ["first_order", "dipole_joint"])
def test_typical_inputs_are_decided_with_a_small_part_of_the_samples(method):
    """Probabilities as images have them: p = Φ(m), with m spread around the radius asked for."""
    rng = np.random.default_rng(3)
    p = special.ndtr(rng.normal(0.7, 1.1, 400))
    one = (1 - p) * 1.6 * np.minimum(p, 0.6)
    truths = (
        np.stack([p, 0 * p, 1 - p], -1)
        if method == "first_order"
        else np.stack([p - one / 2, one, 1 - p - one / 2], -1)
    )
    rule = RobustAt(0.25, method, 100_000, 0.25, 0.001)
    found = certified(rule, truths, rng)
    radius = (
        special.ndtri(p)
        if method == "first_order"
        else dipole_radius(truths[:, 0], truths[:, 1] / 2)
    )
    assert np.mean(found.tally.n) < 6000
    far = np.abs(radius - 1) > 0.05
    assert np.array_equal((found.prediction == 0)[far], (radius > 1)[far])
    assert np.mean(far) > 0.9


def joint_tally(design, k, runner_up=1):
    """The tally of pairs with the labels (one side, other side), (batch, classes, classes).

    Class 0 is selected, 1 its rival. Single evaluations are on the diagonal.
    """
    both = np.einsum("bii->bi", k)
    classes = {
        "num_classes": k.shape[1],
        "runner_up": np.full(len(k), runner_up),
        "class_ids": np.tile(np.arange(1, k.shape[1]), (len(k), 1)),
        "class_same": both[:, 1:],
    }
    if design is Design.INDEPENDENT:
        return Tally(design, both.sum(1), count_top=both[:, 0], **classes)
    one = k.sum(1) + k.sum(2) - 2 * both
    plus = k[:, 0].sum(1) - both[:, 0]
    n = k.sum((1, 2))
    return Tally(
        design,
        2 * n,
        count_top=2 * both[:, 0] + one[:, 0],
        pair_both=both[:, 0],
        pair_plus_only=plus,
        pair_minus_only=one[:, 0] - plus,
        pair_none=n - both[:, 0] - one[:, 0],
        class_one=one[:, 1:],
        **classes,
    )


def edge(method, r, value):
    """A joint law under which class and rival meet at distance r, at this value of both.

    Classes 2 to 9 share the rest.
    """
    law = edge_of_three(method, r, value)
    share = np.zeros((3, 10))
    share[0, 0] = share[1, 1] = 1
    share[2, 2:] = 1 / 8
    return share.T @ law @ share if method != "first_order" else np.diag(np.diag(law) @ share)


def edge_of_three(method, r, value):
    """The same with a third class that has all the rest."""
    z = special.ndtri(value)
    law = np.zeros((3, 3))
    if method == "first_order":
        law[0, 0], law[1, 1] = special.ndtr(z + r), special.ndtr(z - r)
        law[2, 2] = 1 - law[0, 0] - law[1, 1]
        return law
    for at, other in product(range(0, 128, 16), repeat=2):
        c_n, c_s = (curve[at] for curve in _level_curve(r, value))
        other_n, other_s = (curve[other] for curve in _level_curve(r, 1 - value))
        law[0, 0], law[0, 2], law[2, 0] = c_s, c_n, c_n
        law[1, 1] = 1 - other_s - 2 * other_n
        law[1, 2] = law[2, 1] = other_n
        law[2, 2] = 0.0
        law[2, 2] = 1 - law.sum()
        if law.min() >= 0:
            return law
    raise AssertionError("no such law")


@pytest.mark.parametrize("method", ["first_order", "dipole_joint"])
@pytest.mark.parametrize("value", [pytest.param(0.45, marks=pytest.mark.slow), 0.25])
def test_a_rival_that_is_level_is_overlooked_with_probability_at_most_alpha(method, value):
    alpha, repetitions, rng, r = 0.1, 600, np.random.default_rng(5), 0.3
    law = edge(method, r, value)
    rule = RobustAt(0.5 * r, method, 6000, 0.5, alpha, "all")
    design = Design.INDEPENDENT if method == "first_order" else Design.ANTITHETIC
    sides = 1 if design is Design.INDEPENDENT else 2
    for runner_up in (1, 2, -1):
        counts, going, before = np.zeros((repetitions, 100), int), np.arange(repetitions), 0
        for look in rule.looks():
            counts[going] += rng.multinomial((look - before) // sides, law.ravel(), len(going))
            tally = joint_tally(design, counts[going].reshape(-1, 10, 10), runner_up)
            going, before = going[~rule.stopped(tally)], look
        found = rule.certify(
            joint_tally(design, counts.reshape(-1, 10, 10), runner_up),
            selected=np.zeros(repetitions, int),
            selection_margin=np.ones(repetitions, int),
            index=np.arange(repetitions),
            n0=1,
            seed=0,
        )
        assert found.classes == "all"
        # The truth is on the edge: each of the two answers is wrong.
        assert np.sum(found.prediction == 0) <= allowed(alpha, repetitions)
        lost = found.abstain_reason == "not_certifiable_at_radius"
        assert np.sum(lost) <= allowed(alpha, repetitions)
    assert np.sum(found.prediction == 0) >= 1  # otherwise nothing was tested


@pytest.mark.parametrize("repetitions", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_several_classes_within_tolerance(repetitions):
    alpha, rng = 0.1, np.random.default_rng(6)
    rule = WithinTolerance(0.2, "dipole_joint", 32_000, 1.0, alpha, "all")
    law = edge("dipole_joint", 0.3, 0.25)
    counts, going, before = np.zeros((repetitions, 100), int), np.arange(repetitions), 0
    for look in rule.looks():
        counts[going] += rng.multinomial((look - before) // 2, law.ravel(), len(going))
        tally = joint_tally(Design.ANTITHETIC, counts[going].reshape(-1, 10, 10))
        going, before = going[~rule.stopped(tally)], look
    found = rule.certify(
        joint_tally(Design.ANTITHETIC, counts.reshape(-1, 10, 10)),
        selected=np.zeros(repetitions, int),
        selection_margin=np.ones(repetitions, int),
        index=np.arange(repetitions),
        n0=1,
        seed=0,
    )
    assert np.sum(found.radius > 0.3) <= allowed(alpha, repetitions)
    assert np.mean(found.radius > 0) > 0.5
    assert np.mean(found.tally.n) < 30_000

"""classes="all": what it counts, bounds and compares; its coverage is in tests/statistical."""

import time

import numpy as np
import pytest
import torch

from sosmooth import METHODS, SmoothedClassifier
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import Region, multiclass_radius, worst_multiclass_radius
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.confidence.other_classes import OTHERS_SHARE, other_class_bounds, selected_class_alpha
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.methods import certify_tally
from sosmooth.tally import Design, Tally


def pairs_of(chance, n, batch=1, top=0, seed=0):
    """A tally of pairs whose labels have the joint law `chance` (classes, classes)."""
    chance = np.asarray(chance, dtype=float)
    k = (
        np.random.default_rng(seed)
        .multinomial(n // 2, (chance / chance.sum()).ravel(), batch)
        .reshape(batch, *chance.shape)
    )
    both = np.einsum("bii->bi", k)
    plus, minus = k.sum(2) - both, k.sum(1) - both
    none = n // 2 - both - plus - minus
    zero = np.zeros(batch, dtype=np.int64)
    return Tally(
        Design.ANTITHETIC,
        np.full(batch, n),
        3,
        count_top=(2 * both + plus + minus)[:, top],
        pair_both=both[:, top],
        pair_plus_only=plus[:, top],
        pair_minus_only=minus[:, top],
        pair_none=none[:, top],
        direction_pairs=zero,
        direction_one=zero,
        direction_norm=0.0 * zero,
        slope_pairs=zero,
        slope_sum=0.0 * zero,
        slope_sq_sum=0.0 * zero,
        class_both=both,
        class_one=plus + minus,
    )


def independent(counts):
    counts = np.atleast_2d(counts)
    gradient = np.full(len(counts), 0.01)
    return Tally(
        Design.DISJOINT_PAIRS,
        counts.sum(1),
        3,
        count_top=counts[:, 0],
        class_counts=counts,
        gradient_sq_estimate=gradient,
    )


def law(p, together):
    """Joint law of the labels of a pair: with probability `together` they are the same for sure."""
    p = np.asarray(p, dtype=float) / np.sum(p)
    return together * np.diag(p) + (1 - together) * np.outer(p, p)


def tally_for(name, p, n, batch=1):
    if METHODS[name].design is Design.ANTITHETIC:
        return pairs_of(law(p, 0.4), n, batch)
    return independent(np.random.default_rng(1).multinomial(n, np.asarray(p) / np.sum(p), batch))


def certify(name, tally, classes="all", selected=0, alpha=0.001):
    size = len(tally)
    return certify_tally(
        name,
        tally,
        selected=np.full(size, selected),
        selection_margin=np.ones(size, dtype=np.int64),
        index=np.arange(size),
        sigma=0.5,
        alpha=alpha,
        n0=100,
        seed=0,
        classes=classes,
    )


def sectors(x):
    """Four classes by the angle of the first two features: class 0 is a sector of a bit over a third of the plane."""
    angle = torch.atan2(x[:, 1], x[:, 0]).abs()
    low = x[:, 1] < 0
    return torch.where(angle < 1.2, 0, torch.where(angle < 2.2, torch.where(low, 1, 2), 3)).long()


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_never_below_the_top_class_alone_at_its_share(self, name):
        for p in (
            [0.6, 0.3, 0.1],
            [0.999, 0.0005, 0.0005],
            [0.52, 0.47, 0.01],
            [0.45, 0.2, 0.2, 0.15],
        ):
            tally = tally_for(name, p, 20_000, 5)
            alone = certify(name, tally, "top", alpha=selected_class_alpha(0.001))
            together = certify(name, tally)
            assert np.all(together.radius >= alone.radius)
            assert alone.bounds.other_upper is None
            np.testing.assert_array_equal(together.tally.n, alone.tally.n)

    def test_certifies_below_one_half_where_top_alone_cannot(self, name):
        tally = tally_for(name, [0.45, 0.2, 0.2, 0.15], 20_000, 3)
        assert certify(name, tally, "top").abstain_reason.tolist() == ["below_one_half"] * 3
        found = certify(name, tally)
        assert found.abstain_reason.tolist() == [""] * 3
        assert found.prediction.tolist() == [0] * 3
        assert np.all(found.radius > 0.1)

    def test_reasons_to_abstain(self, name):
        behind = certify(name, tally_for(name, [0.3, 0.4, 0.3], 2000))
        assert behind.abstain_reason.tolist() == ["not_ahead"]
        close = certify(name, tally_for(name, [0.36, 0.31, 0.33], 3000))
        assert close.abstain_reason.tolist() == ["too_few_samples"]
        assert certify(
            name, tally_for(name, [0.6, 0.4], 2000), selected=-1
        ).abstain_reason.tolist() == ["imported"]

    def test_the_order_of_the_classes_does_not_matter(self, name):
        tally = tally_for(name, [0.4, 0.25, 0.2, 0.1, 0.05], 10_000, 4)
        order = np.array([3, 1, 4, 0, 2])
        names = [
            field
            for field in ("class_counts", "class_both", "class_one")
            if getattr(tally, field) is not None
        ]
        counts = {field: getattr(tally, field)[:, order] for field in names}
        moved = Tally(**{**vars(tally), **counts})
        here, there = certify(name, tally), certify(name, moved, selected=3)
        np.testing.assert_array_equal(here.radius, there.radius)
        np.testing.assert_array_equal(here.bounds.other_upper[:, order], there.bounds.other_upper)
        assert np.isnan(here.bounds.other_upper[:, 0]).all()
        assert np.all(here.bounds.other_upper[:, 1:] > 0)

    def test_without_the_counts_of_the_classes(self, name):
        tally = tally_for(name, [0.6, 0.4], 2000)
        bare = Tally(**{**vars(tally), "class_counts": None, "class_both": None, "class_one": None})
        assert certify(name, bare, "top").radius[0] == certify(name, tally, "top").radius[0]
        with pytest.raises(LookupError, match="class_"):
            certify(name, bare)

    def test_end_to_end(self, name):
        smoothed = SmoothedClassifier(sectors, sigma=1.0, num_classes=4, batch_size=4096)
        inputs = np.array([[0.3, 0.0], [1.0, 0.2], [4.0, 0.0]], dtype=np.float32)
        top = smoothed.certify(inputs, method=name, n=20_000, n0=500)
        found = smoothed.certify(inputs, method=name, n=20_000, n0=500, classes="all")
        assert found.prediction[1:].tolist() == [0, 0]
        assert np.all(found.radius >= top.radius * 0.98)
        assert found.radius[1] > top.radius[1] + 0.1
        assert np.all(
            found.radius[1:] < np.hypot(inputs[1:, 0] + 1, inputs[1:, 1])
        )  # at (−1, 0) class 3 leads
        assert found[1].bounds.other_upper.shape == (1, 4)
        votes = found.tally.class_votes()
        np.testing.assert_array_equal(votes.sum(1), 20_000)
        np.testing.assert_array_equal(
            votes[:, 0][found.selected == 0], found.tally.count_top[found.selected == 0]
        )
        assert top.tally.class_counts is None
        assert top.tally.class_both is None


def test_a_thousand_classes_cost_little():
    p = np.concatenate([[0.45, 0.2], 1 / np.arange(1, 999) ** 1.2 * 0.07])
    tally = pairs_of(law(p, 0.4), 100_000, 10)
    certify("second_order_dipole", tally)
    begun = time.perf_counter()
    assert np.all(certify("second_order_dipole", tally).radius > 0)
    assert (time.perf_counter() - begun) / 10 < 0.2  # measured: 0.003 s


def test_the_shares_of_alpha():
    bounds = other_class_bounds(independent([[700, 200, 90, 10]]), np.array([0]), 0.01)
    expected = proportion_upper_bound([200, 90, 10], 1000, OTHERS_SHARE * 0.01 / 3)
    np.testing.assert_array_equal(bounds.error_upper[:, 0], expected)
    pairs = other_class_bounds(
        pairs_of([[600, 100, 0], [100, 150, 20], [0, 0, 30]], 2000), np.array([0]), 0.01
    )
    tally = pairs_of([[600, 100, 0], [100, 150, 20], [0, 0, 30]], 2000)
    neither = 1000 - (tally.class_both + tally.class_one)[0, 1:]
    np.testing.assert_array_equal(
        pairs.c_s_lower[:, 0], proportion_lower_bound(neither, 1000, OTHERS_SHARE * 0.01 / 4)
    )
    np.testing.assert_array_equal(
        pairs.c_n_lower[:, 0],
        proportion_lower_bound(tally.class_one[0, 1:], 1000, OTHERS_SHARE * 0.01 / 4) / 2,
    )
    assert np.all(pairs.error_upper >= 1 - pairs.c_s_lower - pairs.c_n_lower)


def test_two_lower_bounds_never_count_mass_twice():
    """A class on one side of nearly every pair: neither side is it in none, and the rest is bounded apart."""
    tally = pairs_of([[0, 995], [0, 5]], 2000)
    bounds = other_class_bounds(tally, np.array([0]), 0.5)
    assert np.all(bounds.c_s_lower + 2 * bounds.c_n_lower <= 1)


def test_the_worst_of_alternatives_is_the_worst_of_all_pairs():
    rng = np.random.default_rng(0)
    c_s, c_n = rng.uniform(0.2, 0.45, (12, 5)), rng.uniform(0.05, 0.2, (12, 5))
    gamma = rng.uniform(0, 0.4, 5)
    tops = second_order_dipole_region(c_s, c_n, gamma)
    error, norm = rng.uniform(0.01, 0.3, (7, 5)), rng.uniform(0, 0.3, (7, 5))
    found = worst_multiclass_radius(tops, second_order_region(error=error, gradient_norm=norm))
    apart = [
        multiclass_radius(
            second_order_dipole_region(c_s[i], c_n[i], gamma),
            [second_order_region(error=error[j], gradient_norm=norm[j]) for j in range(7)],
        )
        for i in range(12)
    ]
    np.testing.assert_allclose(found, np.min(apart, axis=0), rtol=1e-12, atol=1e-12)
    assert np.sum(found > 0) >= 3


def test_the_end_is_infinite_only_where_every_alternative_is_everything():
    sure = first_order_region(np.array([1.0]))
    both = Region(((np.full((2, 1), -np.inf), np.array([[np.inf], [0.5]])),))
    assert (
        worst_multiclass_radius(sure, first_order_region(error=np.array([[0.2], [0.0]])))[0]
        == np.inf
    )
    assert (
        worst_multiclass_radius(both, first_order_region(error=np.array([[0.0], [0.0]])))[0]
        == np.inf
    )
    one = worst_multiclass_radius(both, first_order_region(error=np.array([[0.0], [0.2]])))[0]
    assert one == multiclass_radius(
        Region(((np.array(-np.inf), np.array(0.5)),)), [first_order_region(error=0.2)]
    )


def test_class_counts_are_sliced():
    a = pairs_of(law([0.5, 0.3, 0.2], 0.5), 200, 3)
    np.testing.assert_array_equal(a[1:].class_one, a.class_one[1:])
    with pytest.raises(LookupError, match="counts of all classes"):
        Tally(Design.INDEPENDENT, n=np.array([2])).class_votes()


def test_classes_is_one_of_two():
    smoothed = SmoothedClassifier(sectors, sigma=1.0, num_classes=4, batch_size=64)
    with pytest.raises(ValueError, match="classes must be one of 'top', 'all'; got 'each'"):
        smoothed.certify(np.zeros((1, 2)), method="first_order", n=10, classes="each")
    with pytest.raises(ValueError, match="classes must be"):
        certify("first_order", independent([[5, 5]]), "both")

"""classes="all": its counts, bounds and comparisons; tests/statistical tests its coverage."""

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from sosmooth import METHODS, SmoothedClassifier
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import Region, multiclass_radius, worst_multiclass_radius
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import one_sided_cost, second_order_dipole_region
from sosmooth.confidence.bounds import ONE_HALF, UNSEEN
from sosmooth.confidence.pair_counts import CELLS, pair_cells
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.confidence.rivals import WITH_RUNNER_UP, WITHOUT_RUNNER_UP, rival_bounds
from sosmooth.methods import certify_tally
from sosmooth.tally import Design, Tally, concatenate

BY_DIPOLE = partial(one_sided_cost, gradient_share=1.0)
#: Runner-ups of five inputs.
MIXED = [1, -1, 1, 2, -1]


def pairs_of(chance, n, batch=1, top=0, seed=0, runner_up=1):
    """A tally of pairs whose labels have the joint law `chance` (classes, classes)."""
    chance = np.asarray(chance, dtype=float)
    k = (
        np.random.default_rng(seed)
        .multinomial(n // 2, (chance / chance.sum()).ravel(), batch)
        .reshape(batch, *chance.shape)
    )
    both = np.einsum("bii->bi", k)
    plus, minus = k.sum(2) - both, k.sum(1) - both
    same, one = (np.delete(counts, top, axis=1) for counts in (both, plus + minus))
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
        num_classes=len(chance),
        runner_up=np.full(batch, runner_up),
        class_ids=np.tile(np.delete(np.arange(len(chance)), top), (batch, 1)),
        class_same=same,
        class_one=one,
    )


def independent(counts, runner_up=1):
    counts = np.atleast_2d(counts)
    gradient = np.full(len(counts), 0.01)
    return Tally(
        Design.DISJOINT_PAIRS,
        counts.sum(1),
        3,
        count_top=counts[:, 0],
        gradient_sq_estimate=gradient,
        num_classes=counts.shape[1],
        runner_up=np.full(len(counts), runner_up),
        class_ids=np.tile(np.arange(1, counts.shape[1]), (len(counts), 1)),
        class_same=counts[:, 1:],
    )


def law(p, together):
    """Joint law of the labels of a pair: with probability `together` they are certainly equal."""
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
    """Four classes by the angle of the first two features.

    Class 0 is a sector of a bit over a third of the plane.
    """
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
            for runner_up, split in ((1, WITH_RUNNER_UP), (-1, WITHOUT_RUNNER_UP)):
                tally = replace(tally_for(name, p, 20_000, 5), runner_up=np.full(5, runner_up))
                alone = certify(name, tally, "top", alpha=split.selected * 0.001)
                together = certify(name, tally)
                assert np.all(together.radius >= alone.radius)
                assert alone.bounds.other_upper is None
                np.testing.assert_array_equal(
                    together.bounds.limiting_class == ONE_HALF,
                    (together.radius == alone.radius) & (alone.radius > 0),
                )

    def test_of_two_classes_nothing_is_spent_on_the_other(self, name):
        tally = tally_for(name, [0.7, 0.3], 2000, 4)
        together, alone = certify(name, tally), certify(name, tally, "top")
        np.testing.assert_array_equal(together.radius, alone.radius)
        assert together.bounds.limiting_class.tolist() == [ONE_HALF] * 4

    def test_inputs_with_and_without_a_runner_up_are_certified_as_apart(self, name):
        tally = replace(tally_for(name, [0.6, 0.3, 0.1], 2000, 5), runner_up=np.array(MIXED))
        together = certify(name, tally)
        apart = [certify(name, tally[i : i + 1]) for i in range(5)]
        assert together.radius.tolist() == [one.radius[0] for one in apart]
        for field, values in vars(together.bounds).items():
            if values is not None:
                alone = [getattr(one.bounds, field)[0] for one in apart]
                np.testing.assert_array_equal(values, alone)

    def test_a_sure_image_loses_a_thousandth_at_most(self, name):
        for none in (0, 3, 30, 300):
            tally = replace(
                tally_for(name, [1 - none / 1e5, none / 2e5, none / 2e5], 100_000),
                runner_up=np.array([-1]),
            )
            assert certify(name, tally).radius >= certify(name, tally, "top").radius * 0.999

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
        order = np.array([3, 0, 2, 1])  # class 2 is now called 1, and so on
        names = [
            field for field in ("class_same", "class_one") if getattr(tally, field) is not None
        ]
        counts = {field: getattr(tally, field)[:, order] for field in names}
        moved = replace(tally, **counts, runner_up=np.full(4, 2))
        here, there = certify(name, tally), certify(name, moved)
        np.testing.assert_array_equal(here.radius, there.radius)
        np.testing.assert_array_equal(here.bounds.other_upper[:, order], there.bounds.other_upper)
        assert np.all(here.bounds.other_upper > 0)

    def test_classes_that_were_never_returned_have_one_bound(self, name):
        """Rivals listed without votes and rivals not listed have the same bounds."""
        tally = tally_for(name, [0.7, 0.2, 0.1, 0, 0, 0], 10_000, 3)
        short = tally[:]
        for field in ("class_ids", "class_same", "class_one"):
            if (values := getattr(tally, field)) is not None:
                short = replace(short, **{field: values[:, :2]})
        listed, sparse = certify(name, tally), certify(name, short)
        np.testing.assert_array_equal(listed.radius, sparse.radius)
        np.testing.assert_array_equal(listed.bounds.limiting_class, sparse.bounds.limiting_class)
        assert np.isnan(listed.bounds.unseen_upper).all()
        for column in (2, 3, 4):
            np.testing.assert_array_equal(
                listed.bounds.other_upper[:, column], sparse.bounds.unseen_upper
            )

    def test_which_class_ends_the_radius(self, name):
        tally = tally_for(name, [0.45, 0.2, 0.2, 0.15], 20_000, 3)
        found = certify(name, tally).bounds
        assert np.isin(found.limiting_class, [1, 2]).all()
        behind = certify(name, tally_for(name, [0.2, 0.2, 0.5, 0.1], 20_000, 3))
        assert behind.bounds.limiting_class.tolist() == [2] * 3
        alone = replace(
            tally_for(name, [1.0, 0, 0], 20_000),
            num_classes=10**9,
            runner_up=np.array([-1]),
            **{
                field: np.zeros((1, 0), np.int64)
                for field in ("class_ids", "class_same", "class_one")
                if getattr(tally, field) is not None
            },
        )
        half = certify(name, alone)
        assert half.bounds.limiting_class.tolist() == [ONE_HALF]
        assert half.bounds.unseen_upper > 0
        assert half.bounds.other_upper.shape == (1, 0)

    def test_without_the_counts_of_the_classes(self, name):
        tally = tally_for(name, [0.6, 0.3, 0.1], 2000)
        for missing in ("class_ids", "runner_up", "num_classes"):
            bare = replace(tally, **{missing: None})
            assert certify(name, bare, "top").radius[0] == certify(name, tally, "top").radius[0]
            with pytest.raises(LookupError, match="counts of the other classes"):
                certify(name, bare)

    def test_end_to_end(self, name):
        smoothed = SmoothedClassifier(sectors, sigma=1.0, num_classes=4, batch_size=4096)
        inputs = np.array([[0.3, 0.0], [1.0, 0.2], [4.0, 0.0]], dtype=np.float32)
        top = smoothed.certify(inputs, method=name, n=20_000, n0=500, classes="top")
        found = smoothed.certify(inputs, method=name, n=20_000, n0=500, classes="all")
        assert found.prediction[1:].tolist() == [0, 0]
        assert np.all(found.radius >= top.radius * 0.98)
        assert found.radius[1] > top.radius[1] + 0.1
        # At (−1, 0) class 3 leads.
        assert np.all(found.radius[1:] < np.hypot(inputs[1:, 0] + 1, inputs[1:, 1]))
        assert found[1].bounds.other_upper.shape == (1, 3)
        np.testing.assert_array_equal(
            found.tally.class_votes().sum(1) + found.tally.count_top, 20_000
        )
        assert np.all(found.tally.runner_up[:2] != found.selected[:2])
        again = certify_tally(
            name,
            top.tally,
            selected=top.selected,
            selection_margin=top.selection_margin,
            index=top.input_index,
            sigma=1.0,
            alpha=0.001,
            n0=500,
            seed=0,
            classes="all",
        )
        assert again.radius.tolist() == found.radius.tolist()
        assert again.tally.arrays().keys() == found.tally.arrays().keys()
        for field, values in again.tally.arrays().items():
            np.testing.assert_array_equal(values, getattr(found.tally, field))


def test_a_thousand_classes_cost_little():
    p = np.concatenate([[0.45, 0.2], 1 / np.arange(1, 999) ** 1.2 * 0.07])
    tally = pairs_of(law(p, 0.4), 100_000, 10)
    certify("second_order_dipole", tally)
    begun = time.perf_counter()
    assert np.all(certify("second_order_dipole", tally).radius > 0)
    assert (time.perf_counter() - begun) / 10 < 0.2  # measured: 0.003 s


def rivals_of(tally, alpha, split=WITH_RUNNER_UP):
    return rival_bounds(tally, alpha, split, BY_DIPOLE)


def test_the_shares_of_alpha():
    for split in (WITH_RUNNER_UP, WITHOUT_RUNNER_UP):
        assert split.selected + split.runner_up + split.rest == pytest.approx(1, abs=1e-15)
    tally = independent([[700, 200, 90, 10]])
    found = rivals_of(tally, 0.01)
    expected = [
        proportion_upper_bound(200, 1000, 0.1 * 0.01),
        *proportion_upper_bound([90, 10], 1000, 0.05 * 0.01 / 2),
    ]
    assert found.upper[0].tolist() == expected
    apart = rivals_of(replace(tally, runner_up=np.array([-1])), 0.01, WITHOUT_RUNNER_UP)
    np.testing.assert_array_equal(
        apart.upper[0], proportion_upper_bound([200, 90, 10], 1000, 0.05 * 0.01 / 3)
    )


def test_the_shares_of_alpha_of_pairs():
    tally = pairs_of([[600, 100, 0], [100, 150, 20], [0, 0, 30]], 2000)
    found = rivals_of(tally, 0.01)
    one, same = tally.class_one[0], tally.class_same[0]
    assert found.class_ids[:, 0].tolist() == [1] * CELLS + [-1, 2, -1]
    assert found.bounds.c_s_lower[-2, 0] == proportion_lower_bound(
        1000 - (same + one)[1], 1000, 0.9 * 0.05 * 0.01
    )
    assert found.bounds.c_n_lower[-2, 0] == 0.5 * proportion_lower_bound(
        one[1], 1000, 0.1 * 0.05 * 0.01
    )
    cells = pair_cells(1000 - (same + one)[0], one[0], same[0], 0.1 * 0.01, BY_DIPOLE)
    np.testing.assert_array_equal(found.bounds.c_s_lower[:CELLS, 0], cells.c_s[0])
    np.testing.assert_array_equal(found.bounds.c_n_lower[:CELLS, 0], cells.c_n[0])
    assert found.upper[0, 0] == cells.error.max()


def test_a_runner_up_that_is_not_returned_again_has_its_own_bound():
    tally = replace(independent([[900, 0, 100]]), class_ids=np.array([[-1, 2]]))
    found = rivals_of(replace(tally, num_classes=4), 0.01)
    assert found.class_ids[:, 0].tolist() == [1, -1, 2, UNSEEN]
    assert found.bounds.error_upper[0, 0] == proportion_upper_bound(0, 1000, 0.1 * 0.01)
    assert found.bounds.error_upper[3, 0] == proportion_upper_bound(0, 1000, 0.05 * 0.01 / 2)
    assert found.unseen_upper[0] == found.bounds.error_upper[3, 0]


def test_two_lower_bounds_never_count_mass_twice():
    """A class on one side of nearly every pair.

    It is on no side of no pair, and the rest is bounded separately.
    """
    tally = replace(pairs_of([[0, 0, 995], [0, 0, 0], [0, 0, 5]], 2000), runner_up=np.array([-1]))
    bounds = rivals_of(tally, 0.9, WITHOUT_RUNNER_UP).bounds
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


def test_class_counts_are_sliced_and_put_together():
    a = pairs_of(law([0.5, 0.3, 0.2], 0.5), 200, 3)
    np.testing.assert_array_equal(a[1:].class_one, a.class_one[1:])
    narrow = replace(
        a, **{field: getattr(a, field)[:, :1] for field in ("class_ids", "class_same", "class_one")}
    )
    both = concatenate([narrow, a])
    assert both.class_ids[:3].tolist() == [[1, -1]] * 3
    assert both.class_one[:3, 1].tolist() == [0] * 3
    np.testing.assert_array_equal(both[3:].class_same, a.class_same)
    with pytest.raises(LookupError, match="counts of the other classes"):
        Tally(Design.INDEPENDENT, n=np.array([2])).class_votes()


def test_the_default_is_the_methods():
    smoothed = SmoothedClassifier(sectors, sigma=1.0, num_classes=4, batch_size=64)
    for name, method in METHODS.items():
        found = smoothed.certify(np.zeros((1, 2), np.float32), method=name, n=10)
        assert found.classes == found[0].classes == method.classes
    assert [name for name in METHODS if METHODS[name].classes == "all"] == [
        "second_order_dipole",
        "third_order_dipole",
        "look_ahead",
    ]


def test_classes_is_one_of_two():
    smoothed = SmoothedClassifier(sectors, sigma=1.0, num_classes=4, batch_size=64)
    with pytest.raises(ValueError, match="classes must be one of 'top', 'all'; got 'each'"):
        smoothed.certify(np.zeros((1, 2)), method="first_order", n=10, classes="each")
    with pytest.raises(ValueError, match="classes must be"):
        certify("first_order", independent([[5, 5]]), "both")

"""Tallies: merging, slicing, what they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sosmooth.tally import Design, Tally, concatenate

COUNTS = ("count_top", "pair_both", "pair_plus_only", "pair_minus_only", "pair_none")


def antithetic(both, plus, minus, none):
    both, plus, minus, none = (np.asarray(x, dtype=np.int64) for x in (both, plus, minus, none))
    return Tally(
        Design.ANTITHETIC,
        n=2 * (both + plus + minus + none),
        dimension=4,
        count_top=2 * both + plus + minus,
        pair_both=both,
        pair_plus_only=plus,
        pair_minus_only=minus,
        pair_none=none,
    )


def pairs(n, count, estimate):
    return Tally(
        Design.DISJOINT_PAIRS,
        n=np.array([n], dtype=np.int64),
        dimension=4,
        count_top=np.array([count], dtype=np.int64),
        gradient_sq_estimate=np.array([estimate]),
    )


counts = st.lists(st.integers(0, 10**9), min_size=12, max_size=12).map(
    lambda x: antithetic(*np.reshape(x, (4, 3)))
)


def same(a, b):
    assert a.arrays().keys() == b.arrays().keys()
    for name, value in a.arrays().items():
        np.testing.assert_array_equal(value, getattr(b, name))


@given(counts, counts, counts)
def test_merge_is_associative_and_commutative_on_counts(a, b, c):
    same(a.merge(b).merge(c), a.merge(b.merge(c)))
    same(a.merge(b), b.merge(a))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(-10, 10)), min_size=2, max_size=5))
def test_merged_gradient_estimate_is_the_mean_over_all_pairs(parts):
    merged = pairs(2 * parts[0][0], 0, parts[0][1])
    for half, estimate in parts[1:]:
        merged = merged.merge(pairs(2 * half, 0, estimate))
    n = np.array([part[0] for part in parts])
    expected = np.sum(n * [part[1] for part in parts]) / n.sum()
    np.testing.assert_allclose(merged.gradient_sq_estimate, expected, rtol=1e-12, atol=1e-12)
    assert merged.n == 2 * n.sum()


def test_merge_adds_every_count():
    total = antithetic([1], [2], [3], [4]).merge(antithetic([10], [20], [30], [40]))
    same(total, antithetic([11], [22], [33], [44]))


@pytest.mark.parametrize(
    "other",
    [
        antithetic([1, 1], [0, 0], [0, 0], [0, 0]),
        Tally(Design.INDEPENDENT, n=np.array([2]), dimension=4, count_top=np.array([1])),
        Tally(Design.ANTITHETIC, n=np.array([2]), dimension=4, count_top=np.array([1])),
        Tally(Design.ANTITHETIC, n=np.array([2]), dimension=5),
    ],
    ids=["inputs", "design", "counted", "dimension"],
)
def test_merge_refuses_what_does_not_belong_together(other):
    with pytest.raises(ValueError, match="same design, dimension and inputs"):
        antithetic([1], [0], [0], [0]).merge(other)


def test_slicing_and_concatenating_are_inverse():
    whole = antithetic([1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 1, 2])
    same(concatenate([whole[:1], whole[1:]]), whole)
    same(whole[np.array([True, False, True])], antithetic([1, 3], [4, 6], [7, 9], [0, 2]))
    assert len(whole[1:]) == 2


def test_p_estimate():
    assert antithetic([3], [1], [0], [1]).p_estimate() == pytest.approx(0.7)
    one_side = Tally(
        Design.ANTITHETIC, n=np.array([10]), pair_both=np.array([3]), pair_plus_only=np.array([1])
    )
    assert one_side.p_estimate() == pytest.approx(0.8)
    assert np.isnan(Tally(Design.INDEPENDENT, n=np.array([10])).p_estimate()).all()


def test_arrays_name_what_was_counted():
    assert set(antithetic([1], [1], [1], [1]).arrays()) == {"n", *COUNTS}
    assert set(pairs(2, 1, 0.0).arrays()) == {"n", "count_top", "gradient_sq_estimate"}

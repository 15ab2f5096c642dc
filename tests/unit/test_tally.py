"""Tallies: slicing, what they hold."""

from dataclasses import replace

import numpy as np
import pytest

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


def same(a, b):
    assert a.arrays().keys() == b.arrays().keys()
    for name, value in a.arrays().items():
        np.testing.assert_array_equal(value, getattr(b, name))


def test_samples_of_one_input_are_never_added_up():
    one = antithetic([1], [2], [3], [4])
    assert not hasattr(one, "merge")
    with pytest.raises(TypeError):
        one + one  # type: ignore[operator]


def test_tallies_that_different_rules_stopped_are_not_put_together():
    one = antithetic([1], [2], [3], [4])
    with pytest.raises(ValueError, match="different rules"):
        concatenate([one, replace(one, stopped_by="a rule")])
    both = concatenate([replace(one, stopped_by="a rule")] * 2)
    assert both.stopped_by == both[:1].stopped_by == "a rule"


def test_slicing_and_concatenating_are_inverse():
    whole = antithetic([1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 1, 2])
    same(concatenate([whole[:1], whole[1:]]), whole)
    same(whole[np.array([True, False, True])], antithetic([1, 3], [4, 6], [7, 9], [0, 2]))
    assert len(whole[1:]) == 2


def test_only_the_lists_of_classes_are_trimmed():
    lists = np.array([[3, -1], [-1, -1]])
    whole = replace(
        antithetic([1, 2], [4, 5], [7, 8], [0, 1]),
        class_ids=lists,
        class_same=lists + 1,
        class_one=lists + 1,
        curvature_eigenvalues=np.array([[-0.5, 0.0, 0.5], [np.nan] * 3]),
    )
    trimmed = whole.trimmed()
    assert trimmed.class_ids is not None
    assert trimmed.class_ids.shape == (2, 1)
    np.testing.assert_array_equal(trimmed.curvature_eigenvalues, whole.curvature_eigenvalues)
    same(concatenate([trimmed[:1], trimmed[1:]]), trimmed)


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

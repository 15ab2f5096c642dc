"""Tallies and bounds are read alike: `[…]` picks inputs, names give columns."""

import numpy as np
import pytest

from sosmooth.confidence.bounds import Bounds
from sosmooth.tally import Design, Tally

TALLY = Tally(Design.INDEPENDENT, n=np.array([10, 20, 30]), count_top=np.array([9, 18, 27]))
BOUNDS = Bounds(n_used=np.array([10, 20, 30]), p_lower=np.array([0.7, 0.8, 0.9]))


@pytest.mark.parametrize(
    "which",
    [slice(1, None), np.array([False, True, True]), np.array([1, 2])],
    ids=["slice", "mask", "positions"],
)
def test_brackets_pick_inputs(which):
    tally, bounds = TALLY[which], BOUNDS[which]
    assert len(tally) == len(bounds) == 2
    assert tally.count_top.tolist() == [18, 27]
    assert bounds.p_lower.tolist() == [0.8, 0.9]
    assert bounds.n_used.tolist() == [20, 30]
    assert bounds.error_upper is None


@pytest.mark.parametrize("values", [TALLY, BOUNDS], ids=["tally", "bounds"])
@pytest.mark.parametrize("which", ["n", 0, (0, 1)], ids=repr)
def test_brackets_take_nothing_else(values, which):
    with pytest.raises(TypeError, match=r"picks inputs"):
        values[which]


def test_names_give_columns_that_are_there():
    assert TALLY.required("count_top") is TALLY.count_top
    assert BOUNDS.required("p_lower") is BOUNDS.p_lower
    with pytest.raises(LookupError, match="pair_both, which independent samples do not count"):
        TALLY.required("pair_both")
    with pytest.raises(LookupError, match="c_s_lower is not bounded"):
        BOUNDS.required("c_s_lower")


def test_an_input_keeps_its_corners_and_its_other_classes():
    whole = Bounds(
        n_used=np.array([10, 20]),
        error_upper=np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]),
        other_upper=np.array([[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]]),
        limiting_class=np.array([3, 4]),
    )
    second = whole[1:]
    assert second.error_upper.tolist() == [[0.2], [0.4], [0.6]]
    assert second.other_upper.tolist() == [[0.04, 0.05, 0.06]]
    assert second.limiting_class.tolist() == [4]

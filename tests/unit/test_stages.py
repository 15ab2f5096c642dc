"""No number between the counts and the printed radius is on the unsafe side."""

import numpy as np
import pytest
from stages import STAGES


@pytest.mark.parametrize("name", STAGES)
def test_no_number_is_on_the_unsafe_side(name):
    stage, share = STAGES[name]
    wrong, checked = stage(max(int(600 * share), 60), np.random.default_rng(0))
    assert checked >= 40
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_no_number_is_on_the_unsafe_side_of_many(name):
    stage, share = STAGES[name]
    assert stage(int(20_000 * share), np.random.default_rng(1))[0] == []

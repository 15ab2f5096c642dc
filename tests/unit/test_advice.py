"""The hints that a newcomer gets about data, classifier and alpha."""

import numpy as np
import pytest

from sosmooth.cli._advice import advise_on_alpha, advise_on_answers

TEN = np.arange(20) % 10


@pytest.mark.parametrize(
    ("labels", "answers", "said"),
    [
        (np.full(20, 3), TEN, "all 20 inputs have the label 3"),
        (TEN, np.full(20, 7), "all 20 answers are class 7"),
        (np.full(20, -1), np.full(20, 7), "all 20 answers are class 7"),
        (TEN, (TEN + 1) % 10, "0 of 20 inputs get their label"),
        (TEN, TEN, ""),
        (np.full(20, -1), TEN, ""),
        (np.full(20, 3), np.full(20, 3), "all 20 inputs have the label 3"),
        (np.full(3, 3), np.full(3, 7), ""),  # too few to say anything
        (TEN, np.full(20, -1), ""),  # abstentions have hints of their own
    ],
)
def test_what_is_said_of_answers(capsys, labels, answers, said):
    advise_on_answers(labels, answers, 10)
    found = capsys.readouterr().err
    assert said in found if said else not found
    assert found.count("hint:") <= 2


@pytest.mark.parametrize(
    ("labels", "answers", "said"),
    [
        (np.full(20, 1), TEN, "have the label dog,"),
        (TEN, np.full(20, 0), "answers are class cat;"),
        (TEN, np.full(20, 7), "answers are class 7;"),
    ],
)
def test_classes_are_called_by_their_names(capsys, labels, answers, said):
    advise_on_answers(labels, answers, 10, ("cat", "dog"))
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("alpha", "said"), [(0.001, ""), (0.1, "lets 10 of 100"), (0.5, "lets 50")]
)
def test_what_is_said_of_alpha(capsys, alpha, said):
    advise_on_alpha(alpha)
    found = capsys.readouterr().err
    assert said in found if said else not found

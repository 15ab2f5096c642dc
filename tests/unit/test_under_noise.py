"""How the doctor judges a classifier on noisy copies."""

import numpy as np
import pytest
import torch
from scipy import special

from sosmooth.diagnosis import Status
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.under_noise import COPIES, UnderNoise, answers_under_noise, findings_under_noise

POINTS = np.array([[-2.0], [-0.5], [0.5], [2.0]], np.float32)


def sign(x):
    return torch.cat([-x, x], dim=1)


def judged(classifier=sign, labels=(0, 0, 1, 1), **options):
    return answers_under_noise(
        classifier,
        lambda which: POINTS[list(which)],
        np.array(labels),
        sigma=0.5,
        num_classes=2,
        **options,
    )


def test_p_estimates_are_those_of_the_labels():
    found = judged()
    assert found.clean_accuracy == 1
    expected = special.ndtr(np.abs(POINTS[:, 0]) / 0.5)
    # Within six standard errors: a false alarm has probability below 1e-7.
    np.testing.assert_allclose(found.p_estimate, expected, atol=6 * 0.37 / COPIES**0.5)
    assert found.accuracy == pytest.approx(found.p_estimate.mean())
    accuracy, distribution = findings_under_noise(found, 2)
    assert accuracy.status is Status.OK
    assert accuracy.text.startswith("100.0 % clean")
    assert distribution.figures["p_estimates"] == sorted(found.p_estimate.tolist())
    assert "> 0.5: 100.0 %" in distribution.text


def test_without_labels_the_class_is_chosen_from_other_copies():
    found = judged(labels=(-1, -1, -1, -1))
    assert np.all(found.p_estimate >= 0.5)
    accuracy, distribution = findings_under_noise(found, 2)
    assert accuracy.text.startswith("unknown")
    assert "clean_accuracy" not in accuracy.figures
    assert "commonest answer" in distribution.text


def right_without_noise(x):
    return sign(torch.where(torch.isin(x, torch.from_numpy(POINTS)), x, x + 9))


@pytest.mark.parametrize(
    ("classifier", "labels", "advice"),
    [
        (sign, (1, 1, 0, 0), "that is guessing"),
        (lambda x: sign(x + 9), (0, 0, 1, 1), "that is guessing"),
        (right_without_noise, (0, 0, 1, 1), "one answer"),
    ],
)
def test_what_its_user_did_not_mean_is_a_warning(classifier, labels, advice):
    accuracy, _ = findings_under_noise(judged(classifier, labels), 2)
    assert accuracy.status is Status.WARNING
    assert advice in accuracy.text


@pytest.mark.parametrize(("right", "guessed"), [(62, True), (63, False)])
def test_of_two_classes_more_must_be_right(right, guessed):
    clean = (np.arange(100) >= right).astype(np.int64)
    found = UnderNoise(np.zeros(100, dtype=np.int64), clean, np.tile(clean[:, None], COPIES))
    accuracy, _ = findings_under_noise(found, 2)
    assert ("that is guessing" in accuracy.text) == guessed


def test_it_stops_when_the_time_is_up():
    assert len(judged(seconds=0.0)) == 1


def test_an_output_that_is_no_vote_is_refused():
    with pytest.raises(ClassifierError, match="no vote"):
        judged(lambda x: sign(x) * torch.nan)

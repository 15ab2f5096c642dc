"""Stopping rules as `certify` uses them."""

import numpy as np
import pytest
import torch

from sosmooth import METHODS, SmoothedClassifier
from sosmooth.request import Request
from sosmooth.results import ABSTAIN_REASONS
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.stopping import RobustAt, WithinTolerance

INPUTS = np.array([[0.0, 0.0], [0.9, 3.0], [1.0, 0.0], [2.0, 1.0], [0.5, 0.0]], dtype=np.float32)


def half_space(x):
    """Class 0 where the first feature is below 1: the certified radius is exactly |1 − x₀|."""
    return torch.stack([1 - x.flatten(1)[:, 0], torch.zeros(len(x)), -torch.ones(len(x))], 1)


def smoothed(batch_size=512, classifier=half_space):
    return SmoothedClassifier(classifier, sigma=0.5, num_classes=3, batch_size=batch_size)


@pytest.mark.parametrize("method", ["first_order", "dipole", "dipole_joint", "second_order_dipole"])
def test_a_radius_is_decided_either_way_long_before_n(method):
    found = smoothed().certify(INPUTS, method=method, radius=0.4)
    assert found.prediction.tolist() == [0, -1, -1, 1, 0]
    assert found.radius.tolist() == [0.4, 0, 0, 0.4, 0.4]
    assert found.abstain_reason.tolist() == [
        "",
        "not_certifiable_at_radius",
        "not_certifiable_at_radius",
        "",
        "",
    ]
    assert set(found.abstain_reason) <= set(ABSTAIN_REASONS)
    assert np.max(found.tally.n) < 4000
    assert np.array_equal(found.bounds.n_used, found.tally.n)


def test_what_n_samples_do_not_decide_is_undecided():
    found = smoothed().certify(INPUTS, method="first_order", radius=0.5, n=300)
    assert found.abstain_reason[4] == "undecided"  # certifiable up to 0.5, exactly
    assert found.tally.n[4] == 300
    assert found.prediction[0] == 0


@pytest.mark.parametrize("method", [name for name in METHODS if name != "second_order"])
def test_a_tolerance_stops_early_with_a_certified_radius(method):
    found = smoothed().certify(INPUTS, method=method, tolerance=0.1, n=40_000)
    whole = smoothed().certify(INPUTS, method=method, n=40_000)
    assert np.all(found.radius <= np.abs(1 - INPUTS[:, 0]))
    assert np.all(found.radius[[0, 3, 4]] > 0)
    assert found.tally.n[4] < 40_000
    assert np.all(found.radius[[0, 3, 4]] > whole.radius[[0, 3, 4]] - 0.15)
    assert found.alpha == 0.001


@pytest.mark.parametrize("rule", [{"radius": 0.4}, {"tolerance": 0.1}])
@pytest.mark.parametrize("method", ["first_order", "dipole_joint"])
def test_results_depend_neither_on_batches_nor_on_company(rule, method):
    asked = {"method": method, "n": 20_000, **rule}
    together = smoothed(4096).certify(INPUTS, **asked, indices=[5, 6, 7, 8, 9])
    apart = [smoothed(64).certify(INPUTS[i : i + 1], **asked, indices=[5 + i])[0] for i in range(5)]
    assert together.radius.tolist() == [one.radius for one in apart]
    assert together.tally.n.tolist() == [one.tally.n[0] for one in apart]
    assert together.tally.count_top.tolist() == [one.tally.count_top[0] for one in apart]


def test_progress_counts_what_is_done_or_needless():
    calls = []
    smoothed().certify(INPUTS, radius=0.4, n=10_000, progress=calls.append)
    assert sum(calls) == len(INPUTS) * (100 + 10_000)


def test_an_input_without_votes_fails_alone():
    def sometimes(x):
        return torch.where(x[:, 1:] > 6, torch.full((len(x), 3), torch.nan), half_space(x))

    classifier = smoothed(classifier=sometimes)
    inputs = np.array([[0, 0], [0.9, 0], [1, 0], [2, 9], [0.5, 0]], dtype=np.float32)
    found = list(
        classifier.sample(
            inputs, method="first_order", n0=10, n=1000, alpha=0.01, seed=0, radius=0.4
        )
    )
    assert [type(one).__name__ for one in found] == [
        "Sampled",
        "Sampled",
        "Sampled",
        "Failed",
        "Sampled",
    ]
    with pytest.raises(ClassifierError, match="input 3"):
        classifier.certify(inputs, method="first_order", radius=0.4)


@pytest.mark.parametrize("n", [2, 126, 1000, 100_000, 10**8])
@pytest.mark.parametrize("method", ["first_order", "dipole"])
def test_looks_grow_up_to_n(n, method):
    for rule in (RobustAt(0.1, method, n, 0.5, 0.01), WithinTolerance(0.1, method, n, 0.5, 0.01)):
        looks = rule.looks()
        assert looks[-1] == n
        assert looks == sorted(set(looks))
        assert method == "first_order" or all(look % 2 == 0 for look in looks)
    assert sum(rule._alpha_at(look) for look in looks) <= 0.01 * (1 + 1e-12)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"radius": 0.1, "tolerance": 0.1}, "give one of them"),
        ({"radius": 0.0}, "positive"),
        ({"radius": 3.1}, "at most 3"),
        ({"radius": float("nan")}, "positive"),
        ({"tolerance": -1.0}, "positive"),
        ({"tolerance": float("inf")}, "positive"),
        ({"radius": 0.1, "method": "second_order"}, "these methods have: first_order"),
        ({"radius": 0.1, "method": "second_order_pairs"}, "these methods have: first_order"),
        ({"tolerance": 0.1, "method": "second_order"}, "these methods have: first_order"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        smoothed().certify(INPUTS, **asked)


def test_no_rule_where_none_was_asked_for():
    assert Request("second_order", n=10, alpha=0.1, classes="all").rule(1.0) is None


def test_a_tally_of_no_look_is_refused():
    found = smoothed().certify(INPUTS[:1], method="first_order", n=333)
    rule = WithinTolerance(0.1, "first_order", 1000, 0.5, 0.01)
    one = {
        "selected": np.zeros(1, int),
        "selection_margin": np.ones(1, int),
        "index": np.zeros(1, int),
    }
    with pytest.raises(ValueError, match="decides only after"):
        rule.certify(found.tally, **one, n0=1, seed=0)

"""The doctor finds the faults of a classifier, and none where there are none."""

import pytest
import torch

from sosmooth import load_classifier
from sosmooth.datasets import load_dataset
from sosmooth.diagnosis import (
    Status,
    devices,
    examine_classifier,
    examine_generator,
    examine_installation,
)
from sosmooth.sampling.noise import NoiseSource


def examined(classifier, **changes):
    """Status of each check by name."""
    options = {"sigma": 0.25, "num_classes": 10} | changes
    return {
        one.name: one
        for one in examine_classifier(classifier, load_dataset("mnist7").get([0, 1, 2]), **options)
    }


def linear(v):
    return v.flatten(1) @ torch.linspace(-1, 1, 490).view(49, 10)


def test_the_installation_is_sound():
    findings = list(examine_installation())
    assert {one.status for one in findings} == {Status.OK}
    assert {f"noise on {device}" for device in devices()} <= {one.name for one in findings}


class Wide(NoiseSource):
    def fill(self, out, block):
        super().fill(out, block)
        out *= 1.02


class Unrepeatable(NoiseSource):
    def fill(self, out, block):
        out.normal_()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (Wide, "not standard normal"),
        (Unrepeatable, "drawing a block of noise twice gives different numbers"),
    ],
)
def test_a_generator_that_is_not_what_it_should_be_is_broken(source, line):
    found = examine_generator(torch.device("cpu"), source)
    assert found.status is Status.BROKEN
    assert line in found.text


def test_a_bundled_classifier_is_sound():
    found = examined(load_classifier("mnist7", sigma=0.25), num_classes=None)
    assert list(found) == ["output", "determinism", "batch invariance", "throughput"]
    assert all(one.status is Status.OK for one in found.values())
    assert found["output"].figures["num_classes"] == 10
    assert found["throughput"].figures["evaluations_per_second"] > 0


def test_a_classifier_that_changes_its_input_is_named_as_that():
    def in_place(v):
        v -= 0.5
        v *= 2
        return linear(v)

    found = examined(in_place)
    assert found["input"].status is Status.WARNING
    assert "changes its input in place" in found["input"].text
    others = [one for name, one in found.items() if name != "input"]
    assert all(one.status is Status.OK for one in others)


def test_the_doctor_looks_at_modules_in_eval_mode_wherever_they_are():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(49, 10))
    assert all(one.status is Status.OK for one in examined(lambda v: module(v)).values())
    assert module.training


def test_a_classifier_that_looks_at_its_batch_is_broken():
    found = examined(lambda v: linear(v) - linear(v).mean(0) * len(v))
    assert found["determinism"].status is Status.OK
    assert found["batch invariance"].status is Status.BROKEN
    assert found["batch invariance"].figures["labels_that_differ"] > 0


def test_a_classifier_that_looks_at_the_place_in_the_batch_is_broken():
    found = examined(lambda v: torch.arange(len(v)) % 10)
    assert found["batch invariance"].status is Status.BROKEN


def test_a_random_classifier_is_broken():
    found = examined(lambda v: torch.randint(10, (len(v),)))
    assert found["determinism"].status is Status.BROKEN
    assert found["determinism"].figures["labels_that_differ"] > 100


def test_scores_that_change_without_labels_are_a_warning():
    calls = []

    def drifting(v):
        calls.append(1)
        return linear(v) * (1 + 1e-5 * len(calls))

    assert examined(drifting)["determinism"].status is Status.WARNING


def test_labels_decided_by_less_than_the_batch_changes_are_a_warning():
    """Two classes whose scores differ by less than the batch size adds to all but the first."""

    def near(v):
        scores = torch.zeros(len(v), 2)
        scores[:, 0] = 1e-6
        return scores + (1e-3 if len(v) == 1 else 0.0)

    found = examined(near, num_classes=None)["batch invariance"]
    assert found.status is Status.WARNING
    assert found.figures["labels_within_reach"] == 256


class StillTraining(torch.nn.Module):
    def train(self, mode=True):
        return super().train(True)

    def forward(self, v):
        return linear(v)


@pytest.mark.parametrize(
    ("classifier", "line"),
    [
        (lambda v: linear(v) * torch.nan, "not votes"),
        (lambda v: linear(v)[:, :3], "must return"),
        (lambda v: v.view(3, 5), "the classifier raised RuntimeError"),
        (StillTraining(), "training mode"),
    ],
    ids=["NaN", "shape", "raises", "trains"],
)
def test_a_broken_classifier_is_described_in_one_line(classifier, line):
    broken = [one for one in examined(classifier).values() if one.status is Status.BROKEN]
    assert len(broken) == 1
    assert line in broken[0].text
    assert "\n" not in broken[0].text


def test_labels_without_a_number_of_classes_ask_for_it():
    found = examined(lambda v: linear(v).argmax(1), num_classes=None)
    assert "num_classes=…" in found["classifier"].text

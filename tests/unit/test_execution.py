"""How the classifier is called.

Another precision, layout or compilation is another classifier, and a run says which.
"""

import json

import numpy as np
import pytest
import torch

from sosmooth import Execution, SmoothedClassifier
from sosmooth.cli import main
from sosmooth.sampling.evaluator import Evaluator

IMAGES = torch.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


class Recording(torch.nn.Module):
    """A small convolutional classifier that remembers how it was called."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.convolution = torch.nn.Conv2d(3, 8, 3)
        self.linear = torch.nn.Linear(32, 3)
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
        self.calls = []

    def forward(self, x):
        scores = self.linear(torch.relu(self.convolution(x)).flatten(1))
        self.calls.append(
            (tuple(x.shape), x.is_contiguous(memory_format=torch.channels_last), scores.dtype)
        )
        return scores


def certified(classifier, execution, **options):
    smoothed = SmoothedClassifier(
        classifier, sigma=0.5, num_classes=3, batch_size=256, execution=execution, **options
    )
    return smoothed.certify(IMAGES, method="first_order", n=3000)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_precision_is_what_autocast_by_hand_gives(precision):
    dtype, module = getattr(torch, precision), Recording()

    def by_hand(x):
        with torch.autocast("cpu", dtype):
            return module(x)

    expected = certified(by_hand, Execution())
    module.calls.clear()
    found = certified(module, Execution(precision=precision))
    np.testing.assert_array_equal(found.tally.count_top, expected.tally.count_top)
    assert {kind for *_, kind in module.calls} == {dtype}


def test_the_default_calls_the_classifier_as_it_is():
    module = Recording()
    smoothed = SmoothedClassifier(module, sigma=0.5, num_classes=3)
    smoothed.certify(IMAGES, method="first_order", n=200)
    assert smoothed.sampler._executed is module
    assert {(last, kind) for _, last, kind in module.calls} == {(False, torch.float32)}


def test_channels_last_lays_out_points_and_weights_and_counts_the_same():
    expected = certified(Recording(), Execution())
    module = Recording()
    found = certified(module, Execution(channels_last=True))
    assert all(last for _, last, _ in module.calls)
    assert module.convolution.weight.is_contiguous(memory_format=torch.channels_last)
    # Another layout may round the last bit of a score the other way.
    np.testing.assert_allclose(found.tally.count_top, expected.tally.count_top, atol=3)


def test_channels_last_is_for_images():
    smoothed = SmoothedClassifier(
        lambda x: x, sigma=0.5, num_classes=3, execution=Execution(channels_last=True)
    )
    with pytest.raises(ValueError, match=r"channels_last is for images .* got inputs \(5, 3\)"):
        smoothed.certify(torch.zeros(5, 3))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_short_batches_are_filled_up_and_the_filling_has_no_vote(count):
    seen = []

    def classifier(x):
        seen.append(len(x))
        return x

    points = torch.eye(3).repeat(7, 1)[:count]
    labels = Evaluator(classifier, 3, 8, one_shape=True).labels(points.clone)
    assert labels.tolist() == points.argmax(1).tolist()
    assert set(seen) == {8}


def test_a_compiled_classifier_must_not_see_another_shape_after_memory_ran_out():
    seen = []

    def fragile(x):
        seen.append(len(x))
        if len(x) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return x

    points = torch.eye(3).repeat(3, 1)
    assert Evaluator(fragile, 3, 8, one_shape=True).labels(points.clone).tolist() == [0, 1, 2] * 3
    assert seen == [8, 4, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("precision", ["half", "float32", ""])
def test_another_precision_is_refused(precision):
    with pytest.raises(ValueError, match="precision must be one of 'bfloat16', 'float16'"):
        Execution(precision=precision)


@pytest.mark.slow
# In torch's compiler itself.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_a_compiled_classifier_counts_the_same():
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(48, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
    )
    expected = certified(module, Execution())
    found = certified(module, Execution(compile=True))
    np.testing.assert_allclose(found.tally.count_top, expected.tally.count_top, atol=3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


OPTIONS = {
    "model": "mnist7",
    "data": "mnist7",
    "sigma": 0.25,
    "max": 2,
    "n": 400,
    "batch-size": 200,
}
SMALL = [
    "certify",
    *(word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))),
]


def test_a_run_records_how_the_classifier_was_called_and_goes_on_the_same_way_only(
    tmp_path, capsys
):
    run = ["--out", str(tmp_path / "run")]
    assert main([*SMALL, *run, "--precision", "bfloat16"]) == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["settings"]
    assert settings["precision"] == "bfloat16"
    assert main([*SMALL, *run, "--precision", "bfloat16"]) == 0
    capsys.readouterr()
    assert main([*SMALL, *run]) != 0
    assert "precision is 'bfloat16' there and None here" in capsys.readouterr().err


def test_a_run_without_a_choice_names_none_as_runs_always_did(tmp_path):
    assert main([*SMALL, "--out", str(tmp_path / "run")]) == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["settings"]
    assert not {"execution", "precision", "channels_last", "compile"} & settings.keys()


def test_a_wrong_precision_on_the_command_line_is_one_line(tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "run"), "--precision", "half"]) == 2
    err = capsys.readouterr().err
    assert "precision must be one of 'bfloat16', 'float16'" in err
    assert len(err.splitlines()) == 1

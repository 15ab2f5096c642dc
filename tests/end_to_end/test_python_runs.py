"""`SmoothedClassifier.certify(…, out="run")`: the run of the command line, from Python."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sosmooth import SmoothedClassifier, load_classifier, load_dataset, load_run, validate_run
from sosmooth.cli import main
from sosmooth.runs import RunError

INPUTS = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2)
LABELS = (INPUTS[:, 0] > 0).astype(int)
SETTINGS = {"n": 400, "n0": 20}


def positive(points):
    return (points[:, 0] > 0).long()


def smoothed_digits():
    return SmoothedClassifier(load_classifier("mnist7", sigma=0.25), sigma=0.25, batch_size=200)


def smoothed(classifier=positive):
    return SmoothedClassifier(classifier, sigma=0.5, num_classes=2, batch_size=200)


def contents(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name in ("manifest.json", "results.parquet")
    }


def same_bytes(one, other):
    """Whether two runs agree to the byte in every column but the time."""
    assert one.table.column_names == other.table.column_names
    for name in one.table.column_names:
        if name != "seconds":
            assert one[name].tobytes() == other[name].tobytes(), name


class Interrupting:
    """Presses Ctrl-C once, after some calls."""

    def __init__(self, after):
        self.left = after

    def __call__(self, points):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return positive(points)


def test_it_is_the_run_of_the_command_line(tmp_path):
    line = "certify --model mnist7 --data mnist7 --sigma 0.25 --n 400 --n0 20 --batch-size 200"
    assert main([*line.split(), "--indices", "3,5,9", "--out", str(tmp_path / "line")]) == 0
    digits, indices = load_dataset("mnist7"), [3, 5, 9]
    run = smoothed_digits().certify(digits, **SETTINGS, indices=indices, out=tmp_path / "python")
    by_line = load_run(tmp_path / "line")
    assert run == by_line
    same_bytes(run, by_line)
    assert run.manifest.settings == by_line.manifest.settings
    assert run.manifest.digests == by_line.manifest.digests
    # Each resumes the other's, and changes nothing where nothing is left to do.
    for folder in ("line", "python"):
        before = contents(tmp_path / folder)
        smoothed_digits().certify(digits, **SETTINGS, indices=indices, out=tmp_path / folder)
        assert main([*line.split(), "--indices", "3,5,9", "--out", str(tmp_path / folder)]) == 0
        assert contents(tmp_path / folder) == before


def test_weights_that_changed_since_are_others(tmp_path):
    classifier = load_classifier("mnist7", sigma=0.25)
    digits, whole = load_dataset("mnist7"), SmoothedClassifier(classifier, sigma=0.25)
    opened = whole.certify(digits, **SETTINGS, indices=[3], out=tmp_path / "opened")
    assert opened.manifest.settings["model"]["spec"] == "mnist7"
    with torch.no_grad():
        next(classifier.parameters()).mul_(1.5)
    trained = whole.certify(digits, **SETTINGS, indices=[3], out=tmp_path / "trained")
    model = trained.manifest.settings["model"]
    assert "spec" not in model
    assert model["weights_sha256"] != opened.manifest.settings["model"]["weights_sha256"]
    with pytest.raises(RunError, match=r"other settings.*model\.weights_sha256"):
        whole.certify(digits, **SETTINGS, indices=[3], out=tmp_path / "opened")


def test_ctrl_c_ends_it_with_what_is_done_and_the_same_call_resumes_it(tmp_path):
    asked = {"n": 2000, "n0": 20, "labels": LABELS}
    whole = smoothed().certify(INPUTS, **asked, out=tmp_path / "whole")
    interrupted = smoothed(Interrupting(after=70))
    with pytest.warns(UserWarning, match=r"interrupted: \d of 8 inputs are certified and stored"):
        part = interrupted.certify(INPUTS, **asked, out=tmp_path / "run")
    assert 0 < len(part) < 8
    assert not part.complete
    assert part.certificates() == whole[: len(part)]
    assert part.certified_accuracy() < whole.certified_accuracy()
    assert load_run(tmp_path / "run") == part
    resumed = interrupted.certify(INPUTS, **asked, out=tmp_path / "run")
    assert resumed.complete
    assert resumed == whole == smoothed().certify(INPUTS, **asked)
    same_bytes(resumed, whole)
    assert validate_run(tmp_path / "run") == []


def test_ctrl_c_before_the_first_input_is_ctrl_c(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        smoothed(Interrupting(after=1)).certify(INPUTS, **SETTINGS, out=tmp_path / "run")


def test_progress_counts_what_is_stored(tmp_path):
    class Counting:
        new = old = 0

        def __call__(self, amount):
            self.new += amount

        def stored(self, amount):
            self.old += amount

    first, second = Counting(), Counting()
    smoothed().certify(INPUTS[:3], **SETTINGS, out=tmp_path / "run", progress=first)
    assert (first.new, first.old) == (3 * 420, 0)
    again = smoothed().certify(INPUTS[:3], **SETTINGS, out=tmp_path / "run", progress=second)
    assert (second.new, second.old) == (0, 3 * 420)
    assert len(again) == 3


@pytest.mark.parametrize("kind", ["array", "numbered array", "loader"])
def test_each_kind_of_data_is_resumed(tmp_path, kind):
    tensors = TensorDataset(torch.as_tensor(INPUTS), torch.as_tensor(LABELS))
    numbered = kind == "numbered array"
    asked = {"indices": [70, 50] if numbered else [7, 5]}
    if kind != "loader":
        asked |= {"labels": LABELS[[7, 5]]}
    data = DataLoader(tensors, batch_size=4) if kind == "loader" else INPUTS[[7, 5]]
    smoothed().certify(data, **SETTINGS, **asked, out=tmp_path / "run")
    run = smoothed().certify(data, **SETTINGS, **asked, out=tmp_path / "run")
    assert run["index"].tolist() == asked["indices"]
    assert run["label"].tolist() == LABELS[[7, 5]].tolist()
    if not numbered:
        assert run == smoothed().certify(data, **SETTINGS, **asked)
    with pytest.raises(RunError, match="other settings"):
        smoothed().certify(INPUTS[[6, 5]], **SETTINGS, out=tmp_path / "run")


def test_another_classifier_is_refused_by_its_answers(tmp_path):
    smoothed().certify(INPUTS[:2], **SETTINGS, out=tmp_path / "run")
    with pytest.raises(RunError, match="made with another classifier"):
        smoothed(lambda points: (points[:, 1] > 0.3).long()).certify(
            INPUTS[:2], **SETTINGS, out=tmp_path / "run"
        )


def test_modules_are_identified_by_their_weights(tmp_path):
    torch.manual_seed(0)
    network = nn.Linear(2, 2)
    run = smoothed(network).certify(INPUTS[:2], **SETTINGS, out=tmp_path / "run")
    assert run.manifest.settings["model"]["architecture"] == "Linear"
    assert len(run.manifest.settings["model"]["weights_sha256"]) == 64
    with pytest.raises(RunError, match="weights_sha256"):
        smoothed(nn.Linear(2, 2)).certify(INPUTS[:2], **SETTINGS, out=tmp_path / "run")


def test_inputs_that_fail_are_missing_and_named(tmp_path):
    def nan_far_away(points):
        scores = torch.stack([-points[:, 0], points[:, 0]], 1)
        return torch.where(points[:, :1] > 50, torch.nan, scores)

    inputs = INPUTS.copy()
    inputs[3] = 100
    with pytest.warns(UserWarning, match=r"1 of 8 inputs have no certificate.*input 3: .*NaN"):
        run = smoothed(nan_far_away).certify(inputs, **SETTINGS, out=tmp_path / "run")
    assert run.missing.tolist() == [3]
    assert len(run) == 7


def test_the_classifier_can_have_names(tmp_path):
    linear = pytest.importorskip("sklearn.linear_model")
    words = np.array(["left", "right"])[LABELS]
    estimator = linear.LogisticRegression().fit(INPUTS, words)
    whole = SmoothedClassifier(estimator, sigma=0.5, batch_size=200)
    run = whole.certify(INPUTS, **SETTINGS, labels=words, out=tmp_path / "run")
    assert run.manifest.class_names == ["left", "right"]
    assert run["label"].tolist() == LABELS.tolist()
    assert run == whole.certify(INPUTS, **SETTINGS, labels=words)

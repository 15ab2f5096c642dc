"""Which inputs `--max` takes: all classes, and those of an earlier version where a run has them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sosmooth.cli import main
from sosmooth.cli._inputs import choice, named_indices
from sosmooth.datasets import load_dataset
from sosmooth.datasets.choice import spread
from sosmooth.runs.manifest import read_manifest

ROWS = np.arange(12, dtype=np.float32).reshape(12, 1)


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=60), st.integers(1, 70))
def test_each_class_has_its_share_up_to_one(labels, count):
    labels = np.array(labels)
    chosen = spread(labels, count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, len(labels))
    for label in set(labels.tolist()):
        share = min(count, len(labels)) * np.mean(labels == label)
        assert abs(np.sum(labels[chosen] == label) - share) < 1


def test_classes_of_a_sorted_data_set_are_all_there():
    labels = np.repeat(np.arange(10), 100)
    assert labels[spread(labels, 10)].tolist() == list(range(10))
    assert load_dataset("mnist7").spread(3) == spread(load_dataset("mnist7").labels, 3)


def test_inputs_without_labels_are_spread_over_the_data():
    assert spread(np.full(100, -1), 4) == [12, 37, 62, 87]
    assert spread(np.full(100, -1), 2, among=[9, 8, 7, 6]) == [8, 6]


def test_what_is_chosen_is_said():
    labels = np.repeat([0, 1], 6)
    whole = choice(labels, list(range(12)), None, None)
    assert (whole.indices, whole.said) == (list(range(12)), None)
    assert choice(labels, [3, 1], 2, None).indices == [3, 1]
    some = choice(labels, list(range(12)), 2, None)
    assert (some.indices, some.said) == ([3, 9], "2 of 12, spread over the classes")
    random = choice(labels, list(range(12)), 4, 7)
    assert set(choice(labels, list(range(12)), 2, 7).indices) < set(random.indices)
    assert random.said == "4 of 12, at random by --shuffle-seed 7"
    with pytest.raises(ValueError, match="--max must be at least 1; got 0"):
        choice(labels, [1], 0, None)


def test_slices_that_name_nothing_are_refused():
    assert named_indices(10, None, 4) == [0, 4, 8]
    with pytest.raises(ValueError, match="no input is left: the data has 10"):
        named_indices(10, "10:", 1)
    with pytest.raises(ValueError, match="--skip must be at least 1; got 0"):
        named_indices(10, None, 0)


@pytest.fixture
def sorted_data(tmp_path):
    (tmp_path / "own.py").write_text(
        "import torch\n"
        "def build():\n"
        "    return lambda x: torch.stack([5.5 - x[:, 0], x[:, 0] - 5.5], 1)\n"
    )
    np.savez(tmp_path / "data.npz", inputs=ROWS, labels=np.repeat([0, 1], 6))
    return tmp_path


def certify(folder, *more):
    line = (
        f"certify --model {folder}/own.py:build --data {folder}/data.npz --sigma 1 --n 40 --n0 10"
    )
    return main([*line.split(), "--out", str(folder / "run"), *more])


def test_the_manifest_says_how_inputs_were_chosen(sorted_data, capsys):
    assert certify(sorted_data, "--max", "2", "--json") == 0
    manifest = read_manifest(sorted_data / "run")
    assert manifest.choice == "2 of 12, spread over the classes"
    assert manifest.settings["indices"] == "3:10:6"
    capsys.readouterr()
    assert certify(sorted_data, "--max", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["inputs"] == 2


def test_a_run_with_the_first_inputs_is_resumed_with_them(sorted_data, capsys):
    """As an earlier version chose them."""
    assert certify(sorted_data, "--indices", "0:2", "--json") == 0
    before = (sorted_data / "run" / "manifest.json").read_bytes()
    assert certify(sorted_data, "--max", "2", "--json") == 0
    assert (sorted_data / "run" / "manifest.json").read_bytes() == before
    assert certify(sorted_data, "--max", "3", "--json") == 2
    assert "indices is 0:2:1" in capsys.readouterr().err.replace("'", "")

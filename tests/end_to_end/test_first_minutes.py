"""A newcomer has a model and a folder of images.

After each typical mistake the program prints the line that helps.
"""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from sosmooth._progress import duration
from sosmooth.cli import main

MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, classes)

    def forward(self, images):
        return self.head(self.conv(images).relu().mean((2, 3)))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with `model.py`, the weights in a usual form, and images of three classes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    namespace = {}
    exec(MODEL, namespace)
    torch.manual_seed(0)
    network = namespace["Net"]()
    torch.save(network.state_dict(), "net.pt")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, "checkpoint.pth")
    torch.save(torch.nn.Linear(2, 2), "whole.pt")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    for label, image in zip(("cat", "dog", "emu"), pixels, strict=True):
        (tmp_path / "pics" / label).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / "pics" / label / "0.png")
    return tmp_path


def sosmooth(capsys, line):
    code = main(line.split())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def certify(model, more="--n 100 --n0 20 --out run", sigma=0.25):
    return f"certify --model {model} --data pics --sigma {sigma} {more}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("certify", "`sosmooth certify --help` lists its options"),
        ("certifi", 'Did you mean "certify"'),
        (certify("net.pt"), r"that the weights belong to: FILE\.py:factory\+net\.pt"),
        (certify("model.py"), r"write model\.py:NAME, and model\.py:NAME\+FILE for its weights"),
        (certify("model.py:net"), r"model\.py has no 'net'; it has: .*Net"),
        (
            certify("model.py:Net+whole.pt"),
            r"write it by torch\.save\(model\.state_dict\(\), 'whole\.pt'\)",
        ),
        (certify("model.py:Net+none.pt"), r"no file 'none\.pt'"),
    ],
)
def test_wrong_calls_say_what_is_right(here, capsys, line, said):
    code, out, err = sosmooth(capsys, line)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(said, err)


@pytest.mark.usefixtures("no_figures")
def test_from_a_model_to_a_report(here, capsys):
    code, out, _ = sosmooth(
        capsys, certify("model.py:Net+net.pt", "--n 1000000 --out run --dry-run")
    )
    assert code == 0
    assert re.search(r"\nseconds\t\d+\.\d\n", out)
    code, out, err = sosmooth(capsys, certify("model.py:Net+net.pt"))
    assert code == 0
    assert "in units of 1/255" in out
    assert "as l∞ radius" in out
    command = re.search(r"next: sosmooth (report run --out report\.html)", err)[1]
    assert sosmooth(capsys, command)[0] == 0
    assert (here / "report.html").exists()


def test_a_run_with_another_model_names_what_differs(here, capsys):
    sosmooth(capsys, certify("model.py:Net+net.pt"))
    code, _, err = sosmooth(capsys, certify("model.py:Net+checkpoint.pth"))
    assert code == 2
    assert "model.spec is 'model.py:Net+net.pt' there and 'model.py:Net+checkpoint.pth' here" in err


def test_grey_levels_for_sigma_are_remarked_upon(here, capsys):
    assert "--sigma 0.251" in sosmooth(capsys, certify("model.py:Net+net.pt", sigma=64))[2]
    assert "hint" not in sosmooth(capsys, certify("model.py:Net+net.pt", "--n 100 --out other"))[2]


def test_predict_with_too_few_samples_says_how_many(here, capsys):
    line = "predict --model model.py:Net+net.pt --data pics --sigma 0.25 --n"
    code, out, err = sosmooth(capsys, f"{line} 10")
    assert (code, [row.split()[1] for row in out.splitlines()[1:]]) == (0, ["-1"] * 3)
    assert "give --n 11 or more" in err
    code, out, err = sosmooth(capsys, f"{line} 11")
    assert code == 0
    assert err.startswith("sosmooth: note: pics names 3 classes ('cat', 'dog', 'emu')")
    assert err.count("\n") == 1
    assert "-1" not in out
    assert out.splitlines()[0].split() == [
        "index",
        "prediction",
        "label",
        "prediction_name",
        "label_name",
    ]
    assert out.splitlines()[2].split()[4] == "dog"


def test_where_most_abstain_the_cause_is_named(tmp_path, capsys):
    line = (
        "certify --model mnist7 --data mnist7 --sigma 0.5 --indices 0:30 --seed 1 --n 1000"
        f" --method dipole_joint --out {tmp_path}/run"
    )
    said = sosmooth(capsys, line)[2]
    assert "was the classifier trained with noise of sigma 0.5?" in said
    again = f"recertify {tmp_path}/run --method dipole_joint --classes all --out {tmp_path}/run2"
    assert again.replace(f"{tmp_path}/run2", "RUN2") in said
    assert sosmooth(capsys, again)[0] == 0
    assert (
        "--classes all"
        not in sosmooth(capsys, line.replace("joint", "joint --classes all") + "3")[2]
    )
    line = f"certify --model mnist7 --data mnist7 --sigma 0.12 --max 2 --n 18 --out {tmp_path}/few"
    assert f"sosmooth plan {tmp_path}/few --n 180" in sosmooth(capsys, line)[2]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.3, "less than a second"),
        (51.2, "51 s"),
        (3700, "1 h 1 min"),
        (400_000, "4 d 15 h"),
        (90, "1 min 30 s"),
    ],
)
def test_durations_are_told_in_words(seconds, said):
    assert duration(seconds) == said

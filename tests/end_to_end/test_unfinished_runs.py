"""What the commands do with an incomplete run, and with a folder that changes meanwhile."""

import json

import numpy as np
import pytest

from sosmooth import load_run
from sosmooth.cli import main

CLASSIFIERS = '''
import shutil
from pathlib import Path

import torch

RUN = Path(__file__).parent / "run"

def half():
    """NaN for every copy of an input whose mean is above 100."""
    def scores(x):
        out = torch.zeros(len(x), 2)
        out[:, 0] = torch.where(x.flatten(1).mean(1) > 100, torch.nan, 1.0)
        return out
    return scores

def nothing():
    return lambda x: torch.full((len(x), 2), torch.nan)

def removing(what=lambda: shutil.rmtree(RUN)):
    """Changes the folder of the run at input 5."""
    def scores(x):
        if RUN.exists() and x.max() > 100:
            what()
        return torch.stack([torch.ones(len(x)), torch.zeros(len(x))], 1)
    return scores

def replacing():
    def replace():
        shutil.rmtree(RUN)
        shutil.copytree(RUN.parent / "other", RUN)
    return removing(replace)

def editing():
    def edit():
        manifest = RUN / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"sigma": 0.25', '"sigma": 2.5'))
    return removing(edit)

def unlocking():
    return removing(lambda: (RUN / ".lock").unlink(missing_ok=True))
'''


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(CLASSIFIERS)
    inputs = np.zeros((10, 4), dtype=np.float32)
    inputs[1::2] = 1000
    np.savez(tmp_path / "halves.npz", inputs=inputs, labels=np.zeros(10, dtype=int))
    inputs[:] = 0
    inputs[5] = 1000
    np.savez(tmp_path / "fifth.npz", inputs=inputs, labels=np.zeros(10, dtype=int))
    return tmp_path


def call(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def certify(own, capsys, name, *, data="halves", sigma=0.25, out="run"):
    spec = f"{own / 'own.py'}:{name}"
    return call(
        capsys,
        *("certify", "--model", spec, "--data", own / f"{data}.npz", "--sigma", sigma),
        *("--method", "first_order", "--n", "200", "--batch-size", "100"),
        *("--out", own / out, "--json"),
    )


@pytest.mark.usefixtures("no_figures")
def test_every_command_counts_inputs_that_failed(own, capsys):
    """Of 10 inputs 5 return NaN: this is not a run of 5 inputs with accuracy 1."""
    said = "5 of 10 inputs are missing: 1, 3, 5, 7, 9 failed or were not reached"
    code, out, err = certify(own, capsys, "half")
    assert code == 1
    assert "(5 inputs failed like this)" in err
    found = json.loads(out)
    assert (found["inputs"], found["missing"], found["complete"]) == (10, 5, False)
    assert found["certified_accuracy"] == 0.5
    radius = load_run(own / "run")["radius"].mean()
    assert found["average_certified_radius"] == pytest.approx(radius / 2)
    for arguments, code, needle in [
        (
            ("recertify", own / "run", "--method", "first_order", "--out", own / "again", "--json"),
            0,
            '"certified_accuracy": 0.5',
        ),
        (("export", own / "run"), 0, "9\t-1\t-1\t0.000000"),
        (("report", own / "run", "--out", own / "report.html"), 0, "report.html"),
        (("compare", own / "run", own / "again"), 0, "50.0 %"),
        (("compare", own / "run", own / "again", "--json"), 0, '"missing": 5'),
        (("validate", own / "run"), 0, "valid"),
        (("validate", own / "run", "--json"), 0, '"complete": false'),
        (("plan", own / "run", "--n", "400"), 0, "400"),
    ]:
        assert call(capsys, *arguments)[0] == code
        _, out, err = call(capsys, *arguments)
        assert needle in out
        assert said in err, arguments
    assert not load_run(own / "again").complete
    page = (own / "report.html").read_text()
    assert "certifies 5 of 10 inputs (5 correctly)" in page
    assert "5 missing (failed or not reached)" in page


def test_a_log_of_an_unfinished_run_keeps_its_inputs(own, capsys):
    certify(own, capsys, "half")
    assert call(capsys, "export", own / "run", "--out", own / "log.tsv")[0] == 0
    code, out, _ = call(
        capsys,
        *("import-log", own / "log.tsv", "--method", "first_order", "--sigma", "0.25"),
        *("--n", "200", "--alpha", "0.001", "--out", own / "log", "--json"),
    )
    assert code == 0
    found = json.loads(out)
    assert (found["inputs"], found["certified"]) == (10, 5)


def test_a_run_in_which_every_input_failed(own, capsys):
    code, out, err = certify(own, capsys, "nothing")
    assert code == 1
    assert "(10 inputs failed like this)" in err
    assert json.loads(out)["certified_accuracy"] == 0.0
    _, _, err = call(capsys, "validate", own / "run")
    assert "10 of 10 inputs are missing: 0, 1, 2, 3, 4, … failed" in err
    again = ("recertify", own / "run", "--method", "first_order", "--out", own / "again")
    code, _, err = call(capsys, *again)
    assert (code, err.count("\n")) == (2, 1)
    assert "holds no certificates yet" in err


def test_compare_says_how_many_are_in_one_only(own, capsys):
    certify(own, capsys, "half")
    certify(own, capsys, "half", data="fifth", out="other")
    spec, data = f"{own / 'own.py'}:half", own / "halves.npz"
    call(
        capsys,
        *("certify", "--model", spec, "--data", data, "--sigma", "0.25"),
        *("--method", "first_order", "--n", "200", "--out", own / "few", "--indices", "0:3"),
    )
    _, out, _ = call(capsys, "compare", own / "run", own / "few")
    assert "on the 3 inputs of both (7 more only in run)" in out
    _, out, _ = call(capsys, "compare", own / "few", own / "run", "--json")
    assert json.loads(out)["inputs"] == {"both": 3, "only_baseline": 0, "only_other": 7}


CHANGES = ["removing", "replacing", "editing", "unlocking"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_changes_under_certify(own, capsys, change):
    """The program prints one line, exits with 1, and overwrites nothing."""
    certify(own, capsys, "half", data="fifth", sigma=0.5, out="other")
    other = files(own / "other")
    code, out, err = certify(own, capsys, change, data="fifth")
    lines = [line for line in err.splitlines() if "note: " not in line]
    assert (code, out, len(lines)) == (1, "", 1)
    assert "was removed, replaced or changed by another program" in err
    assert not (own / "run/results.parquet").exists() or change == "replacing"
    if change == "replacing":
        assert files(own / "run") == other


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}

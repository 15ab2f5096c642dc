"""`sosmooth audit` and `sosmooth doctor` as a user meets them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sosmooth import load_run
from sosmooth.classifiers.load import open_classifier
from sosmooth.cli import main
from sosmooth.datasets import load_dataset
from sosmooth.sampling.execution import Execution
from sosmooth.tasks.recorded import smoothed_as_recorded

SMALL = (
    "--model",
    "mnist7",
    "--data",
    "mnist7",
    "--sigma",
    "0.25",
    "--max",
    "4",
    "--n",
    "2000",
    "--batch-size",
    "500",
)
QUICK = ("--steps", "3", "--samples", "16", "--judge-n", "1000", "--look-n", "1000", "--max", "2")


def call(capsys, *arguments):
    """Exit code, standard output and standard error of a call in this process."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("audit") / "run"
    assert main(["certify", *SMALL, "--out", str(path)]) == 0
    return path


def test_audit_of_a_sound_run(run, tmp_path, capsys):
    before = (run / "results.parquet").read_bytes()
    code, out, _ = call(capsys, "audit", run, *QUICK, "--out", tmp_path / "audit.png", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["attacked"], found["broken"]) == (2, 0)
    assert found["expected_failures"] == pytest.approx(0.002)
    certified = load_run(run)["radius"]
    assert [row["radius"] for row in found["inputs"]] == certified[certified > 0][:2].tolist()
    assert found["closest_ratio"] > 1
    assert found["look_alpha"] == 0.001
    for row in found["inputs"]:
        lost = min(row["lost_along_gradient"], row["lost_along_worst"])
        assert row["reached"] == pytest.approx(row["radius"] / lost)
        assert 0 < row["reached"] < 1
    assert found["median_reached"] == np.median([row["reached"] for row in found["inputs"]])
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "results.parquet").read_bytes() == before


def test_audit_prints_a_table_and_draws_svg(run, tmp_path, capsys):
    code, out, _ = call(capsys, "audit", run, *QUICK, "--out", tmp_path / "audit.svg")
    assert code == 0
    assert out.splitlines()[0].split("\t")[:5] == [
        "index",
        "prediction",
        "radius",
        "closest",
        "ratio",
    ]
    assert "certificates that fail: 0 of 2" in out
    assert "certified radius over the distance at which the class is lost: median 0." in out
    assert "<svg" in (tmp_path / "audit.svg").read_text()


def test_audit_of_a_recertified_run(run, tmp_path, capsys):
    call(
        capsys,
        "recertify",
        run,
        "--method",
        "dipole",
        "--alpha",
        "0.01",
        "--out",
        tmp_path / "again",
    )
    assert call(capsys, "audit", tmp_path / "again", *QUICK)[0] == 0


def test_audit_of_an_exact_run_attacks_with_exact_noise(tmp_path, capsys):
    call(capsys, "certify", *SMALL, "--exact", "--out", tmp_path / "run")
    code, out, _ = call(capsys, "audit", tmp_path / "run", *QUICK, "--json")
    found = json.loads(out)
    assert (code, found["broken"]) == (0, 0)
    lattice = 1 / (16 * 255)
    steps = (
        np.array([row["closest"] ** 2 for row in found["inputs"] if row["closest"] is not None])
        / lattice**2
    )
    np.testing.assert_allclose(steps, np.rint(steps), rtol=1e-5)  # sums of squares of whole numbers
    assert len(steps)


def test_the_classifier_is_called_as_it_was_certified(tmp_path, capsys):
    call(capsys, "certify", *SMALL, "--exact", "--precision", "bfloat16", "--out", tmp_path / "run")
    run, inputs = load_run(tmp_path / "run"), load_dataset("mnist7")
    smoothed = smoothed_as_recorded(run, open_classifier("mnist7", sigma=0.25), inputs)
    assert smoothed.execution == Execution(precision="bfloat16")
    assert (smoothed.sigma, smoothed.lattice, smoothed.batch_size) == (0.25, inputs.lattice, 500)
    # The same function and the same noise give the same certificates.
    again = smoothed.certify(inputs.get(run["index"].tolist()), n=2000, indices=run["index"])
    np.testing.assert_array_equal(again.radius, run["radius"])
    assert call(capsys, "audit", tmp_path / "run", *QUICK)[0] == 0


def test_radii_that_are_too_large_are_found_out(run, tmp_path, capsys):
    """Radii that were multiplied by five: exit code 1, and a line that says what it may mean."""
    wrong = Path(shutil.copytree(run, tmp_path / "wrong"))
    table = pq.read_table(wrong / "results.parquet")
    position = table.schema.get_field_index("radius")
    larger = pa.array(5 * table["radius"].to_numpy(), type=table.schema.field("radius").type)
    pq.write_table(
        table.set_column(position, table.schema.field("radius"), larger), wrong / "results.parquet"
    )
    code, out, _ = call(capsys, "audit", wrong, *QUICK)
    assert code == 1
    assert "Inside a certified radius" in out


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (("--model", "mnist7_pca10"), "another classifier"),
        (("--data", "mnist7:train"), "other data"),
        (("--data", "swiss_roll"), "other data"),
        (("--max", "0"), "--max must be at least 1"),
        (("--out", "audit.pdf"), ".png or .svg"),
        (("--steps", "0"), "steps"),
    ],
)
def test_audit_refuses_what_is_not_of_the_run(changes, line, run, capsys):
    code, _, err = call(capsys, "audit", run, *changes)
    assert code == 2
    assert line in err
    assert err.count("\n") == 1


def test_audit_of_an_imported_log_says_what_is_missing(run, tmp_path, capsys):
    log, imported = tmp_path / "log.tsv", tmp_path / "imported"
    call(
        capsys,
        "recertify",
        run,
        "--method",
        "dipole",
        "--alpha",
        "0.001",
        "--out",
        tmp_path / "dipole",
    )
    call(capsys, "export", tmp_path / "dipole", "--out", log)
    options = (
        "--method",
        "dipole",
        "--sigma",
        "0.25",
        "--n",
        "2000",
        "--alpha",
        "0.001",
        "--out",
        imported,
    )
    assert call(capsys, "import-log", log, *options)[0] == 0
    code, _, err = call(capsys, "audit", imported)
    assert code == 2
    assert "--model and --data" in err
    code, _, err = call(capsys, "audit", imported, "--model", "mnist7", "--data", "mnist7")
    assert code == 2
    assert "does not record its classifier" in err


def test_doctor_of_the_installation(capsys):
    code, out, _ = call(capsys, "doctor")
    assert code == 0
    assert all(line.startswith(("ok ", "warning ")) for line in out.splitlines())


def test_doctor_of_a_bundled_classifier(capsys):
    code, out, _ = call(capsys, "doctor", "--model", "mnist7", "--sigma", "0.25", "--json")
    found = json.loads(out)
    assert (code, found["broken"]) == (0, False)
    by_name = {one["name"]: one["figures"] for one in found["findings"]}
    assert {"determinism", "batch invariance", "throughput"} <= set(by_name)
    p_estimates = by_name["distribution of p̂"]["p_estimates"]
    assert by_name["accuracy"]["accuracy"] == pytest.approx(sum(p_estimates) / len(p_estimates))
    assert 0.5 < by_name["accuracy"]["accuracy"] < by_name["accuracy"]["clean_accuracy"]


SOURCE = """
import torch

WEIGHTS = torch.linspace(-1, 1, 490).view(49, 10)

def batch_dependent(x):
    scores = x.flatten(1) @ WEIGHTS
    return scores - scores.mean(0) * len(x)

def random(x):
    return torch.randn(len(x), 10)

def fixed(x):
    return (x.flatten(1) @ WEIGHTS).argmax(1)
"""


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("batch_dependent", 1, "broken   batch invariance"),
        ("random", 1, "broken   determinism"),
        ("fixed", 0, "ok       batch invariance"),
    ],
)
def test_doctor_of_a_users_classifier(name, code, line, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(SOURCE)
    options = (
        "--model",
        f"{tmp_path / 'mine.py'}:{name}",
        "--data",
        "mnist7",
        "--sigma",
        "0.25",
        "--num-classes",
        "10",
    )
    found, out, _ = call(capsys, "doctor", *options)
    assert found == code
    assert line in out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--model", "mnist7"), "--sigma"),
        (("--model", "resnet20+x.safetensors", "--sigma", "0.25"), "--data"),
    ],
)
def test_doctor_asks_for_what_it_needs(options, line, capsys):
    code, _, err = call(capsys, "doctor", *options)
    assert code == 2
    assert line in err


CODE = """
import pathlib
import numpy as np
from sosmooth import load_classifier

pathlib.Path("MADE").touch()

def model():
    return load_classifier("mnist7", sigma=0.25)

def data():
    return np.zeros((4, 7, 7), dtype=np.float32), np.zeros(4, dtype=np.int64)
"""


@pytest.mark.parametrize("kind", ["model", "data"])
def test_code_that_a_run_names_is_not_run(tmp_path, monkeypatch, capsys, kind):
    """Somebody else's run could name any file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(CODE)
    options = [*SMALL]
    options[options.index(f"--{kind}") + 1] = f"own.py:{kind}"
    assert call(capsys, "certify", *options, "--out", "run")[0] == 0
    (tmp_path / "MADE").unlink()
    code, _, err = call(capsys, "audit", "run", *QUICK)
    assert code == 2
    assert f"if you trust it, give --{kind} own.py:{kind}" in err
    assert not (tmp_path / "MADE").exists()
    assert call(capsys, "audit", "run", *QUICK, f"--{kind}", f"own.py:{kind}")[0] == 0
    assert (tmp_path / "MADE").exists()


def test_no_radius_is_certified_where_nothing_is(tmp_path, capsys):
    """Ten samples certify nothing, so there is nothing to attack, and the program says so."""
    options = [*SMALL]
    options[options.index("--n") + 1] = "10"
    call(capsys, "certify", *options, "--out", tmp_path / "run")
    assert np.all(load_run(tmp_path / "run")["radius"] == 0)
    code, _, err = call(capsys, "audit", tmp_path / "run")
    assert code == 2
    assert "certifies no input" in err

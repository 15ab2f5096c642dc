"""The command line as a user meets it, on real data, in real processes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sosmooth import load_run
from sosmooth.cli import main
from sosmooth.cli._inputs import named_indices
from sosmooth.runs.writer import RunWriter
from sosmooth.sampling import lattice, noise

DEFAULTS = {
    "model": "mnist7",
    "data": "mnist7",
    "sigma": 0.25,
    "max": 4,
    "n": 2000,
    "batch-size": 500,
}


def small(**changes):
    """Options of a small certification, with some changes."""
    options = DEFAULTS | {name.replace("_", "-"): value for name, value in changes.items()}
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


SMALL = small()
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def sosmooth(*arguments, **options):
    command = [sys.executable, "-m", "sosmooth", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, **options
    )


def call(capsys, *arguments):
    """Exit code, standard output and standard error of a call in this process."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def result_columns(path):
    table = pq.read_table(Path(path) / "results.parquet")
    return table.drop_columns(["seconds"])


def test_certify_again_goes_on_and_changes_nothing(tmp_path, capsys):
    code, out, _ = call(capsys, "certify", *SMALL, "--out", tmp_path / "run", "--json")
    assert code == 0
    first = json.loads(out)
    assert (first["inputs"], first["complete"], first["method"]) == (4, True, "third_order_dipole")
    before = (tmp_path / "run" / "results.parquet").read_bytes()
    code, out, _ = call(capsys, "certify", *SMALL, "--out", tmp_path / "run", "--json")
    assert (code, json.loads(out)) == (0, first)
    assert (tmp_path / "run" / "results.parquet").read_bytes() == before
    assert call(capsys, "validate", tmp_path / "run")[0] == 0


def test_other_settings_are_refused_by_name(tmp_path, capsys):
    call(capsys, "certify", *SMALL, "--out", tmp_path / "run")
    code, _, err = call(
        capsys, "certify", *SMALL, "--alpha", "0.01", "--seed", "5", "--out", tmp_path / "run"
    )
    assert code == 2
    assert "alpha is 0.001 there and 0.01 here" in err
    assert "seed is 0 there and 5 here" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("no_figures")
def test_recertify_report_compare_export_import(tmp_path, capsys):
    run = tmp_path / "run"
    call(capsys, "certify", *small(method="dipole"), "--out", run)
    before = (run / "results.parquet").read_bytes()
    # At the run's alpha.
    assert (
        call(capsys, "recertify", run, "--method", "first_order", "--out", tmp_path / "first")[0]
        == 0
    )
    assert (run / "results.parquet").read_bytes() == before
    again = load_run(tmp_path / "first")
    assert set(again["n_used"]) == {1000}  # only one side of each pair is an independent sample
    code, out, _ = call(capsys, "compare", tmp_path / "first", run, "--json")
    assert code == 0
    assert sum(json.loads(out)["relative_change"].values()) <= 4
    assert (
        call(capsys, "report", tmp_path / "first", run, "--out", tmp_path / "report.html")[0] == 0
    )
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert call(capsys, "export", run, "--out", tmp_path / "log.tsv")[0] == 0
    code, _, _ = call(
        capsys,
        *("import-log", tmp_path / "log.tsv", "--method", "dipole", "--sigma", "0.25"),
        *("--n", "2000", "--alpha", "0.001", "--out", tmp_path / "imported"),
    )
    assert code == 0
    imported = load_run(tmp_path / "imported")
    assert np.all(imported["radius"] <= load_run(run)["radius"])
    np.testing.assert_allclose(imported["radius"], load_run(run)["radius"], atol=1e-6)


def test_one_run_serves_every_method_of_pairs(tmp_path, capsys):
    run = tmp_path / "run"
    call(capsys, "certify", *SMALL, "--out", run)
    radii = {"third_order_dipole": load_run(run)["radius"]}
    for method in (
        "dipole",
        "dipole_joint",
        "second_order_pairs",
        "second_order_dipole",
        "first_order",
    ):
        assert (
            call(
                capsys,
                "recertify",
                run,
                "--method",
                method,
                "--alpha",
                "0.001",
                "--out",
                tmp_path / method,
            )[0]
            == 0
        )
        direct = tmp_path / f"direct-{method}"
        if method != "first_order":  # called directly it draws independent samples
            call(capsys, "certify", *small(method=method), "--out", direct)
            np.testing.assert_allclose(
                load_run(direct)["radius"], load_run(tmp_path / method)["radius"], rtol=1e-12
            )
        radii[method] = load_run(tmp_path / method)["radius"]
    assert np.all(radii["second_order_dipole"] >= 0.99 * radii["dipole"])
    code, _, err = call(
        capsys,
        "recertify",
        tmp_path / "direct-dipole",
        "--method",
        "second_order_dipole",
        "--alpha",
        "0.01",
        "--out",
        tmp_path / "no",
    )
    assert code == 2
    assert "it lacks direction_pairs" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["certify", *small(method="third_order")], "unknown method 'third_order'"),
        (["certify", *small(alpha=2)], "alpha must be a failure probability in (0, 1); got 2.0"),
        (["certify", *small(n=2001)], "n must be even for third_order_dipole"),
        (["certify", *small(n=0)], "n must be"),
        (["certify", *small(n0=0)], "n0 must be"),
        (["certify", *small(sigma=-1)], "sigma"),
        (["certify", *small(indices=10000)], "there is no input 10000"),
        (["certify", *small(indices="a")], "--indices must be"),
        (["certify", *small(device="abacus")], "abacus"),
        (["certify", *small(data="nothing.npz")], "nothing.npz"),
        (["certify", *small(model="nothing.safetensors")], "nothing.safetensors"),
        (["certify", "--model", "mnist7"], "--data"),
        (["recertify", "no-such-run", "--method", "dipole", "--alpha", "0.1"], "no-such-run"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_calls_get_one_line_and_exit_code_2(tmp_path, capsys, arguments, said):
    out = [] if arguments == ["frobnicate"] else ["--out", tmp_path / "run"]
    code, printed, err = call(capsys, *arguments, *out)
    assert code == 2
    assert printed == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run" / "results.parquet").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("certify", "what was certified is stored; run the same command again to resume"),
        ("predict", "nothing is stored; run the same command again to start over"),
        ("report", "run the same command again to start over"),
    ],
)
def test_an_interruption_says_what_is_stored(capsys, monkeypatch, command, says):
    def interrupted(words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sosmooth.cli._app.app", interrupted)
    assert call(capsys, command) == (130, "", f"sosmooth: interrupted; {says}\n")


def test_what_an_interrupted_run_holds_is_said_then_and_later(tmp_path, capsys, monkeypatch):
    certify, add = ("certify", *SMALL, "--out", tmp_path / "run"), RunWriter.add

    def interrupted(writer, *arguments, **options):
        if len(writer.done) == 3:
            raise KeyboardInterrupt
        add(writer, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "add", interrupted)
        code, _, err = call(capsys, *certify)
    stored = f"3 of 4 inputs are stored in {tmp_path / 'run'}"
    assert (code, err) == (
        130,
        f"sosmooth: interrupted; {stored}; run the same command again to resume\n",
    )
    assert "sosmooth: 3 of 4 inputs are stored, continuing\n" in call(capsys, *certify)[2]
    assert "4 of 4 inputs are stored, nothing is left to do" in call(capsys, *certify)[2]


def test_an_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    code, _, err = call(capsys, "certify", *SMALL, "--out", tmp_path / "file" / "run")
    assert (code, err.count("\n")) == (2, 1)


CLASSIFIERS = '''
import torch

def fragile():
    """NaN for every copy of an input whose mean is above 0.2."""
    def scores(x):
        out = torch.zeros(len(x), 3)
        out[:, 1] = torch.where(x.flatten(1).mean(1) > 0.2, torch.nan, 1.0)
        return out
    return scores

def raising():
    def scores(x):
        raise RuntimeError("out of ideas")
    return scores

def half():
    """Of another precision than the data, and in training mode, in which one input is no batch."""
    return torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3)).bfloat16().train()

def dropout():
    return lambda x: torch.nn.functional.dropout(torch.ones(len(x), 3) + x[:, :3])

def labels():
    return lambda x: (x.flatten(1)[:, 0] > 0.5).long()
'''


@pytest.fixture
def own(tmp_path):
    """A user's own classifier file and data."""
    (tmp_path / "own.py").write_text(CLASSIFIERS)
    inputs = np.full((3, 5), 0.1, dtype=np.float32)
    inputs[1] = 0.9
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=np.array([1, 1, 1]))
    return tmp_path


def own_call(own, name, *more):
    return [
        *("certify", "--model", f"{own / 'own.py'}:{name}", "--data", own / "data.npz"),
        *("--sigma", "0.01", "--n", "200", "--out", own / "run", *more),
    ]


def test_an_input_that_fails_leaves_the_others_certified(own, capsys):
    code, _, err = call(capsys, *own_call(own, "fragile"))
    assert code == 1
    assert "input 1: the classifier returned NaN" in err
    run = load_run(own / "run")
    assert run["index"].tolist() == [0, 2]
    assert not run.complete


def test_a_classifier_that_raises(own, capsys):
    code, _, err = call(capsys, *own_call(own, "raising"))
    assert (code, err.count("\n")) == (1, 1)
    assert "out of ideas" in err


def test_a_classifier_of_labels_needs_the_number_of_classes(own, capsys):
    code, _, err = call(capsys, *own_call(own, "labels"))
    assert code == 2
    assert "--num-classes" in err
    assert call(capsys, *own_call(own, "labels", "--num-classes", "2"))[0] == 0


def test_the_number_of_classes_is_asked_for_as_the_classifier_is_certified(own, capsys):
    assert call(capsys, *own_call(own, "half"))[0] == 0
    assert load_run(own / "run").manifest.num_classes == 3


@pytest.mark.parametrize("workers", [(), pytest.param(("--workers", "1"), marks=pytest.mark.slow)])
def test_a_random_classifier_is_no_run(own, capsys, workers):
    code, _, err = call(capsys, *own_call(own, "dropout", *workers))
    assert code == 1
    assert "it is not a fixed function" in err
    assert len(load_run(own / "run")) == 0


@pytest.mark.parametrize("n", ["2e2", "200.0", "+200"])
def test_a_whole_number_in_any_way_of_writing_it(own, capsys, n):
    assert call(capsys, *own_call(own, "half"), "--n", n)[0] == 2  # once is enough
    arguments = [n if word == "200" else word for word in own_call(own, "half", "--skip", "1e0")]
    assert call(capsys, *arguments)[0] == 0
    assert load_run(own / "run")["n"].tolist() == [200] * 3


def test_whole_numbers_among_the_indices():
    assert named_indices(10_000, "0:1e4:2.5e3, 7", 1) == [0, 2500, 5000, 7500, 7]


@pytest.mark.parametrize("n", ["200.5", "1e400", "nan", "many", ""])
def test_what_is_no_whole_number(own, capsys, n):
    arguments = [n if word == "200" else word for word in own_call(own, "half")]
    code, _, err = call(capsys, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert f"--n: it must be a whole number, as 100000 or 1e5; got {n!r}" in err


def test_labels_that_the_classifier_does_not_have(own, capsys):
    np.savez(own / "data.npz", inputs=np.zeros((2, 5), dtype=np.float32), labels=np.array([1, 7]))
    code, _, err = call(capsys, *own_call(own, "fragile"))
    assert code == 2
    assert "the label of input 1 is 7, but the classifier has 3 classes" in err


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    for more, share in (({}, 0), ({"curvature": "on"}, 1), ({"method": "first_order"}, None)):
        asked = small(out=tmp_path / "run", **more)
        code, out, _ = call(capsys, "certify", *asked, "--dry-run", "--json")
        assert code == 0
        found = json.loads(out)
        assert found["evaluations"] == 4 * (2000 + 100)
        assert found.get("curvature_drawn") == share
    assert not (tmp_path / "run").exists()


def test_predict_and_methods(capsys):
    code, out, _ = call(capsys, "predict", *SMALL[:6], "--indices", "0:4", "--n", "1000", "--json")
    assert code == 0
    assert [row["prediction"] for row in json.loads(out)] == [7, 2, 1, 0]
    assert "first_order" in call(capsys, "methods")[1]


def test_help_names_every_command_and_is_quick_to_import():
    done = sosmooth("--help")
    assert done.returncode == 0
    for command in (
        "demo",
        "certify",
        "recertify",
        "report",
        "compare",
        "export",
        "import-log",
        "validate",
        "predict",
        "train",
        "download",
        "reproduce",
    ):
        assert command in done.stdout


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path):
    """`kill -9` three times in the middle changes nothing in the finished run except times."""
    arguments = [
        *("certify", "--model", "mnist7", "--data", "mnist7", "--sigma", "0.25"),
        *("--indices", "0:10000:50", "--n", "4000", "--batch-size", "1000"),
    ]
    assert sosmooth(*arguments, "--out", tmp_path / "undisturbed").returncode == 0
    run, rng = tmp_path / "killed", random.Random(0)
    for target in (10, 60, 120):
        process = subprocess.Popen(
            [sys.executable, "-m", "sosmooth", *arguments, "--out", run],
            env=ENVIRONMENT,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if (run / "manifest.json").exists() and len(load_run(run)) >= target:
                break
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.05))
        assert process.poll() is None, "it was done before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert target <= len(load_run(run)) < 200
    assert sosmooth(*arguments, "--out", run).returncode == 0
    assert result_columns(run).equals(result_columns(tmp_path / "undisturbed"))


@pytest.mark.slow
def test_a_second_writer_is_refused(tmp_path):
    arguments = ["certify", *small(n=4000000), "--out", tmp_path / "run"]
    first = subprocess.Popen(
        [sys.executable, "-m", "sosmooth", *map(str, arguments)],
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "run" / "manifest.json").exists():
            assert first.poll() is None
            time.sleep(0.05)
        second = sosmooth(*arguments)
        assert second.returncode == 2
        assert second.stderr.count("\n") == 1
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=30) == 130


@pytest.mark.parametrize("rule", [("--radius", "0.25"), ("--tolerance", "0.05")])
def test_a_run_that_stops_when_it_is_decided(rule, tmp_path, capsys):
    run = tmp_path / "run"
    call_ = ("certify", *small(max=12, n=8000), *rule, "--out", run, "--json")
    code, out, _ = call(capsys, *call_)
    found = json.loads(out)
    assert (code, found["complete"], found["inputs"]) == (0, True, 12)
    assert found["mean_n"] < found["n"] <= 8000
    before = (run / "results.parquet").read_bytes()
    assert call(capsys, *call_)[0] == 0
    assert (run / "results.parquet").read_bytes() == before
    assert call(capsys, "validate", run)[0] == 0
    code, _, err = call(capsys, "certify", *small(max=12, n=8000), "--out", run)
    assert code == 2
    assert rule[0].removeprefix("--") in err
    code, _, err = call(
        capsys,
        "recertify",
        run,
        "--method",
        "first_order",
        "--alpha",
        "0.001",
        "--out",
        tmp_path / "other",
    )
    assert code != 0
    assert "cannot answer another" in err


def test_plan_from_a_pilot(tmp_path, capsys):
    run = tmp_path / "run"
    call(capsys, "certify", *SMALL, "--out", run)
    code, out, _ = call(capsys, "plan", run, "--radius", "0.2", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["samples"]) == 4
    assert found["table"][-1]["inputs"] == sum(one["n"] is not None for one in found["samples"])
    code, out, _ = call(capsys, "plan", run, "--n", "64000", "--json")
    rows = json.loads(out)["table"]
    assert [row["n"] for row in rows] == [2000, 4000, 8000, 16000, 32000, 64000]
    assert rows[-1]["mean_radius"] > rows[0]["mean_radius"]
    assert len(call(capsys, "plan", run, "--n", "64000")[1].splitlines()) == 7
    for wrong in (
        (),
        ("--n", "10", "--radius", "0.1"),
        ("--radius", "-1"),
        ("--n", "1"),
        ("--n", "100", "--alpha", "2"),
    ):
        code, _, err = call(capsys, "plan", run, *wrong)
        assert (code, err.count("\n")) == (2, 1)


def test_exact_noise_is_asked_for_with_one_word_and_kept_by_all_that_follows(tmp_path, capsys):
    run = tmp_path / "run"
    assert call(capsys, "certify", *small(method="dipole"), "--exact", "--out", run)[0] == 0
    settings = load_run(run).manifest.settings
    assert (settings["lattice"], settings["noise"]) == (1 / 4080, "lattice-3")
    code, _, err = call(capsys, "certify", *small(method="dipole"), "--out", run)
    assert code == 2
    assert "lattice is 0.000245" in err
    assert call(capsys, "validate", run)[0] == 0
    call(
        capsys,
        "recertify",
        run,
        "--method",
        "dipole_joint",
        "--alpha",
        "0.01",
        "--out",
        tmp_path / "again",
    )
    assert load_run(tmp_path / "again").manifest.settings["lattice"] == 1 / 4080
    code, out, _ = call(capsys, "predict", *small(n=200), "--exact", "--json")
    assert code == 0
    assert [row["prediction"] for row in json.loads(out)] == load_run(run)["selected"].tolist()


@pytest.mark.parametrize(
    ("module", "older", "exact"), [(noise, "philox-1", ()), (lattice, "lattice-2", ("--exact",))]
)
def test_a_run_of_an_older_noise_stays_readable_and_is_not_resumed(
    tmp_path, capsys, monkeypatch, module, older, exact
):
    run = tmp_path / "run"
    certify = ("certify", *small(method="dipole"), *exact, "--out", run)
    with monkeypatch.context() as before:
        before.setattr(module, "SCHEME", older)
        assert call(capsys, *certify)[0] == 0
    rows = result_columns(run)
    code, _, err = call(capsys, *certify)
    assert code == 2
    assert f"noise is '{older}' there" in err
    assert result_columns(run).equals(rows)
    assert load_run(run).manifest.settings["noise"] == older
    assert call(capsys, "validate", run)[0] == 0
    again = tmp_path / "again"
    assert call(capsys, "recertify", run, "--method", "dipole_joint", "--out", again)[0] == 0
    assert len(load_run(again).certificates()) == len(rows)


def test_exact_noise_needs_data_that_say_their_lattice(tmp_path, capsys):
    code, _, err = call(
        capsys,
        "certify",
        *small(data="swiss_roll", model="swiss_roll", sigma=0.5),
        "--exact",
        "--out",
        tmp_path,
    )
    assert code == 2
    assert "does not say which lattice its inputs are on" in err
    assert err.count("\n") == 1
    pixels = np.random.default_rng(0).integers(0, 256, (4, 7, 7))
    np.savez(
        tmp_path / "said.npz", inputs=pixels.astype(np.float32) / np.float32(255), lattice=1 / 255
    )
    np.savez(tmp_path / "wrong.npz", inputs=pixels / 256 + 0.001, lattice=1 / 255)
    assert call(capsys, "predict", *small(data=tmp_path / "said.npz", n=100), "--exact")[0] == 0
    code, _, err = call(capsys, "predict", *small(data=tmp_path / "wrong.npz", n=100), "--exact")
    assert code == 2
    assert "input 0 of the batch has" in err

"""What people see on a terminal of 80 columns, and what programs read instead."""

import json
import sys

import pytest

from sosmooth import load_run
from sosmooth.cli import main

METHODS = ("first_order", "second_order_dipole", "dipole", "dipole_joint")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of each method."""
    folder = tmp_path_factory.mktemp("runs")
    for method in METHODS[:2]:
        line = "certify --model mnist7 --data mnist7 --sigma 0.25 --indices 0:3 --n 400 --json"
        assert main([*line.split(), "--method", method, "--out", str(folder / method)]) == 0
    for method in METHODS[2:]:
        line = f"recertify {folder}/second_order_dipole --method {method} --json"
        assert main([*line.split(), "--out", str(folder / method)]) == 0
    return folder


@pytest.fixture
def seen(monkeypatch, capsys):
    """What a person sees of a call, on a terminal of 80 columns without colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")

    def see(function, *arguments, **options):
        capsys.readouterr()
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        function(*arguments, **options)
        return capsys.readouterr().out

    return see


def shown(capsys, line):
    """What a program reads of a command."""
    capsys.readouterr()
    assert main(line.split()) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "compare {runs}/first_order {runs}/second_order_dipole",
        "plan {runs}/second_order_dipole --n 4000",
        "plan {runs}/second_order_dipole --radius 0.2",
        "predict --model mnist7 --data mnist7 --sigma 0.25 --n 100 --max 3",
        "audit {runs}/second_order_dipole --max 1 --steps 2 --samples 4 --judge-n 100 --look-n 100",
        "methods",
    ],
)
def test_it_fits_and_has_no_machine_names(runs, seen, line):
    out = seen(main, line.format(runs=runs).split())
    lines = [line.replace(str(runs), "") for line in out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert "\t" not in out
    for name in ("_only", "inc_", "dec_", "antithetic", "disjoint_pairs", "prediction", ".md"):
        assert name not in out


@pytest.mark.parametrize(
    ("line", "titles"),
    [
        ("plan {runs}/second_order_dipole --n 4000", "n certified mean_radius"),
        ("plan {runs}/second_order_dipole --radius 0.2", "n inputs share"),
        (
            "predict --model mnist7 --data mnist7 --sigma 0.25 --n 100 --max 3",
            "index prediction label",
        ),
        ("methods", "method design classes source"),
    ],
)
def test_other_programs_get_tabs_and_machine_names(runs, capsys, line, titles):
    first, *rows = shown(capsys, line.format(runs=runs)).splitlines()
    assert first.split("\t") == titles.split()
    assert {len(row.split("\t")) for row in rows} == {len(titles.split())}


def test_four_runs_are_one_row_each(runs, seen):
    from sosmooth.cli._summary import print_runs

    lines = seen(print_runs, [load_run(runs / method) for method in METHODS]).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("second_order_dipole certifies 3 of 3 inputs")
    assert [line.split()[0] for line in lines if line.endswith(" s")] == list(METHODS)
    assert not any(line.startswith("method") for line in lines)
    assert "the same for all: sigma 0.25, n 400, alpha 0.001, inputs 3" in lines
    assert "compared with: one half; each other class for second_order_dipole" in lines


def test_what_two_runs_share_is_said_once(runs, seen):
    out = seen(main, ["compare", f"{runs}/first_order", f"{runs}/dipole"])
    assert "the same for all: compared with one half, sigma 0.25" in out
    assert out.count("alpha") == 1


def test_the_radii_of_certified_accuracy_can_be_chosen(runs, capsys):
    line = f"recertify {runs}/second_order_dipole --method first_order --radii 1,0.10,0"
    out = shown(capsys, f"{line} --out {runs}/again")
    found = [line.split()[3] for line in out.splitlines() if line.startswith("certified accuracy")]
    assert found == ["0", "0.1", "1"]
    line = f"compare {runs}/first_order {runs}/again --radii 0.1,1 --json"
    found = json.loads(shown(capsys, line))
    assert [row["at"] for row in found["paired_differences"]["certified_accuracy"]] == [0, 0.1, 1]
    at = found["runs"][1]["at_radii"]
    assert [row["radius"] for row in at] == [0.1, 1]
    assert at[0]["certified_accuracy"] == at[0]["certified_fraction"] > at[1]["certified_accuracy"]


@pytest.mark.parametrize("radii", ["", "a", "0.1;0.2", "-1", "nan", "inf"])
def test_what_is_no_list_of_radii(runs, capsys, radii):
    code = main(["compare", f"{runs}/dipole", f"{runs}/first_order", f"--radii={radii}"])
    captured = capsys.readouterr()
    assert (code, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert "like 0.25,0.5,1" in captured.err


def test_a_run_that_stops_early_says_how_many_samples_it_took(tmp_path, capsys):
    line = (
        f"certify --model mnist7 --data mnist7 --sigma 0.25 --max 3 --n 40000 --radius 0.1"
        f" --batch-size 1000 --out {tmp_path}/run"
    )
    assert "on average, at most" in shown(capsys, line)

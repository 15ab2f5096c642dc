"""`--classes top|all` in every command, with stopping, exact noise and workers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sosmooth import load_run, validate_run
from sosmooth.cli import main
from sosmooth.request import Request

MNIST = ["--model", "mnist7", "--data", "mnist7", "--sigma", "0.5", "--batch-size", "1000"]
SOME = [*MNIST, "--indices", "0:6", "--n", "2000", "--n0", "40"]


def call(capsys, *words):
    """Exit code, standard output and standard error of a call in this process."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of six images: `all` and `top` of the default method, `default`, `first` order."""
    found = tmp_path_factory.mktemp("classes")
    for name, more in {
        "all": ["--classes", "all"],
        "top": ["--classes", "top"],
        "default": [],
        "first": ["--method", "first_order"],
    }.items():
        assert main(["certify", *SOME, *more, "--out", str(found / name)]) == 0
    return found


def rows(path):
    """The table without the times."""
    return load_run(path).table.drop_columns(["seconds"])


def test_the_default_is_the_methods(folder):
    assert rows(folder / "default").equals(rows(folder / "all"))
    settings = {name: load_run(folder / name).manifest.settings for name in ("default", "first")}
    assert (settings["default"]["classes"], settings["first"]["classes"]) == ("all", "top")
    every, top = load_run(folder / "all"), load_run(folder / "top")
    assert np.sum(every["radius"] > 0) > np.sum(top["radius"] > 0)
    assert validate_run(folder / "all") == validate_run(folder / "top") == []


@pytest.mark.parametrize(("source", "classes"), [("top", "all"), ("all", "top"), ("first", "all")])
def test_certified_again(folder, capsys, source, classes):
    out, method = folder / f"{source} to {classes}", load_run(folder / source)["method"][0]
    code, printed, _ = call(
        capsys,
        *("recertify", folder / source, "--method", method, "--classes", classes),
        *("--out", out, "--json"),
    )
    assert code == 0
    assert json.loads(printed)["classes"] == classes
    assert validate_run(out) == []
    if source != "first":
        assert rows(out).equals(rows(folder / classes))


def test_another_comparison_is_another_run(folder, capsys):
    before = rows(folder / "all")
    code, _, err = call(capsys, "certify", *SOME, "--classes", "top", "--out", folder / "all")
    assert code == 2
    assert "classes is 'all' there and 'top' here" in err
    assert "(recertify) with the other classes needs no samples" in err
    assert rows(folder / "all").equals(before)


def test_a_request_keeps_what_was_asked_for():
    """Another method of the same request has its own default."""
    request = Request("first_order")
    assert request.compared == "top"
    assert replace(request, method="second_order_dipole").compared == "all"
    assert replace(Request(classes="top"), n=10).compared == "top"


def test_what_is_no_comparison_is_refused(folder, capsys):
    code, _, err = call(capsys, "certify", *SOME, "--classes", "each", "--out", folder / "none")
    assert code == 2
    assert "top" in err
    assert "all" in err


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(["--workers", "2"], marks=pytest.mark.slow),
        ["--exact"],
        pytest.param(["--exact", "--workers", "2"], marks=pytest.mark.slow),
    ],
)
def test_workers_and_exact_noise(folder, capsys, engine):
    out = folder / "_".join(engine)
    assert call(capsys, "certify", *SOME, *engine, "--out", out)[0] == 0
    assert validate_run(out) == []
    run = load_run(out)
    assert run.manifest.settings["classes"] == "all"
    if "--exact" not in engine:
        assert rows(out).equals(rows(folder / "all"))
    top = load_run(folder / "top")
    assert np.sum(run["radius"] > 0) > np.sum(top["radius"] > 0)


@pytest.mark.parametrize("rule", [["--radius", "0.2"], ["--tolerance", "0.2"]])
def test_rules_that_stop_the_drawing(folder, capsys, rule):
    found = {}
    for classes in ("top", "all"):
        out = folder / f"{rule[0]} {classes}"
        assert call(capsys, "certify", *SOME, *rule, "--classes", classes, "--out", out)[0] == 0
        assert validate_run(out) == []
        found[classes] = load_run(out)
        assert found[classes].certificates().classes == classes
    assert np.sum(found["all"]["radius"] > 0) > np.sum(found["top"]["radius"] > 0)
    assert np.min(found["all"]["n"]) < 2000


@pytest.mark.usefixtures("no_figures")
def test_plan_report_and_a_dry_run(folder, capsys):
    planned = {}
    for classes in ("top", "all"):
        code, printed, _ = call(
            capsys, "plan", folder / "all", "--n", 20000, "--classes", classes, "--json"
        )
        assert code == 0
        planned[classes] = json.loads(printed)
        assert planned[classes]["classes"] == classes
    first = {classes: found["table"][0]["mean_radius"] for classes, found in planned.items()}
    for classes in ("top", "all"):
        assert first[classes] == pytest.approx(load_run(folder / classes)["radius"].mean())
    code, printed, _ = call(
        capsys, "certify", *SOME, "--dry-run", "--json", "--out", folder / "nothing"
    )
    assert json.loads(printed)["classes"] == "all"
    page = folder / "report.html"
    assert call(capsys, "report", folder / "all", folder / "first", "--out", page)[0] == 0
    text = page.read_text(encoding="utf-8")
    assert "against one half, and against each other class" in text
    assert '"limit":[' in text


def test_export_and_compare(folder, capsys):
    code, printed, _ = call(capsys, "export", folder / "all", "--format", "tsv")
    assert code == 0
    assert len(printed.splitlines()) == 7
    method = ["--method", "first_order"]
    every = folder / "first, all"
    assert (
        call(capsys, "recertify", folder / "first", *method, "--classes", "all", "--out", every)[0]
        == 0
    )
    log = folder / "first.tsv"
    assert call(capsys, "export", every, "--out", log)[0] == 0
    # The radii do not follow from the counts of one class, so the log has no counts.
    assert log.read_text().splitlines()[0].split("\t") == [
        "idx", "label", "predict", "radius", "correct", "time",
    ]  # fmt: skip
    asked = ["--sigma", "0.5", "--n", "2000", "--n0", "40", "--alpha", "0.001"]
    back = folder / "imported"
    assert call(capsys, "import-log", log, *method, *asked, "--out", back)[0] == 0
    found = load_run(back)["radius"]
    assert np.all((found <= load_run(every)["radius"]) & (found > load_run(every)["radius"] - 1e-6))
    code, printed, _ = call(capsys, "compare", folder / "top", folder / "all", "--json")
    assert code == 0
    assert [run["classes"] for run in json.loads(printed)["runs"]] == ["top", "all"]

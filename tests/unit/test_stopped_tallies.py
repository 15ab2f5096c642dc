"""Counts at which a rule stopped have no fixed n: all code that takes n as fixed refuses them."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sosmooth import (
    METHODS,
    SmoothedClassifier,
    export_tsv,
    import_log,
    load_run,
    recertify,
    validate_run,
)
from sosmooth.cli import main
from sosmooth.confidence.proportion import proportion_lower_bound
from sosmooth.methods import certify_tally
from sosmooth.planning import expected_radius, samples_for_radius
from sosmooth.results import Certificates
from sosmooth.runs import RunError, RunWriter
from sosmooth.stopping import RobustAt, WithinTolerance
from sosmooth.tally import Design, Tally

SIGMA, N, ALPHA = 0.5, 1500, 0.05
RULES = {
    "radius": RobustAt(0.4, "first_order", N, SIGMA, ALPHA),
    "tolerance": WithinTolerance(0.1, "first_order", N, SIGMA, ALPHA),
}


def half_space(x):
    return (x[:, 0] >= 1).long()


def smoothed() -> SmoothedClassifier:
    return SmoothedClassifier(half_space, sigma=SIGMA, num_classes=2, batch_size=512)


INPUTS = np.array([[0.0, 0.0], [0.9, 3.0], [2.0, 0.0]], dtype=np.float32)


def stopped(rule: str, method: str = "first_order") -> Certificates:
    asked = {rule: getattr(RULES[rule], rule)}
    return smoothed().certify(INPUTS, method=method, n=N, alpha=ALPHA, **asked)


def arguments(found: Certificates) -> dict:
    return {
        "selected": found.selected,
        "selection_margin": found.selection_margin,
        "index": found.input_index,
        "n0": 100,
        "seed": 0,
    }


def run_of(found: Certificates, folder, **asked):
    settings = {"method": found.method, "sigma": SIGMA, "n": N, "n0": 100, "alpha": ALPHA}
    with RunWriter.open(
        folder, settings=settings | {"seed": 0} | asked, indices=found.input_index.tolist()
    ) as writer:
        writer.add(found, np.zeros(len(found), int), np.ones(len(found)))
        return writer.finish()


def too_large(p: float) -> float:
    """The exact probability that the bound for a fixed n, at the n of the stop, lies above p."""
    rule = RULES["radius"]
    law, before, wrong = np.ones(1), 0, 0.0
    for n in rule.looks():
        law = np.convolve(law, stats.binom.pmf(np.arange(n - before + 1), n - before, p))
        before, count = n, np.arange(n + 1)
        tally = Tally(Design.INDEPENDENT, np.full(n + 1, n), count_top=count)
        stops = rule.stopped(tally) if n < rule.n else np.ones(n + 1, dtype=bool)
        wrong += float(np.sum(law[stops & (proportion_lower_bound(count, n, ALPHA) > p)]))
        law = np.where(stops, 0.0, law)
    return wrong


def test_bounds_for_a_fixed_n_would_fail_more_often_than_alpha():
    distance = RULES["radius"].radius / SIGMA
    assert max(too_large(p) for p in stats.norm.cdf(distance + np.array([-0.05, 0, 0.05]))) > (
        1.5 * ALPHA
    )


@pytest.mark.parametrize("rule", RULES)
def test_python_refuses_them(rule):
    found = stopped(rule)
    assert found.tally.stopped_by == repr(RULES[rule])
    assert found.tally[:1].stopped_by == found[:1].tally.stopped_by == found.tally.stopped_by
    refusals = [
        lambda: certify_tally(
            "first_order", found.tally, **arguments(found), sigma=SIGMA, alpha=ALPHA
        ),
        lambda: METHODS["first_order"].certify(found.tally, ALPHA, SIGMA),
        lambda: METHODS["first_order"].theorem.certify(found.tally, ALPHA, SIGMA),
        lambda: expected_radius("first_order", found.tally, 9000, alpha=ALPHA, sigma=SIGMA),
        lambda: samples_for_radius("first_order", found.tally, 0.3, alpha=ALPHA, sigma=SIGMA),
    ]
    for refused in refusals:
        with pytest.raises(ValueError, match="bounds for a fixed number of samples do not hold"):
            refused()


@pytest.mark.parametrize("method", [name for name in METHODS if "second_order" not in name])
def test_every_method_refuses_what_another_rule_of_its_design_stopped(method):
    found = stopped("radius", method)
    for row in METHODS.values():
        if row.design is METHODS[method].design:
            with pytest.raises((ValueError, LookupError)):
                row.certify(found.tally, ALPHA, SIGMA)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_certifies_its_own_counts_again_and_no_others(rule):
    found = stopped(rule)
    again = RULES[rule].certify(found.tally, **arguments(found))
    assert again.radius.tolist() == found.radius.tolist()
    other = replace(RULES[rule], alpha=0.01)
    with pytest.raises(ValueError, match="cannot use them"):
        other.certify(found.tally, **arguments(found))


def test_samples_that_are_drawn_one_by_one_are_marked_too():
    for one in smoothed().sample(
        INPUTS, method="dipole", n0=100, n=N, alpha=ALPHA, seed=0, radius=0.4
    ):
        assert one.tally.stopped_by.startswith("RobustAt(radius=0.4, method='dipole'")


@pytest.mark.parametrize("rule", RULES)
def test_stored_runs_refuse_them_and_their_logs_hold_no_counts(tmp_path, capsys, rule):
    found = stopped(rule)
    run = run_of(found, tmp_path / "run", **{rule: getattr(RULES[rule], rule)})
    assert load_run(tmp_path / "run").certificates().tally.stopped_by == repr(RULES[rule])
    assert validate_run(tmp_path / "run") == []
    with pytest.raises(RunError, match="stopped drawing"):
        recertify(tmp_path / "run", tmp_path / "again", method="first_order")
    for asked in (["--n", "9000"], ["--radius", "0.3"]):
        assert main(["plan", str(tmp_path / "run"), *asked]) == 2
        assert "bounds for a fixed number of samples" in capsys.readouterr().err
    out = io.StringIO()
    export_tsv(run, out)
    header, *rows = (line.split("\t") for line in out.getvalue().splitlines())
    assert header == ["idx", "label", "predict", "radius", "stopped_by", "correct", "time"]
    assert [row[4] for row in rows] == [repr(RULES[rule])] * 3
    (tmp_path / "log").write_text(out.getvalue())
    settings = {"method": "first_order", "sigma": SIGMA, "n": N, "alpha": ALPHA}
    back = import_log(tmp_path / "log", tmp_path / "back", **settings)
    assert np.all(back["radius"] <= run["radius"])
    with pytest.raises(RunError, match="radii but no counts"):
        recertify(tmp_path / "back", tmp_path / "again", method="first_order")


def test_a_run_whose_rule_there_is_not_is_one_line(tmp_path):
    run_of(stopped("radius"), tmp_path / "run", radius=0.4)
    path = tmp_path / "run" / "manifest.json"
    for radius in ("much", -1, [1], 1e9):
        manifest = json.loads(path.read_text())
        manifest["settings"]["radius"] = radius
        path.write_text(json.dumps(manifest))
        with pytest.raises(RunError, match=r"name no stopping rule|contradicts itself") as refusal:
            load_run(tmp_path / "run").certificates()
        assert "\n" not in str(refusal.value)

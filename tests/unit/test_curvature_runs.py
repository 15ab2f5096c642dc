"""Whether curvature is drawn is decided beforehand; runs store what was, and give it back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest

from sosmooth import METHODS, SmoothedClassifier, load_run, recertify, validate_run
from sosmooth.confidence.curvature_plan import (
    CURVATURE_SHARE,
    MOST_FEATURES,
    MOST_PAIRS,
    planned_curvature,
)
from sosmooth.methods import DEFAULT_METHOD
from sosmooth.report.payload import _regions
from sosmooth.request import Request
from sosmooth.runs import RunWriter
from sosmooth.runs.manifest import differences
from sosmooth.sampling.selection import Selection
from sosmooth.tally import CURVATURE_CENTER_STEP, concatenate

FIELDS = ("curvature_center", "curvature_eigenvalues", "curvature_squares", "curvature_share")
INPUTS = np.array([[0.3, 0.1, 0.0], [0.9, 0.2, 0.0], [9.0, 0.0, 0.0]], dtype=np.float32)


@pytest.fixture(autouse=True)
def with_curvature(monkeypatch):
    """A method that draws the curvature and does not use it."""
    drawing = replace(METHODS["second_order_dipole"], curvature=True)
    monkeypatch.setitem(METHODS, "with_curvature", drawing)
    return "with_curvature"


def sides(x):
    return (x[:, 0] + 0.3 * x[:, 1].square() < 0.0).long()


def smoothed():
    return SmoothedClassifier(sides, sigma=0.5, num_classes=2, batch_size=4096, device="cpu")


@cache
def certified(**more):
    return smoothed().certify(INPUTS, **{"method": "with_curvature", "n": 20_000} | more)


def test_the_plan_depends_on_votes_dimension_and_samples():
    drawn = planned_curvature(20, 100, 100_000, 49, 0.001)
    assert drawn.alpha_share == CURVATURE_SHARE
    assert drawn.center == 7 * CURVATURE_CENTER_STEP  # near 0.2
    assert planned_curvature(0, 100, 100_000, 49, 0.001).center == 0.0
    # Noise alone may exceed the curvature, but not the slope: images of CIFAR-10.
    for wrong in (35, 9):
        assert planned_curvature(wrong, 100, 100_000, 3072, 0.001).alpha_share == CURVATURE_SHARE
    nothing = [
        (20, 100, 100_000, 49, 0.001, "off"),
        (20, 100, 1000, 49, 0.001),  # the slack is too large
        (20, 100, 100_000, 49_000, 0.001),
        (20, 100, 20_000, 3072, 0.001),  # the eigenvalues of the noise are too large
        (5, 100, 20_000, 3072, 0.001),
        (50, 100, 100_000, 49, 0.001),  # there is no curvature to be found
        (0, 100_000, 100_000, 49, 0.001),  # practically certain
        (20, 100, 100_000, MOST_FEATURES + 1, 0.001, "on"),
        (20, 100, 2 * MOST_PAIRS + 2, 49, 0.001, "on"),
    ]
    for votes in nothing:
        plan = planned_curvature(*votes)
        assert np.isnan(plan.center), votes
        assert plan.alpha_share == 0.0
    assert planned_curvature(80, 100, 2, 49, 0.001, "on").center == 0.5


def test_certifying_draws_it_where_it_can_pay():
    found = certified()
    assert np.isnan(found.tally.curvature_center).tolist() == [False, False, True]
    assert found.tally.curvature_share.tolist() == [CURVATURE_SHARE, CURVATURE_SHARE, 0.0]
    assert np.isfinite(found.tally.curvature_eigenvalues).all(axis=1).tolist() == [
        True,
        True,
        False,
    ]
    everywhere, nowhere = certified(curvature="on"), certified(curvature="off")
    assert not np.isnan(everywhere.tally.curvature_squares).any()
    assert np.isnan(nowhere.tally.curvature_squares).all()
    plain = certified(method="second_order_dipole")
    assert plain.tally.curvature_center is None
    for one in (found, everywhere, nowhere):  # what is drawn besides changes nothing
        np.testing.assert_array_equal(one.radius, plain.radius)
        assert one.tally.direction_norm.tolist() == plain.tally.direction_norm.tolist()


def test_a_rule_that_stops_draws_none():
    for rule in ({"radius": 0.3}, {"tolerance": 0.1}):
        tally = certified(method="second_order_dipole", **rule).tally
        assert tally.curvature_center is None
    sampled = smoothed().sampler.sample(INPUTS, Request("with_curvature", n=1000, tolerance=0.2))
    tally = concatenate([one.tally for one in sampled])
    assert np.isnan(tally.curvature_center).all()
    assert tally.curvature_eigenvalues.shape == (3, 3)
    assert tally.curvature_share.tolist() == [0.0] * 3


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="curvature must be one of auto, on, off; got 'yes'"):
        Request("with_curvature", curvature="yes")
    with pytest.raises(ValueError, match="dipole draws none"):
        Request("dipole", curvature="on")
    with pytest.raises(ValueError, match="not possible with radius or tolerance"):
        Request("with_curvature", curvature="on", radius=0.1)
    wide = np.zeros((1, MOST_FEATURES + 1), dtype=np.float32)
    with pytest.raises(ValueError, match="at most 4096 features"):
        smoothed().certify(wide, method="with_curvature", n=100, curvature="on")
    of = Request("with_curvature").estimation(
        0, Selection(0, 80, 1, 20, 0, ""), shape=(MOST_FEATURES + 1,), num_classes=2
    )
    assert np.isnan(of.curvature_center)
    assert not of.draws_curvature


def write(path, found, rows=slice(None), **more):
    settings = {name: getattr(found, name) for name in ("method", "sigma", "alpha", "n0", "seed")}
    settings |= {"n": 20_000, "classes": "all"} | more
    with RunWriter.open(
        path, settings=settings, indices=[0, 1, 2], dimension=3, num_classes=2
    ) as writer:
        for i in range(3)[rows]:
            if i not in writer.done:
                writer.add(found[i : i + 1], [0], [0.1])
        return writer.finish() if len(writer.done) == 3 else writer.pause()


@pytest.mark.parametrize("curvature", ["auto", "on", "off"])
def test_runs_give_back_what_was_drawn_also_where_they_were_resumed(tmp_path, curvature):
    found = certified(curvature=curvature)
    write(tmp_path / "whole", found)
    write(tmp_path / "resumed", found, slice(1))
    stored = [write(tmp_path / "resumed", found), load_run(tmp_path / "whole")]
    assert stored[0].table.equals(stored[1].table)
    for run in stored:
        tally = run.certificates().tally
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(tally, name), getattr(found.tally, name))
        assert validate_run(run.path) == []
    for method, alpha in (("dipole_joint", 0.01), ("second_order_dipole", 0.001)):
        again = recertify(tmp_path / "whole", tmp_path / method, method=method, alpha=alpha)
        asked = certified(method=method, alpha=0.001) if method == "second_order_dipole" else None
        if asked is not None:
            np.testing.assert_array_equal(again["radius"], asked.radius)
        for name in FIELDS:  # and again from there
            kept = getattr(again.certificates().tally, name)
            np.testing.assert_array_equal(kept, getattr(found.tally, name))


@pytest.mark.parametrize(
    ("column", "change", "finding"),
    [
        ("curvature_center", [0.7, 0.0, None], "curvature_center is outside"),
        ("curvature_share", [0.1, 0.0, 0.0], "curvature_share is not in"),
        ("curvature_share", [0.1, 0.1, 0.1], "curvature_share is not in"),
        ("curvature_center", [0.25, None, None], "where none was drawn"),
        ("curvature_eigenvalues", lambda lists: [lists[0][::-1], *lists[1:]], "not ascending"),
        ("curvature_eigenvalues", lambda lists: [lists[0][:2], *lists[1:]], "differ in length"),
        ("curvature_squares", lambda lists: [[-1.0, 1.0, 1.0], *lists[1:]], "is negative"),
        ("curvature_squares", lambda lists: [[np.nan, 1.0, 1.0], *lists[1:]], "3 numbers or none"),
    ],
)
def test_validate_finds_contradictions(tmp_path, column, change, finding):
    write(tmp_path / "run", certified())
    path = tmp_path / "run" / "results.parquet"
    table = pq.read_table(path)
    values = change(table[column].to_pylist()) if callable(change) else change
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, table.schema.field(column), [values]), path)
    assert any(finding in found for found in validate_run(tmp_path / "run"))


def test_runs_of_earlier_versions_drew_none(tmp_path):
    found = certified(method="second_order_dipole")
    stored = write(tmp_path / "run", found).manifest
    for curvature, expected in (("off", 0), ("auto", 1)):
        asked = replace(stored, settings=stored.settings | {"curvature": curvature})
        assert len(differences(stored, asked)) == expected


def test_a_run_of_the_third_order_is_valid_recertified_and_drawn(tmp_path):
    found = certified(method="third_order_dipole")
    assert np.isnan(found.bounds.slope_lower).tolist() == [False, False, True]
    run = write(tmp_path / "run", found)
    assert validate_run(run.path) == []
    np.testing.assert_array_equal(run["slope_lower"], found.bounds.slope_lower)
    looser = recertify(run.path, tmp_path / "looser", method="third_order_dipole", alpha=0.05)
    assert validate_run(looser.path) == []
    assert np.all(looser["radius"] > run["radius"])
    second = recertify(run.path, tmp_path / "second", method="second_order_dipole", alpha=0.001)
    assert second["radius"][2] == run["radius"][2] > 0
    assert all(ends is not None for ends in _regions(run.certificates()))


@pytest.mark.parametrize("classes", ["top", "all"])
@pytest.mark.parametrize("asked", [{"curvature": "off"}, {"n": 400}, {"radius": 0.3}, {"wide": 1}])
def test_without_curvature_the_default_is_the_second_order(classes, asked):
    """Off, not worth it, stopped on counts alone, or too many features: nothing gets smaller."""
    inputs, more = INPUTS, {"n": 2000, "classes": classes} | asked
    if more.pop("wide", None):
        inputs = np.pad(INPUTS, ((0, 0), (0, MOST_FEATURES)))
    found = smoothed().certify(inputs, **more)
    assert found.method == DEFAULT_METHOD == "third_order_dipole"
    assert np.isnan(found.tally.curvature_center).all()
    more.pop("curvature", None)
    second = smoothed().certify(inputs, **more, method="second_order_dipole")
    assert np.any(second.radius > 0)
    np.testing.assert_array_equal(found.radius, second.radius)
    np.testing.assert_array_equal(found.prediction, second.prediction)

"""Runs store the counts of every class; `recertify` can compare with any of them."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from sosmooth import METHODS, SmoothedClassifier, load_run, recertify, validate_run
from sosmooth.report.compared import compared_rows
from sosmooth.report.payload import _leading, _limits
from sosmooth.report.series import series_of_all
from sosmooth.runs import RunError, RunWriter
from sosmooth.runs.schema import COLUMNS

INPUTS = np.array([[0.3, 0.0], [1.0, 0.2], [4.0, 0.0], [0.0, 0.0]], dtype=np.float32)
CLASSES = ("runner_up", "class_ids", "class_same", "class_one")


def sectors(x):
    angle = torch.atan2(x[:, 1], x[:, 0]).abs()
    low = x[:, 1] < 0
    return torch.where(angle < 1.2, 0, torch.where(angle < 2.2, torch.where(low, 1, 2), 3)).long()


def certificates(method, classes, classifier=sectors, num_classes=4, inputs=INPUTS, n=2000):
    smoothed = SmoothedClassifier(
        classifier, sigma=1.0, num_classes=num_classes, batch_size=4096, device="cpu"
    )
    return smoothed.certify(inputs, method=method, n=n, n0=200, alpha=0.01, classes=classes)


def write(path, found, num_classes=4, **more):
    settings = {name: getattr(found, name) for name in ("method", "sigma", "alpha", "n0", "seed")}
    settings |= {"n": int(found.tally.n[0])} | more
    with RunWriter.open(
        path,
        settings=settings,
        indices=found.input_index.tolist(),
        dimension=found.tally.dimension,
        num_classes=num_classes,
    ) as writer:
        for i in range(len(found)):
            writer.add(found[i : i + 1], [0], [0.1])
        return writer.finish()


def rewrite(path, change):
    """Replace the table by a changed one, and forget its digest."""
    table = pq.read_table(path / "results.parquet")
    pq.write_table(change(table), path / "results.parquet")
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"table_digest": None}))


def listed(array):
    return [[int(value) for value in row if value >= 0] for row in array]


@pytest.mark.parametrize("method", METHODS)
def test_top_certified_again_with_all_is_what_all_would_have_been(tmp_path, method):
    top, every = certificates(method, "top"), certificates(method, "all")
    write(tmp_path / "top", top)
    write(tmp_path / "all", every, classes="all")
    made = load_run(tmp_path / "all")
    for start, classes, wanted in (
        ("top", "all", made),
        ("all", "top", load_run(tmp_path / "top")),
    ):
        out = tmp_path / f"{start} again"
        run = recertify(tmp_path / start, out, method=method, classes=classes)
        assert run.table.equals(wanted.table)
        assert run.manifest.settings["classes"] == classes
        assert run.certificates().classes == classes
        assert validate_run(out) == []
    default = recertify(tmp_path / "top", tmp_path / "default", method=method)
    assert default.manifest.settings["classes"] == METHODS[method].classes
    assert not np.array_equal(made["radius"], load_run(tmp_path / "top")["radius"])
    with pytest.raises(RunError, match="classes is 'all' there and 'top' here"):
        recertify(tmp_path / "top", tmp_path / "top again", method=method, classes="top")


@pytest.mark.parametrize("method", ["first_order", "second_order_dipole"])
def test_the_counts_of_the_classes_come_back(tmp_path, method):
    found = certificates(method, "all")
    run = write(tmp_path / "run", found, classes="all")
    back = run.certificates()
    assert back.tally.num_classes == 4
    for name in CLASSES:
        values = getattr(found.tally, name)
        assert (getattr(back.tally, name) is None) == (values is None)
        if values is not None:
            np.testing.assert_array_equal(getattr(back.tally, name), values)
    np.testing.assert_array_equal(back.bounds.limiting_class, found.bounds.limiting_class)
    assert run.table["class_ids"].to_pylist() == listed(found.tally.class_ids)
    assert "class_ids" not in run.columns()
    assert run["class_ids"].shape == found.tally.class_ids.shape
    assert run.to_pandas().shape[0] == 4


def test_runs_without_the_counts_of_the_classes(tmp_path):
    """Runs of earlier versions can be read, and certified with "top" alone."""
    write(tmp_path / "run", certificates("dipole", "top"))
    radius = load_run(tmp_path / "run")["radius"]
    rewrite(tmp_path / "run", lambda table: table.drop_columns([*CLASSES, "limiting_class"]))
    assert load_run(tmp_path / "run")["radius"].tolist() == radius.tolist()
    again = recertify(tmp_path / "run", tmp_path / "again", method="dipole")
    assert again["radius"].tolist() == radius.tolist()
    with pytest.raises(RunError, match="it lacks the counts of the other classes"):
        recertify(tmp_path / "run", tmp_path / "all", method="dipole", classes="all")
    assert not (tmp_path / "all").exists()


def test_a_run_that_an_earlier_version_began_has_no_counts_of_the_classes(tmp_path):
    write(tmp_path / "run", certificates("dipole", "top"))

    def first_rows_without(table):
        for name in CLASSES:
            column = [None] * 2 + table[name].to_pylist()[2:]
            place = table.column_names.index(name)
            table = table.set_column(place, table.schema.field(name), [column])
        return table

    rewrite(tmp_path / "run", first_rows_without)
    tally = load_run(tmp_path / "run").certificates().tally
    assert not tally.counts_classes
    assert validate_run(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("column", "change", "finding"),
    [
        ("class_ids", lambda lists: [[0, 1, 3], *lists[1:]], "the selected one"),
        ("class_ids", lambda lists: [[1, 2, 7], *lists[1:]], "a class that does not exist"),
        ("class_ids", lambda lists: [[2, 1, 3], *lists[1:]], "not ascending"),
        ("class_ids", lambda lists: [[1], *lists[1:]], "differ in length"),
        ("class_same", lambda lists: [[5000, 0, 0], *lists[1:]], "do not add up to n"),
        ("class_one", lambda lists: [[-1, 1, 1], *lists[1:]], "no sample returned"),
        ("runner_up", lambda values: [0, *values[1:]], "runner_up is a class that does not exist"),
        ("runner_up", lambda values: [4, *values[1:]], "runner_up is a class that does not exist"),
        ("runner_up", lambda values: [-1] * 4, "the radius is not what the counts give"),
    ],
)
def test_validate_finds_contradictions(tmp_path, column, change, finding):
    found = certificates("second_order_dipole", "all")
    assert found.selected[0] == 0
    assert listed(found.tally.class_ids)[0] == [1, 2, 3]
    write(tmp_path / "run", found, classes="all")

    def changed(table):
        place = table.column_names.index(column)
        values = [change(table[column].to_pylist())]
        return table.set_column(place, table.schema.field(column), values)

    rewrite(tmp_path / "run", changed)
    assert any(finding in found for found in validate_run(tmp_path / "run"))


def test_a_thousand_classes_take_no_more_room_than_those_that_occur(tmp_path):
    """The same votes among ten classes and, renamed, among a thousand: tables of about one size."""

    def few(x):
        return (x[:, 0] > 0.3).long() + (x[:, 1] > 1.0).long()

    sizes = {}
    for num_classes in (10, 1000, 100_000):
        names = torch.tensor([0, num_classes // 2, num_classes - 1])
        found = certificates(
            "second_order_dipole", "all", lambda x, of=names: of[few(x)], num_classes
        )
        assert found.tally.class_ids.shape[1] <= 2
        path = tmp_path / str(num_classes)
        run = write(path, found, num_classes, classes="all")
        assert validate_run(path) == []
        sizes[num_classes] = (path / "results.parquet").stat().st_size, run.table.nbytes
    assert sizes[1000][0] < 1.02 * sizes[10][0]
    assert sizes[100_000][0] < 1.02 * sizes[10][0]
    assert sizes[1000][1] == sizes[100_000][1] == sizes[10][1]


def test_random_scores_of_a_thousand_classes():
    """Every class occurs: counts, bounds and radii of all of them."""
    weights = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    found = certificates("second_order_dipole", "all", lambda x: x @ weights, 1000, n=20_000)
    assert np.all(found.tally.class_ids.max(axis=1) > 900)
    np.testing.assert_array_equal(found.tally.class_votes().sum(1) + found.tally.count_top, 20_000)
    assert found.tally.class_ids.shape[1] < 1000  # most directions belong to few classes


def test_the_report_names_the_leading_classes_and_what_ends_the_radius(tmp_path):
    found = certificates("second_order_dipole", "all")
    run = write(tmp_path / "run", found, classes="all")
    leading, limits = _leading(found), _limits(run.certificates())
    for i, classes in enumerate(leading):
        assert classes[0] == [found.selected[i], found.tally.count_top[i] * 10**6 // 2000]
        assert len(classes) <= 3
        others = [share for _, share in classes[1:]]
        assert others == sorted(others, reverse=True)
        votes = found.tally.class_votes()[i]
        assert others == [vote * 10**6 // 2000 for vote in sorted(votes)[::-1][: len(others)]]
    assert limits == found.bounds.limiting_class.tolist()
    assert "what ends the radius" in found[0]._repr_html_()


def test_both_comparisons_stand_side_by_side(tmp_path):
    runs = {}
    for classes in ("top", "all"):
        found = certificates("second_order_dipole", classes)
        runs[classes] = write(tmp_path / classes, found, classes=classes)
    rows = compared_rows(list(runs.values()), series_of_all(list(runs.values())), ["0.5"])
    assert [row.pop("run") for row in rows] == ["top", "top", "all", "all"]
    assert [row["compared with"] for row in rows] == ["one half", "each other class"] * 2
    assert rows[:2] == rows[2:]
    assert rows[0]["average certified radius"] < rows[1]["average certified radius"]
    rewrite(tmp_path / "top", lambda table: table.drop_columns([*CLASSES]))
    old = [load_run(tmp_path / "top")]
    assert compared_rows(old, series_of_all(old), ["0.5"]) == []


def test_every_column_of_the_classes_is_optional():
    assert all(COLUMNS[name].optional for name in (*CLASSES, "limiting_class"))

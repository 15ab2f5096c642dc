"""Runs on disk.

What is stored can be read again, kills lose nothing, and one line refuses what does not belong.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sosmooth import recertify, validate_run
from sosmooth.methods import METHODS, certify_tally
from sosmooth.runs import Run, RunError, RunWriter, load_run
from sosmooth.runs.schema import COLUMNS
from sosmooth.tally import Design, Tally

N, SIGMA, ALPHA = 10_000, 0.25, 0.001
LABELS = np.array([3, 1, 4, 1, 5, -1])
INDICES = [10, 0, 7, 3, 200, 9]


def settings(method: str, **changes) -> dict:
    return {
        "method": method,
        "sigma": SIGMA,
        "n": N,
        "n0": 100,
        "alpha": ALPHA,
        "seed": 7,
        "model": "a",
    } | changes


def certificates(method: str, seed: int = 7, alpha: float = ALPHA):
    """Six inputs: sure, fair, hardly above one half, below it, unsettled, perfect."""
    design = METHODS[method].design
    p = np.array([0.99, 0.8, 0.501, 0.3, 0.5, 1.0])
    tally = {"count_top": np.rint(p * N).astype(int)}
    if design is Design.ANTITHETIC:
        both = np.rint(p**2 * N / 2).astype(int)
        plus = (tally["count_top"] - 2 * both + 1) // 2
        minus = tally["count_top"] - 2 * both - plus
        tally = {
            "pair_both": both,
            "pair_plus_only": plus,
            "pair_minus_only": minus,
            "pair_none": N // 2 - both - plus - minus,
        }
    elif design is Design.DISJOINT_PAIRS:
        tally["gradient_sq_estimate"] = np.array([0.1, 0.3, -1e-9, 1 / 3, 0.2, 1e-17])
    return certify_tally(
        method,
        Tally(design=design, n=np.full(6, N), dimension=49, **tally),
        selected=np.array([3, 1, 4, 0, 5, 9]),
        selection_margin=np.array([98, 60, 5, 1, 0, 100]),
        index=np.array(INDICES),
        sigma=SIGMA,
        alpha=alpha,
        n0=100,
        seed=seed,
    )


def write(
    path: Path, method: str = "first_order", parts=(slice(0, 2), slice(2, 6)), **changes
) -> Run:
    whole = certificates(method, seed=changes.get("seed", 7), alpha=changes.get("alpha", ALPHA))
    with RunWriter.open(path, settings=settings(method, **changes), indices=INDICES) as writer:
        for part in parts:
            if not writer.done.issuperset(INDICES[part]):
                writer.add(whole[part], LABELS[part], np.linspace(0.1, 0.2, 6)[part])
        return writer.finish()


def contents(folder: Path) -> dict[str, str]:
    """Digests of the files; `-shm` is shared memory that SQLite rebuilds at each opening."""
    names = {
        path.name
        for path in folder.iterdir()
        if path.name != ".lock" and not path.name.endswith("-shm")
    }
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.parametrize("method", ["first_order", "second_order", "dipole"])
def test_what_is_stored_comes_back(tmp_path, method):
    whole, run = certificates(method), write(tmp_path / "run", method)
    back = run.certificates()
    assert run.complete
    assert len(run) == 6
    assert [path.name for path in sorted((tmp_path / "run").iterdir())] == [
        ".lock",
        "manifest.json",
        "results.parquet",
    ]
    for name in (
        "input_index",
        "prediction",
        "radius",
        "abstain_reason",
        "selected",
        "selection_margin",
    ):
        np.testing.assert_array_equal(getattr(back, name), getattr(whole, name))
    assert (back.method, back.sigma, back.alpha, back.n0, back.seed) == (
        method,
        SIGMA,
        ALPHA,
        100,
        7,
    )
    assert (back.tally.design, back.tally.dimension) == (whole.tally.design, 49)
    assert back.tally.arrays().keys() == whole.tally.arrays().keys()
    for name, values in whole.tally.arrays().items():
        np.testing.assert_array_equal(getattr(back.tally, name), values)
    for name, values in vars(whole.bounds).items():
        stored = getattr(back.bounds, name)
        assert (stored is None) == (values is None)
        if values is not None:
            np.testing.assert_array_equal(stored, values)
    np.testing.assert_array_equal(run["label"], LABELS)
    assert run.table["label"].null_count == 1
    assert set(run.table.column_names) == set(COLUMNS)
    assert validate_run(tmp_path / "run") == []


def test_unknown_values_are_null_and_read_as_minus_one_nan_and_empty(tmp_path):
    run = write(tmp_path / "run", "dipole")
    assert run.table["count_top"].null_count == 6
    assert run["count_top"].tolist() == [-1] * 6
    assert np.isnan(run["gradient_norm_upper"]).all()
    assert run["abstain_reason"][0] == ""
    assert run["seed"].tolist() == [7] * 6
    with pytest.raises(KeyError, match="no column 'bogus'"):
        run["bogus"]


def test_seeds_above_two_to_the_63_survive(tmp_path):
    run = write(tmp_path / "run", seed=2**64 - 1)
    assert run["seed"][0] == 2**64 - 1
    assert load_run(tmp_path / "run").certificates().seed == 2**64 - 1


def test_equal_rows_give_equal_bytes_however_the_run_was_cut(tmp_path):
    write(tmp_path / "a", parts=[slice(0, 6)])
    write(tmp_path / "b", parts=[slice(i, i + 1) for i in (4, 2, 0, 1, 5, 3)])
    assert (tmp_path / "a/results.parquet").read_bytes() == (
        tmp_path / "b/results.parquet"
    ).read_bytes()
    before = contents(tmp_path / "a")
    write(tmp_path / "a")
    assert contents(tmp_path / "a") == before


def test_a_run_goes_on_where_an_exception_stopped_it(tmp_path):
    whole, path = certificates("second_order"), tmp_path / "run"

    def interrupted() -> None:
        with RunWriter.open(path, settings=settings("second_order"), indices=INDICES) as writer:
            writer.batch_size = 512
            writer.add(whole[2:4], LABELS[2:4], [1.0, 2.0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    stopped = load_run(path)
    assert not stopped.complete
    assert stopped["index"].tolist() == INDICES[2:4]
    assert pq.read_table(path / "results.parquet").num_rows == 2
    with RunWriter.open(path, settings=settings("second_order"), indices=INDICES) as writer:
        assert (writer.batch_size, writer.done) == (512, set(INDICES[2:4]))
        with pytest.raises(ValueError, match="4 inputs are not certified"):
            writer.finish()
        with pytest.raises(ValueError, match="in the run already"):
            writer.add(whole[2:3], LABELS[2:3], [0.0])
        writer.add(whole[4:6], LABELS[4:6], [0.0, 0.0])
        writer.add(whole[0:2], LABELS[0:2], [0.0, 0.0])
        run = writer.finish()
    assert run["index"].tolist() == INDICES
    assert run.manifest.batch_size == 512
    assert validate_run(path) == []


def test_more_inputs_can_be_added_to_a_complete_run(tmp_path):
    whole = certificates("first_order")
    for end in (2, 6):
        with RunWriter.open(
            tmp_path / "run", settings=settings("first_order"), indices=INDICES[:end]
        ) as writer:
            for i in range(end):
                if INDICES[i] not in writer.done:
                    assert not load_run(tmp_path / "run").complete
                    writer.add(whole[i : i + 1], LABELS[i : i + 1], [0.0])
            writer.finish()
    assert load_run(tmp_path / "run")["index"].tolist() == INDICES
    assert validate_run(tmp_path / "run") == []


def test_other_settings_are_refused_with_every_one_that_differs(tmp_path):
    write(tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(RunError) as refusal:
        write(tmp_path / "run", alpha=0.01, model="b")
    assert "alpha is 0.001 there and 0.01 here" in str(refusal.value)
    assert "model is 'a' there and 'b' here" in str(refusal.value)
    assert "sigma" not in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert contents(tmp_path / "run") == before


def test_certificates_of_other_settings_are_refused(tmp_path):
    with (
        RunWriter.open(
            tmp_path / "run", settings=settings("first_order"), indices=INDICES
        ) as writer,
        pytest.raises(ValueError, match="seed of the certificates is 8, that of the run is 7"),
    ):
        writer.add(certificates("first_order", seed=8), LABELS, None)


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(RunError, match=r"holds other files \(thesis.tex\)"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_is_in_the_way_or_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is not a folder"):
        write(tmp_path / "file")
    with pytest.raises(RunError, match="is not a folder"):
        write(tmp_path / "file" / "run")
    with pytest.raises(RunError, match="cannot be written"):
        write(Path("/proc/run"))


def test_a_folder_that_is_no_run_cannot_be_loaded(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RunError, match=r"is not a run: it has no manifest.json"):
            load_run(path)


WRITER = """
    import sys, time
    sys.path.insert(0, {tests!r})
    from test_runs import *
    whole = certificates("first_order")
    row, settings_ = whole[0:1], settings("first_order")
"""


def start(code: str, *arguments: object, **options) -> subprocess.Popen:
    """A second Python with the helpers of this file and one certificate `row`."""
    source = textwrap.dedent(WRITER).format(tests=str(Path(__file__).parent)) + textwrap.dedent(
        code
    )
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


ADD_FOR_EVER = """
    from dataclasses import replace
    with RunWriter.open(sys.argv[1], settings=settings_, indices=range(100_000)) as writer:
        for index in range(100_000):
            if index not in writer.done:
                writer.add(replace(row, input_index=np.array([index])), [3], [0.1])
                print(index, flush=True)
"""


def test_a_kill_loses_nothing_that_was_added_and_a_second_writer_is_refused(tmp_path):
    path, reported = tmp_path / "run", -1
    for round_, lines in enumerate((1, 7, 30)):
        process = start(ADD_FOR_EVER, path)
        assert process.stdout is not None
        for _ in range(lines):
            reported = int(process.stdout.readline())
        if round_ == 1:
            with pytest.raises(RunError, match="run is being written by another process"):
                RunWriter.open(path, settings=settings("first_order"), indices=range(100_000))
            assert len(load_run(path)) > reported  # an unfinished run can be read
        process.send_signal(signal.SIGKILL)
        # Not communicate(): it would miss what readline() has read ahead.
        rest = process.stdout.read()
        process.communicate()
        reported = int([reported, *rest.split()][-1])
        before = contents(path)
        run = load_run(path)
        assert contents(path) == before
        assert not run.complete
        assert run["index"].tolist() in (list(range(reported + 1)), list(range(reported + 2)))
        assert validate_run(path) == []
        assert run.certificates()[-1].radius == certificates("first_order")[0].radius


def test_a_full_disk_leaves_everything_certified_readable(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    process = start(limit + textwrap.dedent(ADD_FOR_EVER), tmp_path / "run")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "RunError" in err
    assert "cannot be written" in err
    last = int(out.split()[-1])
    assert last >= 5
    assert load_run(tmp_path / "run")["index"].tolist() == list(range(last + 1))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("manifest.json", lambda data: data[:50], "cannot be read as the manifest"),
        ("manifest.json", lambda data: b"[]", "not the manifest of a run"),
        ("manifest.json", lambda data: b'{"schema_version": 99}', "upgrade sosmooth"),
        (
            "manifest.json",
            lambda data: b'{"schema_version": 1, "settings": {"n": true}}',
            "settings.sigma",
        ),
        ("manifest.json", lambda data: b"\xff\xfe", "cannot be read as the manifest"),
        ("results.parquet", lambda data: data[:-20], "cannot be read as the Parquet file"),
        ("results.parquet", lambda data: b"", "cannot be read as the Parquet file"),
        (
            "results.parquet",
            lambda data: data[:60] + bytes([data[60] ^ 255]) + data[61:],
            "cannot be read as",
        ),
        ("results.parquet", lambda data: None, "has no results.parquet"),
    ],
)
def test_damaged_files_are_one_clear_line(tmp_path, name, damage, message):
    write(tmp_path / "run")
    path = tmp_path / "run" / name
    damaged = damage(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    with pytest.raises(RunError, match=message) as refusal:
        load_run(tmp_path / "run")
    assert "\n" not in str(refusal.value)
    assert validate_run(tmp_path / "run") == [str(refusal.value)]


def test_a_damaged_journal_is_one_clear_line(tmp_path):
    RunWriter.open(tmp_path / "run", settings=settings("first_order"), indices=INDICES).close()
    (tmp_path / "run" / "journal.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(RunError, match="cannot be read as the journal"):
        load_run(tmp_path / "run")


def rewrite(path: Path, change) -> None:
    """Replace the table by a changed one, with its digest in the manifest."""
    pq.write_table(change(pq.read_table(path / "results.parquet")), path / "results.parquet")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["table_digest"] = (
        "sha256:" + hashlib.sha256((path / "results.parquet").read_bytes()).hexdigest()
    )
    (path / "manifest.json").write_text(json.dumps(manifest))


def with_column(name: str, values) -> object:
    return lambda table: table.set_column(
        table.column_names.index(name), table.schema.field(name), pa.array(values)
    )


def test_files_without_optional_columns_are_read_and_foreign_ones_refused(tmp_path):
    run = write(tmp_path / "run")
    optional = [column.name for column in COLUMNS.values() if column.optional]
    rewrite(tmp_path / "run", lambda table: table.drop_columns(optional))
    assert load_run(tmp_path / "run")["radius"].tolist() == run["radius"].tolist()
    rewrite(tmp_path / "run", lambda table: table.drop_columns(["radius"]))
    with pytest.raises(RunError, match="lacks the columns radius"):
        load_run(tmp_path / "run")
    rewrite(tmp_path / "run", lambda table: pa.table({"a": [1]}))
    with pytest.raises(RunError, match="does not name its schema"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("column", "values", "finding"),
    [
        ("index", [10, 0, 7, 3, 200, 10], "indices occur more than once"),
        ("count_top", [N + 1, 8000, 5010, 3000, 5000, N], "count_top is outside"),
        (
            "count_top",
            [9901, 8000, 5010, 3000, 5000, N],
            "the radius is not what the counts give in 1 rows",
        ),
        ("prediction", [-1, 1, -1, -1, -1, 9], "prediction is −1 but the radius is not 0"),
        ("prediction", [2, 1, -1, -1, -1, 9], "another class than the selected"),
        (
            "alpha",
            [0.001] * 5 + [0.01],
            "alpha is 0.001 in its manifest, and 0.01 for input",
        ),
    ],
)
def test_validate_finds_contradictions(tmp_path, column, values, finding):
    write(tmp_path / "run")
    rewrite(tmp_path / "run", with_column(column, values))
    assert any(finding in found for found in validate_run(tmp_path / "run"))


def test_validate_finds_pairs_that_do_not_add_up_and_another_table(tmp_path):
    run = write(tmp_path / "run", "dipole")
    rewrite(tmp_path / "run", with_column("pair_none", run["pair_none"] + [1, 0, 0, 0, 0, 0]))
    assert validate_run(tmp_path / "run") == [
        "the pair counts do not add up to n / 2 in 1 rows, the first of index 10"
    ]
    write(tmp_path / "other")
    write(tmp_path / "third")
    rewrite(tmp_path / "third", with_column("seconds", np.linspace(0.2, 0.3, 6)))
    (tmp_path / "other/results.parquet").write_bytes(
        (tmp_path / "third/results.parquet").read_bytes()
    )
    assert (
        "the table is not the one whose digest the manifest records"
        in validate_run(tmp_path / "other")[0]
    )


@pytest.mark.parametrize(
    ("source", "method"),
    [("second_order", "first_order"), ("dipole", "first_order"), ("dipole", None)],
)
def test_recertify_is_certify_tally_on_the_stored_counts(tmp_path, source, method):
    write(tmp_path / "run", source)
    before = contents(tmp_path / "run")
    run = recertify(tmp_path / "run", tmp_path / "out", method=method, alpha=0.05)
    assert contents(tmp_path / "run") == before
    counted = certificates(source)
    expected = certify_tally(
        method or source,
        counted.tally,
        selected=counted.selected,
        selection_margin=counted.selection_margin,
        index=counted.input_index,
        sigma=SIGMA,
        alpha=0.05,
        n0=100,
        seed=7,
    )
    np.testing.assert_array_equal(run["radius"], expected.radius)
    np.testing.assert_array_equal(run["prediction"], expected.prediction)
    np.testing.assert_array_equal(run["n_used"], expected.bounds.n_used)
    np.testing.assert_array_equal(run["label"], LABELS)
    derived = run.manifest.derived_from
    assert derived is not None
    assert (derived["method"], derived["alpha"]) == (source, ALPHA)
    assert derived["digest"] == "sha256:" + before["results.parquet"]
    assert validate_run(tmp_path / "out") == []
    again = contents(tmp_path / "out")
    recertify(tmp_path / "run", tmp_path / "out", method=method, alpha=0.05)
    assert contents(tmp_path / "out") == again
    with pytest.raises(RunError, match=r"alpha is 0.05 there and 0.01 here"):
        recertify(tmp_path / "run", tmp_path / "out", method=method, alpha=0.01)


def test_recertify_refuses_what_the_tally_lacks_and_the_run_itself(tmp_path):
    write(tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(RunError, match="lacks pair_both"):
        recertify(tmp_path / "run", tmp_path / "out", method="dipole", alpha=0.01)
    with pytest.raises(RunError, match="give another folder"):
        recertify(tmp_path / "run", tmp_path / "run", method="first_order", alpha=0.01)
    with pytest.raises(ValueError, match="unknown method 'magic'"):
        recertify(tmp_path / "run", tmp_path / "out", method="magic", alpha=0.01)
    with pytest.raises(ValueError, match="alpha must be"):
        recertify(tmp_path / "run", tmp_path / "out", method="first_order", alpha=1.0)
    assert not (tmp_path / "out").exists()
    assert contents(tmp_path / "run") == before

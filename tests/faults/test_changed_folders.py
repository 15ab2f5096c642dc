"""A folder that changes under its writer, and runs that lack inputs.

No run ever wrongly says that it is complete.
"""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from planted_rows import ALPHA, INDICES, N, certificate, settings

from sosmooth import SmoothedClassifier, export_tsv, recertify, validate_run
from sosmooth.cli._summary import numbers
from sosmooth.report.relative_change import pair_of
from sosmooth.report.series import series_of
from sosmooth.report.summary import summary_rows
from sosmooth.runs import RunError, RunWriter, load_run
from sosmooth.runs.files import FolderChangedError
from sosmooth.runs.journal import read_journal
from sosmooth.runs.schema import SCHEMA
from sosmooth.runs.table import digest, parquet_bytes


def begin(path: Path, done: int = 2, sigma: float = 0.25) -> RunWriter:
    writer = RunWriter.open(path, settings=settings(sigma), indices=INDICES)
    for index in INDICES[:done]:
        writer.add(certificate(index, sigma), [index % 3], [0.5])
    return writer


def write_rest(writer: RunWriter, sigma: float = 0.25):
    for index in INDICES:
        if index not in writer.done:
            writer.add(certificate(index, sigma), [index % 3], [0.5])
    return writer.finish()


def replaced_folder(path: Path) -> None:
    shutil.rmtree(path)
    begin(path, sigma=0.5).close()


def another_manifest(path: Path) -> None:
    change_manifest(path, settings={"sigma": 2.5})


def change_manifest(path: Path, settings=None, **changed) -> None:
    stored = json.loads((path / "manifest.json").read_text()) | changed
    stored["settings"] |= settings or {}
    (path / "manifest.json").write_text(json.dumps(stored))


def removed(name: str):
    def remove(path: Path) -> None:
        for file in path.glob(f"{name}*"):
            file.unlink()

    remove.__name__ = f"removed_{name}"
    return remove


CHANGES = [
    shutil.rmtree,
    replaced_folder,
    another_manifest,
    removed(".lock"),
    removed("journal.sqlite"),
    removed("manifest.json"),
]


def contents(path: Path) -> tuple[dict[str, bytes], list]:
    """The files, except the journal's, and the rows of the journal.

    The rows stand for the journal's files because closing it moves rows between them.
    """
    if not path.exists():
        return {}, []
    files = {file.name: file.read_bytes() for file in path.iterdir() if "journal" not in file.name}
    return files, read_journal(path)[0]


def go_on_after(change, path: Path, with_rows: bool) -> tuple[RunError, bool]:
    """The writer's error, and whether the folder stayed as the change left it."""
    before = None
    try:
        with begin(path, done=2 if with_rows else 0) as writer:
            change(path)
            before = contents(path)
            write_rest(writer)
    except RunError as error:
        return error, contents(path) == before
    raise AssertionError("the writer finished")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("with_rows", [True, False])
def test_a_writer_whose_folder_changed_stops_and_overwrites_nothing(tmp_path, change, with_rows):
    if "journal" in change.__name__:
        with_rows = True  # before the first row there is no journal
    error, stayed = go_on_after(change, tmp_path / "run", with_rows)
    assert "was removed, replaced or changed" in str(error)
    assert "\n" not in str(error)
    assert stayed


@pytest.mark.parametrize("name", ["journal.sqlite-wal", "journal.sqlite-shm"])
def test_a_writer_whose_journal_lost_its_log_stops(tmp_path, name):
    writer = begin(tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    with pytest.raises(FolderChangedError):
        write_rest(writer)
    writer.close()
    assert not (tmp_path / "run/results.parquet").exists()


def test_a_table_that_was_removed_is_written_again(tmp_path):
    path = tmp_path / "run"
    begin(path, done=len(INDICES)).__exit__(None, None, None)
    with begin(path, done=0) as writer:
        (path / "results.parquet").unlink()
        run = writer.finish()
    assert run.complete
    assert run["index"].tolist() == INDICES


def test_the_second_writer_of_a_replaced_folder_goes_on(tmp_path):
    first = begin(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with begin(tmp_path / "run", sigma=0.5) as second:
        with pytest.raises(RunError, match="was removed, replaced or changed"):
            write_rest(first)
        first.close()
        run = write_rest(second, sigma=0.5)
    assert run.complete
    assert set(run["sigma"]) == {0.5}


def test_rows_of_other_settings_are_refused_by_everything(tmp_path):
    path = tmp_path / "run"
    with begin(path) as writer:
        write_rest(writer)
    for changed in (
        {"sigma": 2.5},
        {"alpha": 0.1},
        {"n": 2000},
        {"n0": 20},
        {"seed": 8},
        {"method": "dipole"},
    ):
        shutil.copytree(path, tmp_path / "copy")
        change_manifest(tmp_path / "copy", settings=changed)
        name = next(iter(changed))
        for opened in (
            lambda: load_run(tmp_path / "copy"),
            lambda: recertify(tmp_path / "copy", tmp_path / "again", method="first_order"),
            lambda: export_tsv(tmp_path / "copy", StringIO()),
        ):
            with pytest.raises(RunError, match=f"contradicts itself: {name} is"):
                opened()
        assert "contradicts itself" in validate_run(tmp_path / "copy")[0]
        shutil.rmtree(tmp_path / "copy")


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {"settings": {"model": 1}},
        {"settings": {"radius": 0.1}},
        {"digests": {"inputs": "another"}},
        {"dimension": 50},
        {"num_classes": 3},
        {"derived_from": {"kind": "log", "digest": "another"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_no_column_holds_cannot_be_changed_either(tmp_path, changed, killed):
    writer = begin(tmp_path / "run", done=3)
    if killed:
        writer._journal.close()  # the rows stay in the journal
    writer.__exit__(None, None, None) if not killed else writer.close()
    change_manifest(tmp_path / "run", **changed)
    with pytest.raises(RunError, match="contradicts itself: its rows were made with other"):
        load_run(tmp_path / "run")
    if "settings" not in changed:  # they are compared before
        with pytest.raises(RunError):
            begin(tmp_path / "run")


def test_rows_of_another_run_are_refused(tmp_path):
    """Neither table nor journal can be carried into a run of the same sigma, n and alpha."""
    for model in (0, 1):
        for state in ("settled", "killed"):
            path = tmp_path / f"{state}{model}"
            writer = RunWriter.open(path, settings=settings(model=model), indices=INDICES)
            writer.add(certificate(3, model=model), [0], [0.5])
            writer.__exit__(None, None, None) if state == "settled" else writer.close()
    for name, file in (("settled", "results.parquet"), ("killed", "journal.sqlite")):
        shutil.copy(tmp_path / f"{name}1" / file, tmp_path / f"{name}0" / file)
        with pytest.raises(RunError, match="contradicts itself"):
            load_run(tmp_path / f"{name}0")


@pytest.mark.parametrize(
    "changed",
    [
        {"indices": "3,1,4", "inputs": 3},  # hides what failed
        {"indices": "3,1,4,15,9,27"},
        {"indices": "3,1,4"},
        {"indices": "0:1000000000000:1", "inputs": 10**12},
        {"indices": "many"},
        {"inputs": 5},
    ],
)
def test_indices_that_were_changed_are_refused(tmp_path, changed):
    path = tmp_path / "run"
    named = settings() | {"indices": ",".join(map(str, INDICES))}
    with RunWriter.open(path, settings=named, indices=INDICES) as writer:
        for index in INDICES[:4]:
            writer.add(certificate(index), [0], [0.5])
    change_manifest(path, **changed)
    with pytest.raises(RunError, match="no valid indices"):
        load_run(path)


def test_rows_are_of_the_indices_and_there_once(tmp_path):
    path = tmp_path / "run"
    begin(path, done=2).__exit__(None, None, None)
    change_manifest(path, indices="3,5", inputs=2)
    with pytest.raises(RunError, match="holds input 1, which is not one of its indices"):
        load_run(path)


def test_runs_of_earlier_versions_are_read_and_resumed(tmp_path):
    """Tables and journals do not say what they were made with; manifests lack the indices."""
    path = tmp_path / "run"
    begin(path, done=2).__exit__(None, None, None)
    rewrite_table(path)
    writer = begin(path, done=0)
    writer.add(certificate(4), [1], [0.5])
    writer.close()
    change_manifest(path, indices=None)
    with sqlite3.connect(path / "journal.sqlite") as connection:
        connection.execute("CREATE TABLE old (input INTEGER PRIMARY KEY, row TEXT NOT NULL)")
        connection.execute("INSERT INTO old SELECT input, row FROM rows")
        connection.execute("DROP TABLE rows")
        connection.execute("ALTER TABLE old RENAME TO rows")
    connection.close()
    assert load_run(path)["index"].tolist() == [3, 1, 4]
    with begin(path, done=0) as writer:
        run = write_rest(writer)
    assert run.complete
    assert run["index"].tolist() == INDICES


def rewrite_table(path: Path) -> None:
    """The table as earlier versions wrote it."""
    table = pq.read_table(path / "results.parquet")
    data = parquet_bytes(table.replace_schema_metadata(SCHEMA.metadata))
    (path / "results.parquet").write_bytes(data)
    change_manifest(path, table_digest=digest(data))


def test_a_complete_run_of_an_earlier_version_is_not_written_again(tmp_path):
    path = tmp_path / "run"
    with begin(path) as writer:
        write_rest(writer)
    rewrite_table(path)
    before = contents(path)
    with begin(path, done=0) as writer:
        assert writer.finish().complete
    assert contents(path) == before


def test_reading_while_another_run_takes_the_place(tmp_path, monkeypatch):
    """The manifest of one run is never read with the rows of another."""
    path = tmp_path / "run"
    for model, name in ((0, "run"), (1, "other")):
        with RunWriter.open(
            tmp_path / name, settings=settings(model=model), indices=INDICES
        ) as writer:
            for index in INDICES:
                writer.add(certificate(index, model=model), [0], [0.5])
            writer.finish()

    def replace_then_read(folder):
        if (tmp_path / "other").exists():
            shutil.rmtree(path)
            (tmp_path / "other").rename(path)
        return read_journal(folder)

    monkeypatch.setattr("sosmooth.runs.run.read_journal", replace_then_read)
    run = load_run(path)
    assert run.manifest.settings["model"] == 1
    assert run["count_top"].tolist() == [N - index - 1 for index in INDICES]


def test_complete_means_that_the_rows_cover_the_indices(tmp_path):
    path = tmp_path / "run"
    begin(path, done=3).close()
    change_manifest(path, complete=True)
    with pytest.raises(RunError, match="says it is complete"):
        load_run(path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda row: row | {"n": 1000.5}, "n is 1000.5"),
        (lambda row: {k: v for k, v in row.items() if k != "radius"}, "column radius is missing"),
        (lambda row: row | {"radius": None}, "radius is None"),
        (lambda row: row | {"more": 1}, "'more' is unknown"),
        (lambda row: row | {"radius": "0.5"}, "radius is '0.5'"),
    ],
)
def test_journal_rows_are_checked_as_table_rows_are(tmp_path, change, what):
    import hashlib

    path = tmp_path / "run"
    begin(path)._journal.close()  # killed: the journal stays
    with sqlite3.connect(path / "journal.sqlite") as connection:
        ((text,),) = connection.execute("SELECT row FROM rows WHERE input = 1").fetchall()
        text = json.dumps(change(json.loads(text)))
        digest = hashlib.sha256(text.encode()).hexdigest()
        connection.execute("UPDATE rows SET row = ?, digest = ? WHERE input = 1", (text, digest))
    connection.close()
    with pytest.raises(RunError, match="damaged") as refusal:
        load_run(path)
    assert what in str(refusal.value)


def test_a_journal_row_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "run"
    begin(path)._journal.close()
    with sqlite3.connect(path / "journal.sqlite") as connection:
        connection.execute("UPDATE rows SET row = replace(row, '0.25', '0.75')")
    connection.close()
    with pytest.raises(RunError, match="does not have its digest"):
        load_run(path)


def fails_for_some(x):
    """Class 0 everywhere; NaN for every second input."""
    scores = torch.stack([torch.ones(len(x)), torch.zeros(len(x))], 1)
    scores[x[:, 0] > 100] = torch.nan
    return scores


@pytest.fixture
def half_failed(tmp_path):
    """A run of ten inputs, every second of which failed, and the certificates of the others."""
    x = np.zeros((10, 2), dtype=np.float32)
    x[1::2] = 1000
    smoothed = SmoothedClassifier(fails_for_some, sigma=0.25, num_classes=2, batch_size=64)
    good = [0, 2, 4, 6, 8]
    found = smoothed.certify(
        x[good], method="first_order", n0=10, n=N, alpha=ALPHA, seed=7, indices=good
    )
    with RunWriter.open(tmp_path / "run", settings=settings(), indices=range(10)) as writer:
        writer.add(found, np.zeros(5), np.ones(5))
    return load_run(tmp_path / "run")


def test_inputs_without_a_result_count_everywhere(half_failed, tmp_path):
    run = half_failed
    assert not run.complete
    assert run.inputs == 10
    assert run.missing.tolist() == [1, 3, 5, 7, 9]
    figures = numbers(run)
    assert figures["inputs"] == 10
    assert figures["missing"] == 5
    assert figures["certified_accuracy"] == 0.5
    assert figures["complete"] is False
    assert figures["average_certified_radius"] == pytest.approx(run["radius"].mean() / 2)
    assert run.certified_accuracy(radii=[0.0, 9.0]).tolist() == [0.5, 0.0]
    assert run.average_certified_radius() == pytest.approx(run["radius"].mean() / 2)
    (row,) = summary_rows([run])
    assert row["inputs"] == "10, 5 missing"
    assert row["certified accuracy at 0"] == "50.0 %"
    assert "5 missing" in row["abstained"]
    again = recertify(run.path, tmp_path / "again", method="first_order", alpha=0.05)
    assert not again.complete
    assert again.missing.tolist() == run.missing.tolist()
    assert numbers(again)["certified_accuracy"] == 0.5
    pair = pair_of(run, again)
    assert len(pair.method) == 10
    text = StringIO()
    export_tsv(run, text)
    lines = text.getvalue().splitlines()[1:]
    assert len(lines) == 10
    assert [line.split("\t")[2] for line in lines[5:]] == ["-1"] * 5
    assert float(series_of(run).share_at(0.0)) == 0.5


WRITER = """
import sys, time
sys.path.insert(0, {tests!r})
from planted_rows import certificate, settings
from sosmooth.runs import RunError, RunWriter
path, sigma, model = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
try:
    with RunWriter.open(path, settings=settings(sigma, model), indices=range(40)) as writer:
        for index in range(40):
            if index not in writer.done:
                writer.add(certificate(index, sigma, model), [index % 3], [0.0])
                time.sleep(0.004)
        writer.finish()
except RunError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""

MAKES = [(0.25, 0), (0.25, 1), (0.5, 0)]  # sigma and model of the runs that are started


def remove_some(path: Path, pattern: str) -> None:
    for file in path.glob(pattern) if path.exists() else []:
        file.unlink(missing_ok=True)


def edit(path: Path, rng: random.Random) -> None:
    """Change the manifest: another sigma or model, "complete", or fewer inputs."""
    changed = rng.choice(
        [
            {"settings": {"sigma": 0.5}},
            {"settings": {"model": 1}},
            {"complete": True},
            {"complete": True, "inputs": 3, "indices": "0:3:1"},
        ]
    )
    try:
        change_manifest(path, **changed)
    except (OSError, ValueError):  # there is no manifest
        return


def put_back(path: Path, kept: Path) -> None:
    """Replace the files by those of an earlier state."""
    try:
        if kept.exists():
            path.mkdir(exist_ok=True)
            for file in kept.iterdir():
                shutil.copy(file, path / file.name)
    except OSError:
        return


def keep(path: Path, kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for file in path.iterdir() if path.exists() else []:
        try:
            shutil.copy(file, kept / file.name)
        except OSError:
            continue


#: What an action removes.
REMOVED = {
    "lock": ".lock",
    "journal": "journal.sqlite*",
    "log": "journal.sqlite-wal",
    "manifest": "manifest.json",
}

#: Mostly starts and pauses, so that some of the runs can finish.
DEEDS = [*["start"] * 4, *["wait"] * 12, "kill", "folder", "lock", "journal", "log", "manifest"]
DEEDS += ["edit", "keep", "put back"]


def expected_tables(tmp_path) -> dict:
    """The tables of undisturbed runs."""
    tables = {}
    for sigma, model in MAKES:
        path = tmp_path / f"{sigma} {model}"
        with RunWriter.open(path, settings=settings(sigma, model), indices=range(40)) as writer:
            for index in range(40):
                writer.add(certificate(index, sigma, model), [index % 3], [0.0])
            tables[sigma, model] = writer.finish().table
    return tables


@pytest.mark.slow
def test_a_minute_of_kills_removals_and_replacements(tmp_path):
    """Whatever happens to the folder, a run that says "complete" equals an undisturbed run."""
    living: list[subprocess.Popen] = []
    try:
        completed, refused = disturb(tmp_path, living)
    finally:
        for process in living:
            process.kill()
            process.wait()
    # How often depends on the machine; the test needs both.
    assert completed > 0
    assert refused > 0


def disturb(tmp_path: Path, living: list[subprocess.Popen]) -> tuple[int, int]:
    """How often a run was complete and how often refused; `living` holds the open runs."""
    source = WRITER.format(tests=str(Path(__file__).parent))
    rng, path, kept = random.Random(11), tmp_path / "run", tmp_path / "kept"
    expected = expected_tables(tmp_path)
    completed = refused = 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        living[:] = [process for process in living if process.poll() is None]
        deed = rng.choice(DEEDS)
        if deed == "start" and len(living) < 3:
            make = map(str, rng.choice(MAKES))
            command = [sys.executable, "-c", source, str(path), *make]
            living.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        elif deed == "kill" and living:
            living[0].send_signal(signal.SIGKILL)
        elif deed == "folder":
            shutil.rmtree(path, ignore_errors=True)
        elif deed in REMOVED:
            remove_some(path, REMOVED[deed])
        elif deed == "edit":
            edit(path, rng)
        elif deed == "keep":
            keep(path, kept)
        elif deed == "put back":
            put_back(path, kept)
        time.sleep(rng.uniform(0, 0.4))
        try:
            run = load_run(path)
        except RunError:
            refused += 1
            continue
        if run.complete:
            completed += 1
            assert run.table.equals(
                expected[run.manifest.settings["sigma"], run.manifest.settings["model"]]
            )
    return completed, refused

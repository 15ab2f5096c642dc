"""A folder that changes under its writer, and runs that lack inputs: nothing is ever wrongly complete."""

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
import pytest
import torch
from planted_rows import ALPHA, INDICES, N, certificate, settings

from sosmooth import SmoothedClassifier
from sosmooth.cli._summary import numbers
from sosmooth.report.relative_change import pair_of
from sosmooth.report.series import series_of
from sosmooth.report.summary import summary_rows
from sosmooth.runs import RunError, RunWriter, export_tsv, load_run, recertify, validate_run
from sosmooth.runs.journal import read_journal


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
    change_manifest(path, sigma=2.5)


def change_manifest(path: Path, **changed) -> None:
    stored = json.loads((path / "manifest.json").read_text())
    stored["settings"] |= changed
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
    """The files but the journal's, and the journal's rows: closing it moves rows between its files."""
    if not path.exists():
        return {}, []
    files = {file.name: file.read_bytes() for file in path.iterdir() if "journal" not in file.name}
    return files, read_journal(path)


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
    if change.__name__ == "removed_journal.sqlite":
        with_rows = True  # there is none before the first row
    error, stayed = go_on_after(change, tmp_path / "run", with_rows)
    assert "was removed, replaced or changed" in str(error)
    assert "\n" not in str(error)
    assert stayed


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
        change_manifest(tmp_path / "copy", **changed)
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


def test_complete_means_that_the_rows_cover_the_indices(tmp_path):
    path = tmp_path / "run"
    begin(path, done=3).close()
    stored = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(stored | {"complete": True}))
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
    assert figures["missing"] == [1, 3, 5, 7, 9]
    assert figures["certified_accuracy"] == 0.5
    assert figures["complete"] is False
    assert figures["average_certified_radius"] == pytest.approx(run["radius"].mean() / 2)
    (row,) = summary_rows([run])
    assert row["images"] == "10, 5 missing"
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
import sys
sys.path.insert(0, {tests!r})
from planted_rows import certificate, settings
from sosmooth.runs import RunError, RunWriter
import time
path, sigma = sys.argv[1], float(sys.argv[2])
try:
    with RunWriter.open(path, settings=settings(sigma), indices=range(40)) as writer:
        for index in range(40):
            if index not in writer.done:
                writer.add(certificate(index, sigma), [index % 3], [0.0])
                time.sleep(0.004)
        writer.finish()
except RunError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


#: Mostly starts and pauses, so that a part of the runs can finish.
DEEDS = [*["start"] * 4, *["wait"] * 12, "kill", "folder", "lock", "journal", "manifest"]


@pytest.mark.slow
def test_a_minute_of_kills_removals_and_replacements(tmp_path):
    """Whatever happens to the folder, a run that says "complete" is the undisturbed run of one sigma."""
    source = WRITER.format(tests=str(Path(__file__).parent))
    rng, path = random.Random(11), tmp_path / "run"
    expected = {}
    for sigma in (0.25, 0.5):
        with RunWriter.open(
            tmp_path / str(sigma), settings=settings(sigma), indices=range(40)
        ) as writer:
            for index in range(40):
                writer.add(certificate(index, sigma), [index % 3], [0.0])
            expected[sigma] = writer.finish().table
    living: list[subprocess.Popen] = []
    completed = refused = 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        living = [process for process in living if process.poll() is None]
        deed = rng.choice(DEEDS)
        if deed == "start" and len(living) < 3:
            sigma = str(rng.choice([0.25, 0.5]))
            command = [sys.executable, "-c", source, str(path), sigma]
            living.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        elif deed == "kill" and living:
            living[0].send_signal(signal.SIGKILL)
        elif deed == "folder":
            shutil.rmtree(path, ignore_errors=True)
        elif deed in ("lock", "journal", "manifest"):
            name = {"lock": ".lock", "journal": "journal.sqlite", "manifest": "manifest.json"}[deed]
            for file in path.glob(f"{name}*") if path.exists() else []:
                file.unlink(missing_ok=True)
        time.sleep(rng.uniform(0, 0.4))
        try:
            run = load_run(path)
        except RunError:
            refused += 1
            continue
        if run.complete:
            completed += 1
            sigma = run.manifest.settings["sigma"]
            assert run.table.equals(expected[sigma])
    for process in living:
        process.kill()
        process.wait()
    assert completed > 5
    assert refused > 5

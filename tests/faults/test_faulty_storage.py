"""What a file system can do to a run without losing anything certified.

It is full, read-only, gone, or cut at any byte, and its clock jumps.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sosmooth import validate_run
from sosmooth.methods import certify_tally
from sosmooth.runs import RunError, RunWriter, files, journal, load_run, manifest
from sosmooth.runs.manifest import manifest_of
from sosmooth.runs.table import table_from_parquet
from sosmooth.tally import Design, Tally

SETTINGS = {"method": "first_order", "sigma": 0.25, "n": 1000, "n0": 100, "alpha": 0.001, "seed": 7}
INDICES = [4, 0, 9]


def certificate(index: int):
    return certify_tally(
        "first_order",
        Tally(Design.INDEPENDENT, np.array([1000]), dimension=4, count_top=np.array([900 + index])),
        selected=np.array([1]),
        selection_margin=np.array([60]),
        index=np.array([index]),
        sigma=0.25,
        alpha=0.001,
        n0=100,
        seed=7,
    )


def write(path: Path, *, stop_after: int | None = None, added: list[int] | None = None):
    """Certify into a run, or resume it.

    `stop_after` stops before the end and does not finish the run, like a kill.
    """
    writer = RunWriter.open(path, settings=SETTINGS, indices=INDICES)
    try:
        for count, index in enumerate(index for index in INDICES if index not in writer.done):
            if count == stop_after:
                return None
            writer.add(certificate(index), [1], [0.5])
            if added is not None:
                added.append(index)
        return writer.finish()
    finally:
        writer.close()


@pytest.fixture
def whole(tmp_path):
    """The table of an undisturbed run."""
    return write(tmp_path / "undisturbed").table


def assert_one_line(error: Exception, said: str = "") -> None:
    text = str(error)
    assert said in text
    assert len(text.splitlines()) == 1


def test_the_manifest_and_the_table_cut_at_every_byte(tmp_path, whole):
    run = tmp_path / "undisturbed"
    for name, read in (("manifest.json", manifest_of), ("results.parquet", table_from_parquet)):
        data = (run / name).read_bytes()
        assert read(run / name, data) == (
            whole if read is table_from_parquet else load_run(run).manifest
        )
        for size in range(len(data)):
            try:
                found = read(run / name, data[:size])
            except RunError as error:
                assert_one_line(error, name)
                continue
            assert data[:size].strip() == data.strip()  # only the end of the last line is missing
            assert found == read(run / name, data)


@pytest.mark.parametrize(
    "step", [101, pytest.param(1, marks=pytest.mark.slow)], ids=["some bytes", "every byte"]
)
@pytest.mark.parametrize("name", ["manifest.json", "results.parquet"])
def test_a_finished_run_cut_at(tmp_path, name, whole, step):
    run = tmp_path / "undisturbed"
    data = (run / name).read_bytes()
    for size in range(0, len(data), step):
        (run / name).write_bytes(data[:size])
        try:
            found = load_run(run)
        except RunError as error:
            assert_one_line(error, name)
            continue
        assert data[:size].strip() == data.strip()  # only the end of the last line is missing
        assert found.table.equals(whole)
    (run / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(RunError, match=name):  # a resume does not overwrite what it cannot read
        write(run)
    (run / name).write_bytes(data)
    assert write(run).table.equals(whole)


@pytest.mark.parametrize("step", [97, pytest.param(11, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
def test_the_journal_of_a_killed_run_cut_at(tmp_path, name, whole, step):
    """Only whole rows are read, in order; otherwise one line says that the journal is damaged."""
    live, run = tmp_path / "live", tmp_path / "run"
    writer = RunWriter.open(live, settings=SETTINGS, indices=INDICES)
    for index in INDICES[:2]:
        writer.add(certificate(index), [1], [0.5])
    # As a power cut leaves it: the write-ahead log was never merged into the file.
    shutil.copytree(live, run)
    writer.close()
    expected = {row["index"]: row for row in whole.to_pylist()}
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    data = before[name]
    sizes, resumed = set(), 0
    for size in [*range(0, len(data), step), len(data)]:
        for other, content in before.items():
            (run / other).write_bytes(content if other != name else data[:size])
        try:
            rows = load_run(run).table.to_pylist()
        except RunError as error:
            assert_one_line(error, "journal")
            with pytest.raises(RunError, match="journal"):
                write(run)
            continue
        assert all(row == expected[row["index"]] for row in rows)
        if len(rows) not in sizes:
            sizes.add(len(rows))
            resumed += 1
            copy = tmp_path / f"resumed{size}"
            shutil.copytree(run, copy)
            assert (
                write(copy).table.drop_columns(["seconds"]).equals(whole.drop_columns(["seconds"]))
            )
    assert 2 in sizes
    assert resumed


class Refusing:
    """The functions of `os` that change a file system fail from a certain call on."""

    def __init__(self, monkeypatch, at: int, code: int):
        self.calls = 0
        for name in ("fsync", "replace", "open"):
            monkeypatch.setattr(files.os, name, self._wrapped(getattr(os, name), at, code))

    def _wrapped(self, function, at, code):
        def call(*arguments, **more):
            self.calls += 1
            if self.calls > at:
                raise OSError(code, os.strerror(code))
            return function(*arguments, **more)

        return call


@pytest.mark.parametrize(
    "code",
    [
        errno.ENOSPC,
        *(
            pytest.param(code, marks=pytest.mark.slow)
            for code in (errno.EACCES, errno.EROFS, errno.EIO)
        ),
    ],
    ids=errno.errorcode.get,
)
def test_a_file_system_that_refuses_from_any_moment_on(tmp_path, whole, code):
    """The disk is full, read-only or broken, or permission is lost, at each single call in turn."""
    expected = {row["index"]: row for row in whole.to_pylist()}
    for at in range(200):
        run, added = tmp_path / f"{at}", []
        with pytest.MonkeyPatch.context() as monkeypatch:
            refusing = Refusing(monkeypatch, at, code)
            try:
                write(run, added=added)
                finished = True
            except RunError as error:
                finished = False
                assert_one_line(error, "cannot be written")
        if (run / "manifest.json").exists():
            stored = {row["index"]: row for row in load_run(run).table.to_pylist()}
            assert stored.keys() >= set(added)
            assert all(row == expected[index] for index, row in stored.items())
        assert write(run).table.equals(whole)
        if finished:
            assert refusing.calls <= at
            assert at > 5
            return
    raise AssertionError("it never finished")


def test_a_full_database_loses_nothing(tmp_path, whole, monkeypatch):
    connect = sqlite3.connect

    def small(*arguments, **more):
        connection = connect(*arguments, **more)
        if not more.get("uri"):
            connection.execute("PRAGMA max_page_count = 2")
        return connection

    many = list(range(60))
    with monkeypatch.context() as patch:
        patch.setattr(journal.sqlite3, "connect", small)
        writer = RunWriter.open(tmp_path / "run", settings=SETTINGS, indices=many)
        added = []

        def fill():
            for index in many:
                writer.add(certificate(index), [1], [0.5])
                added.append(index)

        with pytest.raises(RunError, match="database or disk is full") as refusal:
            fill()
        writer.close()
    assert_one_line(refusal.value)
    assert added
    assert load_run(tmp_path / "run")["index"].tolist() == added
    with RunWriter.open(tmp_path / "run", settings=SETTINGS, indices=many) as again:
        assert again.done == set(added)


def test_a_folder_that_disappears_is_one_line(tmp_path):
    writer = RunWriter.open(tmp_path / "run", settings=SETTINGS, indices=INDICES)
    writer.add(certificate(4), [1], [0.5])
    shutil.rmtree(tmp_path / "run")

    def go_on():
        for index in INDICES[1:]:
            writer.add(certificate(index), [1], [0.5])
        writer.finish()

    with pytest.raises(RunError, match="was removed, replaced or changed") as refusal:
        go_on()
    assert_one_line(refusal.value)
    writer.close()


@pytest.mark.skipif(
    os.geteuid() == 0,
    reason="the superuser may write everywhere; the calls that refuse are tested above",
)
def test_permission_lost_in_the_middle(tmp_path):
    write(tmp_path / "run", stop_after=1)
    (tmp_path / "run").chmod(0o500)
    try:
        with pytest.raises(RunError, match="cannot be written") as refusal:
            write(tmp_path / "run")
        assert_one_line(refusal.value)
        assert len(load_run(tmp_path / "run")) == 1
    finally:
        (tmp_path / "run").chmod(0o700)
    assert len(write(tmp_path / "run")) == 3


class JumpingClock(datetime):
    """The clock jumps back by a year or forward by ten between any two calls."""

    looks = 0

    @classmethod
    def now(cls, tz=None):
        cls.looks += 1
        return datetime(2026 + (10 if cls.looks % 3 == 0 else -cls.looks % 2), 1, 1, tzinfo=UTC)


def test_a_clock_that_jumps_changes_no_result(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(manifest, "datetime", JumpingClock)
    write(tmp_path / "run", stop_after=1)
    run = write(tmp_path / "run")
    assert JumpingClock.looks >= 2
    assert run.table.equals(whole)
    assert validate_run(tmp_path / "run") == []
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["finished"]

"""Inputs as they finish: an SQLite file in which a row is there entirely or not at all, whenever the process dies."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sosmooth.runs.files import RunError, replaced, unreadable, unwritable

NAME = "journal.sqlite"


class Journal:
    """The rows of a run that are not yet in its table. One writer (the run is locked), any number of readers."""

    def __init__(self, folder: Path):
        self.path = folder / NAME
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None)
            # A write-ahead log: one sync a commit, and readers never block the writer.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS rows"
                " (input INTEGER PRIMARY KEY, row TEXT NOT NULL, digest TEXT NOT NULL)"
            )
            self._file = self._identity()
        except sqlite3.Error as error:
            raise RunError(
                f"{self.path} cannot be written ({error}); make room, or remove it if it is damaged"
            ) from error

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check(self) -> None:
        """Refuse to go on where the file at the path is another one.

        Raises:
            RunError: it was removed or replaced.
        """
        if self._file is None or self._identity() != self._file:
            raise replaced(self.path.parent)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Make rows durable, all or none."""
        # JSON prints the shortest decimal that reads back as the same float.
        texts = [(row["index"], json.dumps(row)) for row in rows]
        self.check()
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT INTO rows VALUES (?, ?, ?)",
                    [(index, text, _digest(text)) for index, text in texts],
                )
        except sqlite3.Error as error:
            raise RunError(
                f"{self.path} cannot be written ({error}); make room, then run the same command again"
            ) from error
        self.check()  # or the rows went into a file that is no longer there

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The rows in the journal of a folder, which is not changed; none where there is no journal.

    Raises:
        RunError: the journal is damaged.
    """
    path = folder / NAME
    log = path.with_name(f"{NAME}-wal")
    try:
        # SQLite takes an empty file for a new database, and deletes the log with the rows.
        cut = path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0
    except FileNotFoundError:
        return []
    if cut:
        raise RunError(
            f"{path} is empty though its write-ahead log is not; it is damaged: restore it, or certify into another folder"
        )
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchone():
                return []  # killed before the first row
            return _rows(connection, path)
    except sqlite3.Error as error:
        if not path.exists():  # the writer finished in between
            return []
        if "unable to open" in str(error):
            # A log of a killed writer is merged when it is read, which writes to the folder.
            raise RunError(
                f"{path} cannot be read ({error}); its folder must be writable while the journal"
                " holds rows: copy the run to another folder, or change the permissions"
            ) from error
        raise unreadable(path, error, "the journal of a run") from error


def remove_journal(folder: Path) -> None:
    """Delete the journal, closed before: its rows are in the table."""
    path = folder / NAME
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        try:
            path.with_name(name).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(connection: sqlite3.Connection, path: Path) -> list[dict[str, Any]]:
    # Journals of earlier versions have no digests.
    digests = {column[1] for column in connection.execute("PRAGMA table_info(rows)")} >= {"digest"}
    query = f"SELECT input, row, {'digest' if digests else 'NULL'} FROM rows ORDER BY input"
    try:
        found = []
        for index, text, digest in connection.execute(query):
            row = json.loads(text)
            if digests and _digest(text) != digest:
                raise ValueError(f"the row of input {index} does not have its digest")
            if not isinstance(row, dict) or row.get("index") != index:
                raise ValueError(f"the row of input {index} is of another input")
            found.append(row)
        return found
    except (sqlite3.Error, ValueError, TypeError, RecursionError) as error:
        raise unreadable(path, error, "the journal of a run") from error

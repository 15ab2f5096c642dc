"""Inputs as they finish: an SQLite file that holds each row entirely or not at all.

That is true whenever the process dies.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sosmooth.runs.files import RunError, identity, replaced, unreadable, unwritable

NAME = "journal.sqlite"


class Journal:
    """The rows of a run that are not yet in its table.

    It has one writer, as the run is locked, and any number of readers.
    """

    def __init__(self, folder: Path, settings: str):
        """Create the journal of a folder that has none.

        Args:
            folder: of the run.
            settings: the digest of what rows are made with.
        """
        self.path = folder / NAME
        self._settings = settings
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None)
            # A write-ahead log: one sync a commit, and readers never block the writer.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(
                "CREATE TABLE rows (input INTEGER PRIMARY KEY, row TEXT NOT NULL,"
                " digest TEXT NOT NULL, settings TEXT NOT NULL)"
            )
            self._files = self._identities()
        except sqlite3.Error as error:
            raise RunError(
                f"{self.path} cannot be written ({error}); free some disk space, or remove the file"
                " if it is damaged"
            ) from error

    def _identities(self) -> list[tuple[int, int] | None]:
        """Which files are at the paths; SQLite keeps new rows in a log beside the journal."""
        return [identity(path) for path in _files(self.path.parent)]

    def check(self) -> None:
        """Refuse to write more where a file at the paths is another one.

        Raises:
            RunError: it was removed or replaced.
        """
        if None in self._files or self._identities() != self._files:
            raise replaced(self.path.parent)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Make rows durable, all or none. `check` tells whether the files are still these."""
        # JSON prints the shortest decimal that reads back as the same float.
        texts = [(row["index"], json.dumps(row)) for row in rows]
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT INTO rows VALUES (?, ?, ?, ?)",
                    [(index, text, _digest(text), self._settings) for index, text in texts],
                )
        except sqlite3.Error as error:
            raise RunError(
                f"{self.path} cannot be written ({error}); free some disk space, then run the same"
                " command again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read_journal(folder: Path) -> tuple[list[dict[str, Any]], set[str]]:
    """The rows in the journal of a folder; none where there is no journal.

    Args:
        folder: of the run; it is not changed.

    Returns:
        The rows, and the digests of the settings that they were made with.

    Raises:
        RunError: the journal is damaged.
    """
    path = folder / NAME
    log = path.with_name(f"{NAME}-wal")
    try:
        # SQLite takes an empty file for a new database, and deletes the log with the rows.
        cut = path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0
    except FileNotFoundError:
        return [], set()
    if cut:
        raise RunError(
            f"{path} is empty though its write-ahead log is not; it is damaged: restore it, or"
            " certify into another folder"
        )
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchone():
                return [], set()  # killed before the first row
            return _rows(connection, path)
    except sqlite3.Error as error:
        if not path.exists():  # the writer finished in between
            return [], set()
        if not _is_damage(error):
            raise RunError(
                f"{path} cannot be read ({error}); check the disk, and that you can write to its"
                " folder, which is needed to read the journal of a killed writer"
            ) from error
        raise unreadable(path, error, "the journal of a run") from error


def remove_journal(folder: Path) -> None:
    """Delete the journal, which is closed: its rows are in the table."""
    for path in _files(folder):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error


def has_journal(folder: Path) -> bool:
    """Whether a folder has a journal."""
    return (folder / NAME).exists()


def _files(folder: Path) -> list[Path]:
    return [folder / NAME, folder / f"{NAME}-wal", folder / f"{NAME}-shm"]


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the bytes are at fault, rather than the disk or the permissions."""
    system = (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in system


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(connection: sqlite3.Connection, path: Path) -> tuple[list[dict[str, Any]], set[str]]:
    # Journals of earlier versions have no digests.
    columns = {column[1] for column in connection.execute("PRAGMA table_info(rows)")}
    digests = {"digest", "settings"} <= columns
    query = f"SELECT input, row, {'digest, settings' if digests else 'NULL, NULL'} FROM rows"
    found, made_with = [], set()
    try:
        for index, text, digest, settings in connection.execute(f"{query} ORDER BY input"):
            row = json.loads(text)
            if digests and _digest(text) != digest:
                raise ValueError(f"the row of input {index} does not have its digest")
            if not isinstance(row, dict) or row.get("index") != index:
                raise ValueError(f"the row of input {index} is of another input")
            found.append(row)
            made_with.add(settings)
    except (sqlite3.Error, AttributeError, ValueError, TypeError, RecursionError) as error:
        raise unreadable(path, error, "the journal of a run") from error
    return found, made_with - {None}

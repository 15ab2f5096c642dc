"""Writing a run so that a kill at any moment loses only the inputs in progress.

The same command then resumes the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from numpy.typing import ArrayLike

from sosmooth.results import Certificates
from sosmooth.runs import manifest
from sosmooth.runs.files import LOCK, FolderLock, RunError, replaced, unwritable
from sosmooth.runs.journal import Journal, has_journal, remove_journal
from sosmooth.runs.manifest import (
    Manifest,
    describe_environment,
    described,
    manifest_bytes,
    manifest_file,
    timestamp,
)
from sosmooth.runs.run import RESULTS, Run, StoredRows, load_run, ordered, read_rows
from sosmooth.runs.schema import SCHEMA, with_settings
from sosmooth.runs.table import digest, numpy_of, parquet_bytes, table_of


class RunWriter:
    """The one writer of a run. Make it with `RunWriter.open`, and use it as a context manager.

    Attributes:
        path: the folder.
        done: indices of the inputs already certified, by this session or an earlier one.
    """

    def __init__(
        self,
        path: Path,
        lock: FolderLock,
        manifest_: Manifest,
        written: bytes,
        stored: StoredRows | None,
        indices: list[int],
    ):
        self.path = path
        self._lock = lock
        self._manifest = manifest_
        self._written = written  # the manifest's file, as it must still be
        self._stored = stored or StoredRows(None, "", SCHEMA.empty_table())
        self._parts = [self._stored.rows]
        self._indices = indices
        self._journal: Journal | None = None  # made by the first input
        self.done: set[int] = set(numpy_of(self._stored.rows, "index").tolist())
        self._awaited = set(indices) - self.done
        if self._awaited:
            self._update(**self._asked(), complete=False, finished=None)
            if has_journal(path):  # of a session that was killed; each session makes its own
                self._settle(complete=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        settings: Mapping[str, Any],
        indices: Iterable[int],
        digests: Mapping[str, str] | None = None,
        dimension: int | None = None,
        num_classes: int | None = None,
        class_names: list[str] | None = None,
        choice: str | None = None,
        device: str | None = None,
        environment: Mapping[str, Any] | None = None,
        derived_from: Mapping[str, Any] | None = None,
    ) -> RunWriter:
        """Begin a run, or resume it where an earlier session with the same settings stopped.

        Args:
            path: the folder; created if it does not exist.
            settings: what identifies the run: method, sigma, n, n0, alpha, seed (None if unknown)
                and any others.
            indices: whole numbers, distinct: the inputs to be certified, in the order of the table.
                Inputs of earlier sessions that are not among them are kept.
            digests: of the classifier and the data, by name; they identify the run too.
            dimension: features of one input; None: as in the settings, or as the first tally says.
            num_classes: of the data; None: as in the settings.
            class_names: names of the classes, recorded.
            choice: how the inputs were chosen, in words, recorded.
            device: where the classifier runs, recorded.
            environment: versions and host, recorded; None: of this process.
            derived_from: what the run is computed from, with a "digest".

        Returns:
            The writer, holding the lock of the folder until it is closed.

        Raises:
            RunError: another process writes the run, or it was written with other settings (the
                line names each with both values), or the folder is not a run, is damaged or cannot
                be written.
            ValueError: a required setting is missing, or an index occurs twice.
        """
        folder = Path(path)
        missing = [name for name in manifest.REQUIRED_SETTINGS if name not in settings]
        if missing:
            raise ValueError(f"settings lack {', '.join(missing)}")
        wanted = [int(index) for index in indices]
        if len(set(wanted)) < len(wanted):
            raise ValueError(
                "indices must be distinct; the noise of an input follows from its index"
            )
        asked = Manifest(
            settings=manifest.as_json(dict(settings)),
            environment=dict(environment or describe_environment(device)),
            inputs=len(wanted),
            indices=described(wanted),
            created=timestamp(),
            digests=dict(digests or {}),
            dimension=settings.get("dimension") if dimension is None else dimension,
            num_classes=settings.get("num_classes") if num_classes is None else num_classes,
            class_names=class_names,
            choice=choice,
            derived_from=manifest.as_json(derived_from),
        )
        _refuse_foreign(folder)
        lock = FolderLock(folder)
        try:
            if (folder / manifest.NAME).exists():
                written = manifest_file(folder)
                stored = manifest.manifest_of(folder / manifest.NAME, written)
                if differing := manifest.differences(stored, asked):
                    raise RunError(
                        f"{folder} was written with other settings: {'; '.join(differing)}."
                        " Give the same settings, or another folder"
                        + manifest.hint(stored, differing)
                    )
                asked = replace(
                    stored,
                    environment=asked.environment,
                    class_names=class_names or stored.class_names,
                )
                if stored.complete:  # nothing to do, unless inputs are added
                    asked = replace(asked, environment=stored.environment)
                rows = read_rows(folder, stored)
            else:
                rows, written = None, manifest_bytes(asked)
                lock.write(manifest.NAME, written)
            return cls(folder, lock, asked, written, rows, wanted)
        except BaseException:
            lock.close()
            raise

    @property
    def batch_size(self) -> int | None:
        """Evaluations in one call of the classifier; None until a session has set it.

        A resumed run keeps it.
        """
        return self._manifest.batch_size

    @batch_size.setter
    def batch_size(self, value: int | None) -> None:
        self._update(batch_size=value)

    @property
    def manifest(self) -> Manifest:
        """The manifest as it is stored."""
        return self._manifest

    def record(self, *, answers: dict[str, str], environments: list[dict[str, Any]]) -> None:
        """Store what identifies the classifier, and where it was evaluated.

        Args:
            answers: as `Manifest.answers`.
            environments: as `Manifest.environments`.
        """
        self._update(answers=answers, environments=environments)

    def add(
        self, certificates: Certificates, labels: ArrayLike | None, seconds: ArrayLike | None
    ) -> None:
        """Store the certificates of one or more inputs. Once it returns, no kill can lose them.

        Args:
            certificates: made with the settings of the run.
            labels: true classes (batch,), −1 = unknown.
            seconds: spent on each input (batch,).

        Raises:
            ValueError: an input is stored already or not among the run's indices, or the
                certificates have other settings.
            RunError: the folder cannot be written; what was added before stays.
        """
        settings = {"classes": "top", "norm": "l2"} | self._manifest.settings
        for name in ("method", "classes", "norm", "sigma", "alpha", "n0", "seed"):
            if getattr(certificates, name) != settings[name]:
                raise ValueError(
                    f"{name} of the certificates is {getattr(certificates, name)!r}, that of the"
                    f" run is {settings[name]!r}"
                )
        table = table_of(certificates, labels, seconds)
        added = numpy_of(table, "index").tolist()
        wrong = [index for index in added if index not in self._awaited]
        if wrong or len(set(added)) < len(added):
            raise ValueError(
                f"inputs {wrong or added} are in the run already, or not among its indices"
            )
        if self._manifest.dimension is None and certificates.tally.dimension is not None:
            self._update(dimension=certificates.tally.dimension)
        self._check()
        self._journal = self._journal or Journal(self.path, self._manifest.settings_digest())
        self._journal.add(table.to_pylist())
        self._check()  # else the rows went into a file that was removed
        self._parts.append(table)
        self.done.update(added)
        self._awaited.difference_update(added)

    def replace(self, table: pa.Table) -> None:
        """Take a whole table that can be computed again at any time.

        It does not go through the journal: `finish` writes it.
        """
        self._parts = [table]
        self.done = set(numpy_of(table, "index").tolist())
        self._awaited = set(self._indices) - self.done
        self._update(**self._asked())

    def finish(self) -> Run:
        """Write the table in the order of the indices, mark the run complete, remove the journal.

        Raises:
            ValueError: inputs are missing.
            RunError: the folder cannot be written; the journal stays.
        """
        if self._awaited:
            raise ValueError(
                f"{len(self._awaited)} inputs are not certified yet, one of them of index"
                f" {min(self._awaited)}"
            )
        return self._closing(complete=True)

    def pause(self) -> Run:
        """Write the table of what is certified; the run stays unfinished.

        Raises:
            RunError: the folder cannot be written; the journal stays.
        """
        return self._closing(complete=False)

    def _closing(self, *, complete: bool) -> Run:
        self._settle(complete=complete)
        run = load_run(self.path)
        self._check()  # so this run was loaded and no other
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._lock.held and not self._manifest.complete:
                self._settle(complete=False)
        except RunError as failure:
            if error is None:
                raise
            # What was certified is in the journal, and can be read from there.
            error.add_note(str(failure))
        finally:
            self.close()

    def close(self) -> None:
        """Release the run."""
        if self._journal is not None:
            self._journal.close()
        self._lock.close()

    def _check(self) -> None:
        """Refuse to write more where folder, manifest or journal are no longer this writer's.

        Raises:
            RunError: one was removed, replaced or changed.
        """
        self._lock.check()
        try:
            there = (self.path / manifest.NAME).read_bytes()
        except OSError:
            there = b""
        if there != self._written:
            raise replaced(self.path)
        if self._journal is not None:
            self._journal.check()

    def _asked(self) -> dict[str, Any]:
        """The inputs that the run is to hold: those asked for, and those that it held before."""
        others = sorted(self.done - set(self._indices))
        return {
            "inputs": len(self._indices) + len(others),
            "indices": described([*self._indices, *others]),
        }

    def _settle(self, *, complete: bool) -> None:
        """Write everything to the table, and only then remove the journal."""
        self._check()
        rows = ordered(pa.concat_tables(self._parts), self._indices)
        there = self._stored.table is not None and (self.path / RESULTS).exists()
        if not there or not rows.equals(self._stored.table):
            rows = with_settings(rows, self._manifest.settings_digest())
            data = parquet_bytes(rows)
            self._lock.write(RESULTS, data)
            self._stored = StoredRows(rows, digest(data), rows)
        finished = (self._manifest.finished or timestamp()) if complete else None
        self._update(complete=complete, finished=finished, table_digest=self._stored.table_digest)
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._check()
        remove_journal(self.path)

    def _update(self, **changes: Any) -> None:
        """Change the manifest, and the file if that changes it."""
        changed = replace(self._manifest, **changes)
        if changed != self._manifest:
            self._check()
            written = manifest_bytes(changed)
            self._lock.write(manifest.NAME, written)
            self._manifest, self._written = changed, written


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds other files and no manifest."""
    try:
        names = {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise RunError(
            f"{folder} is not a folder; a run is a folder: give another name, or move the file away"
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    foreign = sorted(names - {LOCK, f".{manifest.NAME}.partial"})
    if foreign and manifest.NAME not in names:
        raise RunError(
            f"{folder} holds other files ({', '.join(foreign[:3])}) and no {manifest.NAME}; give an"
            " empty folder or a run"
        )

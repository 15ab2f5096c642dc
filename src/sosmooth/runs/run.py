"""A stored run, opened for reading: finished, in progress or killed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from sosmooth._html import ROWS, table
from sosmooth.measures import norm_of
from sosmooth.results import Certificates, listed, with_missing
from sosmooth.runs.files import RunError, unreadable
from sosmooth.runs.journal import read_journal
from sosmooth.runs.manifest import REQUIRED_SETTINGS, Manifest, read_manifest
from sosmooth.runs.schema import COLUMNS, SCHEMA, check_row, settings_of, with_settings
from sosmooth.runs.table import (
    certificates_of,
    digest,
    numpy_of,
    parquet_bytes,
    table_from_parquet,
    table_of,
)
from sosmooth.surface import Results

RESULTS = "results.parquet"
_NAMED = 5
_ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Run(Results):
    """A run: its certificates, one row per input, and its manifest.

    Attributes:
        path: its folder.
        manifest: settings, versions, digests.
        table: an Arrow table, one row per input; `runs.schema.COLUMNS` describes the columns.
        table_digest: SHA-256 of the table's Parquet file.
    """

    path: Path
    manifest: Manifest
    table: pa.Table
    table_digest: str

    @property
    def complete(self) -> bool:
        """Whether every input of the run is in the table."""
        return self.manifest.complete and not len(self.missing)

    @property
    def shortfall(self) -> str:
        """What is missing in an unfinished run, in one sentence; empty where it is complete."""
        if self.complete:
            return ""
        if not len(self.missing):
            return "the run was stopped before it was finished"
        named = ", ".join(map(str, self.missing[:_NAMED].tolist()))
        more = ", …" if len(self.missing) > _NAMED else ""
        return (
            f"{len(self.missing)} of {self.inputs} inputs are missing: {named}{more} failed or were"
            " not reached, and count as not certified"
        )

    @property
    def missing(self) -> NDArray[np.int64]:
        """The indices of the inputs without a row: they failed, or were not reached."""
        asked = self.manifest.asked()
        if asked is None:
            return np.zeros(0, dtype=np.int64)
        return np.setdiff1d(np.array(asked, dtype=np.int64), self["index"])

    @property
    def inputs(self) -> int:
        """How many inputs the run is to hold, those without a certificate included."""
        return len(self) + len(self.missing)

    def __len__(self) -> int:
        return len(self.table)

    def certificates(self) -> Certificates:
        """The certificates, with their tallies and bounds."""
        return certificates_of(self.table, self.manifest)

    def as_run(self) -> Run:
        """Itself."""
        return self

    @classmethod
    def of_run(cls, run: Run) -> Run:
        """The run.

        Args:
            run: the run.
        """
        return run

    def with_missing(self) -> Certificates:
        """The certificates, followed by abstentions for the missing inputs."""
        return with_missing(self.certificates(), self.missing, self.manifest.settings["n"])

    def labelled(self, labels: ArrayLike) -> Run:
        """The same run with other labels, in memory; the stored one is not changed.

        Args:
            labels: true classes, integers (inputs,), −1 = unknown.
        """
        certificates = self.certificates().labelled(labels)
        return replace(self, table=table_of(certificates, None, self["seconds"]), table_digest="")

    def column(self, name: str) -> NDArray:
        """What `run[name]` gives: a column as a NumPy array, (inputs,).

        Null becomes −1 in integers, NaN in floats and the empty string in text. A column of lists
        becomes an array (inputs, length of the longest), filled up with −1 in `class_ids`, with 0
        in the counts and with NaN in the curvature.

        Args:
            name: of the column, one of `runs.schema.COLUMNS`.
        """
        if name not in COLUMNS:
            raise KeyError(f"there is no column {name!r}; there are: {', '.join(COLUMNS)}")
        return numpy_of(self.table, name)

    def columns(self) -> dict[str, NDArray]:
        """The columns with a known value, as arrays (inputs,): −1 and NaN mean unknown.

        The lists of the other classes are not included: see `run["class_ids"]`.
        """
        known = {
            name: self[name]
            for name in self.table.column_names
            if self.table[name].null_count < max(1, len(self))
        }
        return {name: values for name, values in known.items() if values.ndim == 1}

    @property
    def stops(self) -> bool:
        """Whether samples were drawn until a question was decided.

        The column n is then the number drawn for each input, at most the n of the settings.
        """
        return self.manifest.stops

    @property
    def norm(self) -> str:
        """What the radii are measured in: l2, or what an imported log was declared to have."""
        return norm_of(self.manifest.settings)

    def __repr__(self) -> str:
        state = "" if self.complete else f" of {self.inputs}, unfinished"
        return f"<run {str(self.path)!r}{state}: {repr(self.certificates()).strip('<>')}>"

    def _repr_html_(self) -> str:
        certificates = self.certificates()
        columns = listed(certificates)
        labels = [certificates.called(label) for label in self["label"][:ROWS].tolist()]
        columns = {"input": columns.pop("input"), "label": labels} | columns
        return table(columns, caption=repr(self).strip("<>"), total=len(self))


def load_run(path: str | Path) -> Run:
    """Open a run for reading. Unfinished and killed runs open with the inputs certified so far.

    Args:
        path: the folder of the run; it is not changed.

    Returns:
        The run: `run["radius"]` and the other columns are arrays (inputs,); `run.certificates()`
        gives the certificates.

    Raises:
        RunError: the folder is not a run, is damaged, or comes from another program or a later
            version; or its rows were made with other settings than its manifest says (the line
            names them).
    """
    folder = Path(path)
    for _ in range(_ATTEMPTS):
        manifest = read_manifest(folder)
        try:
            return _loaded(folder, manifest)
        except RunError:
            # A writer that resumed in between wrote rows that belong to a newer manifest.
            if manifest == read_manifest(folder):
                raise
    return _loaded(folder, read_manifest(folder))


def _loaded(folder: Path, manifest: Manifest) -> Run:
    stored = read_rows(folder, manifest)
    if stored.table is None and manifest.complete:
        raise RunError(
            f"{folder} says it is complete but has no {RESULTS}; restore the file, or certify again"
        )
    if manifest.complete and len(stored.rows) < manifest.inputs:
        raise RunError(
            f"{folder} says it is complete with {manifest.inputs} inputs, but holds"
            f" {len(stored.rows)}; restore its files, or certify again"
        )
    table_digest = stored.table_digest
    if stored.table is None or len(stored.rows) > len(stored.table):
        table_digest = digest(parquet_bytes(with_settings(stored.rows, manifest.settings_digest())))
    return Run(folder, manifest, stored.rows, table_digest)


@dataclass(frozen=True)
class StoredRows:
    """The table of a folder as last written, and all rows: the table's and the journal's."""

    table: pa.Table | None
    table_digest: str
    rows: pa.Table


def read_rows(folder: Path, manifest: Manifest) -> StoredRows:
    """The rows of a run, checked against its manifest.

    Raises:
        RunError: they are damaged, or were made with other settings than the manifest's.
    """
    # The journal first: if a writer finishes in between, its rows are in the table that is read
    # after.
    journal, made_with = read_journal(folder)
    table, table_digest = read_results(folder)
    rows = with_rows(table, journal, folder)
    _check_rows(rows, manifest, folder)
    if table is not None and len(table) and (of_table := settings_of(table)) is not None:
        made_with |= {of_table}
    if made_with - {manifest.settings_digest()}:
        raise RunError(
            f"{folder} contradicts itself: its rows were made with other settings than its manifest"
            " says; restore the files, or certify again"
        )
    return StoredRows(table, table_digest, rows)


def read_results(folder: Path) -> tuple[pa.Table | None, str]:
    """The table as last written and its digest; None where there is none yet."""
    path = folder / RESULTS
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        raise unreadable(path, error, "the Parquet file of a run") from error
    return table_from_parquet(path, data), digest(data)


def with_rows(table: pa.Table | None, rows: list[dict], folder: Path) -> pa.Table:
    """The table followed by the journal's rows that it does not hold yet."""
    table = SCHEMA.empty_table() if table is None else table
    known = set(numpy_of(table, "index").tolist())
    try:
        for row in rows:
            check_row(row)
        added = pa.Table.from_pylist(
            [row for row in rows if row["index"] not in known], schema=SCHEMA
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError, OverflowError) as error:
        raise unreadable(folder, error, "a run: its journal") from error
    return pa.concat_tables([table, added])


def _check_rows(table: pa.Table, manifest: Manifest, folder: Path) -> None:
    """Refuse rows with other settings than the run's, or several rows of one input.

    Raises:
        RunError: naming the first setting that differs with both values, or the input.
    """
    settings, index = manifest.settings, numpy_of(table, "index")
    for name in REQUIRED_SETTINGS:
        values = numpy_of(table, name)
        # An unknown number is null in the table, which is read as −1.
        setting = -1 if settings[name] is None else settings[name]
        wrong = values > setting if manifest.stops and name == "n" else values != setting
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise RunError(
                f"{folder} contradicts itself: {name} is {settings[name]!r} in its manifest, and"
                f" {values[row].item()!r} for input {index[row]} and"
                f" {int(np.sum(wrong)) - 1} others; restore the files, or certify again"
            )
    if twice := len(index) - len(np.unique(index)):
        raise RunError(
            f"{folder} contradicts itself: {twice} indices occur more than once; restore the files,"
            " or certify again"
        )
    asked = manifest.asked()
    if asked is not None and len(others := np.setdiff1d(index, np.array(asked, dtype=np.int64))):
        raise RunError(
            f"{folder} contradicts itself: it holds input {others[0]}, which is not one of its"
            " indices; restore the files, or certify again"
        )


def ordered(table: pa.Table, indices: list[int]) -> pa.Table:
    """The rows in the order of the indices; rows of other indices after them, by index."""
    rank = {index: position for position, index in enumerate(indices)}
    have = numpy_of(table, "index").tolist()
    order = sorted(range(len(have)), key=lambda row: (rank.get(have[row], len(rank)), have[row]))
    return table.take(pa.array(np.array(order, dtype=np.int64))).combine_chunks()

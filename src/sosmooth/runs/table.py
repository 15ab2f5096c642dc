"""Certificates ↔ rows: to an Arrow table, to the bytes of a Parquet file, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from sosmooth.confidence.bounds import Bounds
from sosmooth.measures import ABSTAINED, norm_of
from sosmooth.methods import METHODS
from sosmooth.results import Certificates
from sosmooth.runs.files import RunError, unreadable
from sosmooth.runs.schema import (
    COLUMNS,
    SCHEMA,
    SCHEMA_VERSION,
    settings_of,
    version_of,
    with_settings,
)
from sosmooth.stopping import RULES, StoppingRule
from sosmooth.tally import CURVATURE_KEPT, NO_CLASS, Design, Tally

if TYPE_CHECKING:
    from sosmooth.runs.manifest import Manifest


# Lists of one length in each row.
_TOGETHER = (
    ("class_ids", "class_same", "class_one"),
    ("curvature_eigenvalues", "curvature_squares"),
)


def table_of(
    certificates: Certificates, labels: ArrayLike | None, seconds: ArrayLike | None
) -> pa.Table:
    """The rows of certificates, with every column of the schema.

    Args:
        certificates: of a batch.
        labels: true classes, integers (batch,), −1 = unknown; None: those of the certificates.
        seconds: time spent on each input, (batch,); None: unknown.

    Returns:
        A table of `SCHEMA`, one row per input.
    """
    size = len(certificates)
    values = vars(certificates) | certificates.tally.arrays() | vars(certificates.bounds)
    values |= {"index": certificates.input_index, "seconds": seconds}
    values |= {} if labels is None else {"label": labels}
    ids = certificates.tally.class_ids
    seen = np.zeros(size, np.int64) if ids is None else np.sum(ids != NO_CLASS, axis=1)
    columns = [_arrow(name, values.get(name), size, seen) for name in COLUMNS]
    return pa.table(columns, schema=SCHEMA)


def _arrow(name: str, value: ArrayLike | None, size: int, length: NDArray[np.int64]) -> pa.Array:
    column = COLUMNS[name]
    if value is None:
        return pa.nulls(size, column.type)
    if pa.types.is_list(column.type):
        array = np.asarray(value)
        if name not in _TOGETHER[0]:
            length = np.where(np.isnan(array).all(axis=1), 0, array.shape[1])
        return _lists(array, column.type, length)
    array = np.broadcast_to(np.asarray(value), (size,))
    if pa.types.is_string(column.type):
        return pa.array(array.tolist(), column.type)
    mask = None
    if column.unknown is not None:
        mask = np.isnan(array) if np.isnan(column.unknown) else array == column.unknown
    return pa.array(array, column.type, mask=mask)


def numpy_of(table: pa.Table, name: str) -> NDArray:
    """A column as a NumPy array; null is −1 in integers, NaN in floats, empty in text.

    Lists become an array (rows, width of the longest), shorter ones filled up; null is empty.
    """
    column = table[name].combine_chunks()
    if pa.types.is_list(column.type):
        return _filled(column, COLUMNS[name].fill)
    if pa.types.is_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=np.str_)
    if pa.types.is_floating(column.type):
        return column.fill_null(np.nan).to_numpy(zero_copy_only=False)
    array = column.fill_null(0).to_numpy(zero_copy_only=False)
    if array.dtype == np.uint64 and not np.any(array > np.iinfo(np.int64).max):
        array = array.astype(np.int64)
    return (
        np.where(column.is_null().to_numpy(zero_copy_only=False), -1, array)
        if column.null_count
        else array
    )


def _lists(array: NDArray, kind: pa.DataType, length: NDArray) -> pa.Array:
    """Rows of an array (rows, width) as lists of their first `length` values."""
    used = np.arange(array.shape[1]) < length[:, None]
    ends = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(array[used]), type=kind)


def _lengths(column: pa.ListArray) -> NDArray[np.int64]:
    """The length of each list, 0 where it is null."""
    return column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)


def _filled(column: pa.ListArray, fill: float) -> NDArray:
    length = _lengths(column)
    kind = column.type.value_type.to_pandas_dtype()
    array = np.full((len(column), length.max(initial=0)), fill, dtype=kind)
    array[np.arange(array.shape[1]) < length[:, None]] = column.flatten().to_numpy()
    return array


def certificates_of(table: pa.Table, manifest: Manifest) -> Certificates:
    """The certificates that the rows were made of.

    Raises:
        RunError: a column holds counts for some inputs and none for others, or lists that belong
            together differ in length.
    """
    counted, bounded = _columns(table, Tally), _columns(table, Bounds)
    for names in _TOGETHER:
        lengths = [
            _lengths(table[name].combine_chunks()) for name in names if counted[name] is not None
        ]
        if any(not np.array_equal(length, lengths[0]) for length in lengths):
            raise RunError(f"the lists of {', '.join(names)} differ in length")
    counted |= _curvature(table, counted, manifest.dimension)
    if counted["axis_share"] is not None:  # also where no input has an axis
        unknown = ("axis_center", "axis_slope", "axis_curvature")
        counted |= {name: numpy_of(table, name) for name in unknown}
    method = METHODS.get(manifest.settings["method"])
    if method is not None and method.curvature and counted["curvature_share"] is not None:
        bounded |= _slopes(bounded)
    prediction, selected = numpy_of(table, "prediction"), numpy_of(table, "selected")
    settings = manifest.settings
    return Certificates(
        input_index=numpy_of(table, "index"),
        prediction=prediction,
        radius=numpy_of(table, "radius"),
        abstain_reason=numpy_of(table, "abstain_reason"),
        selected=np.where(selected == ABSTAINED, prediction, selected),
        selection_margin=numpy_of(table, "selection_margin"),
        method=settings["method"],
        sigma=settings["sigma"],
        alpha=settings["alpha"],
        n0=settings["n0"],
        seed=settings["seed"],
        classes=settings.get("classes", "top"),
        label=numpy_of(table, "label"),
        class_names=manifest.class_names,
        norm=norm_of(settings),
        tally=Tally(
            design=_design(counted),
            n=numpy_of(table, "n"),
            dimension=manifest.dimension,
            num_classes=manifest.num_classes,
            stopped_by=None if (rule := rule_of(settings)) is None else repr(rule),
            **counted,
        ),
        bounds=Bounds(n_used=numpy_of(table, "n_used"), **bounded),
    )


def _curvature(
    table: pa.Table, counted: dict[str, NDArray | None], dimension: int | None
) -> dict[str, NDArray | None]:
    """The curvature as a tally has it also where none was drawn for some inputs, or for any.

    Raises:
        RunError: some list is shorter or longer.
    """
    if counted["curvature_share"] is None:
        return {}
    found: dict[str, NDArray | None] = {"curvature_center": numpy_of(table, "curvature_center")}
    for name in _TOGETHER[1]:
        array = counted[name]
        if array is None or dimension is None:
            continue
        width = min(dimension, CURVATURE_KEPT)
        if array.shape[1] == 0:
            found[name] = np.full((len(array), width), np.nan)
        elif array.shape[1] != width or np.any(np.isnan(array).any(1) != np.isnan(array).all(1)):
            raise RunError(f"the lists of {name} must have {width} numbers or none")
    if not np.any(counted["curvature_share"]):
        found |= dict.fromkeys(("curvature_largest", "curvature_total"), found["curvature_center"])
    return found


def _slopes(bounded: dict[str, NDArray | None]) -> dict[str, NDArray | None]:
    """The bounds along the worst direction as they are where no curvature was drawn for any."""
    if (c_s := bounded["c_s_lower"]) is None or bounded["slope_lower"] is not None:
        return {}
    return dict.fromkeys(("slope_lower", "curvature_lower"), np.full(len(c_s), np.nan))


def rule_of(settings: Mapping[str, Any]) -> StoppingRule | None:
    """The rule that stopped the drawing of a run with these settings; None where n was fixed.

    Raises:
        RunError: the settings name a rule that there is not.
    """
    asked = {name: settings[name] for name in RULES if settings.get(name) is not None}
    if not asked:
        return None
    others = {name: settings[name] for name in ("method", "n", "sigma", "alpha")}
    try:
        ((name, value),) = asked.items()  # or ValueError
        return RULES[name](value, **others, classes=settings.get("classes", "top"))
    except (TypeError, ValueError) as error:
        raise RunError(f"the settings of the run name no stopping rule: {error}") from None


def _columns(table: pa.Table, kind: type[Tally] | type[Bounds]) -> dict[str, NDArray | None]:
    """The columns that are fields of the class and may be None: None where they are null
    throughout."""
    found = {}
    for name in (
        field.name for field in fields(kind) if field.default is None and field.name in COLUMNS
    ):
        nulls = table[name].null_count
        if COLUMNS[name].unknown is not None and nulls < len(table):
            nulls = 0
        if 0 < nulls < len(table) and COLUMNS[name].partly:
            nulls = len(table)
        if 0 < nulls < len(table):
            raise RunError(
                f"the column {name} is null for {nulls} of {len(table)} inputs; a run holds it for"
                " all or for none"
            )
        found[name] = None if nulls == len(table) else numpy_of(table, name)
    return found


def _design(arrays: dict[str, NDArray | None]) -> Design:
    """How the samples were drawn shows in what was counted."""
    if arrays["pair_both"] is not None:
        return Design.ANTITHETIC
    return Design.INDEPENDENT if arrays["gradient_sq_estimate"] is None else Design.DISJOINT_PAIRS


def parquet_bytes(table: pa.Table) -> bytes:
    """The Parquet file of the table: equal rows give equal bytes (under one version of pyarrow)."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def digest(data: bytes) -> str:
    """SHA-256, as the manifest records it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def table_from_parquet(path: Path, data: bytes) -> pa.Table:
    """The table in the bytes of a Parquet file, brought to `SCHEMA`.

    Raises:
        RunError: damaged, foreign, of a later version, or a column is missing, unknown or of
            another type.
    """
    try:
        # Without Arrow's threads: they may outlive the interpreter and abort it at exit
        # (apache/arrow issues 34314 and 50482).
        file = pq.ParquetFile(
            pa.BufferReader(data), page_checksum_verification=True, pre_buffer=False
        )
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error, "the Parquet file of a run") from error
    return conformed(table, path)


def conformed(table: pa.Table, path: Path) -> pa.Table:
    """The table with every column of `SCHEMA`, absent optional ones null; foreign tables are
    refused."""
    version = version_of(table.schema)
    if version is None:
        raise RunError(
            f"{path} is not the table of a run: it does not name its schema; give the folder of"
            " a run"
        )
    unknown = [name for name in table.column_names if name not in COLUMNS]
    if len(set(table.column_names)) < len(table.column_names):
        raise RunError(f"{path} has two columns of one name; it is damaged or of another program")
    if version > SCHEMA_VERSION or unknown:
        extra = f", with the columns {', '.join(map(repr, unknown))}" if unknown else ""
        raise RunError(
            f"{path} has schema {version}{extra}; this version reads {SCHEMA_VERSION}: upgrade"
            " sosmooth"
        )
    missing = [
        name
        for name, column in COLUMNS.items()
        if name not in table.column_names and not column.optional
    ]
    if missing:
        raise RunError(
            f"{path} lacks the columns {', '.join(missing)}; it is damaged or of another program"
        )
    filled = [
        table[name] if name in table.column_names else pa.nulls(len(table), COLUMNS[name].type)
        for name in COLUMNS
    ]
    try:
        whole = pa.table(
            [column.cast(COLUMNS[name].type) for name, column in zip(COLUMNS, filled, strict=True)],
            schema=SCHEMA,
        )
    except (pa.ArrowException, ValueError) as error:
        raise unreadable(path, error, "the table of a run") from error
    for name, column in COLUMNS.items():
        if not column.nullable and whole[name].null_count:
            raise RunError(
                f"{path} has nulls in the column {name}, which every input has; it is damaged"
            )
    made_with = settings_of(table)
    return whole if made_with is None else with_settings(whole, made_with)

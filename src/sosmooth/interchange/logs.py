"""Reading published logs into runs, so that they can be certified again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sosmooth.confidence.bounds import Bounds
from sosmooth.interchange.log_checks import contradictions
from sosmooth.interchange.log_layout import NO_COUNTS
from sosmooth.interchange.log_settings import LogSettings
from sosmooth.interchange.log_text import LogText
from sosmooth.measures import ABSTAINED
from sosmooth.methods import method_named
from sosmooth.results import Certificates
from sosmooth.runs.files import unreadable
from sosmooth.runs.run import Run
from sosmooth.runs.table import digest, numpy_of, table_of
from sosmooth.runs.writer import RunWriter
from sosmooth.tally import Design, Tally

_RIGHT = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def import_log(
    file: str | Path,
    out: str | Path,
    *,
    method: str,
    sigma: float,
    n: int,
    alpha: float,
    dimension: int | None = None,
    n0: int = 100,
    columns: Mapping[str, str] | None = None,
    norm: str = "l2",
    note: Callable[[str], object] | None = None,
) -> Run:
    """Read a tab-separated log of research code into a run.

    Columns, with a header: `idx label predict radius`, those of the method
    (`interchange/log_layout.py`), `correct time`. Logs of Cohen et al.'s code (method first_order)
    have none between: their radii come without counts. `raw_grad_norm` is the signed root of the
    estimate of `‖∇p‖²`, per input unit: the estimate is `sign(g) g²`.

    Args:
        file: the log.
        out: folder of the run that is written. The same call again changes nothing; one with
            another log or settings is refused.
        method: which program wrote the log, a key of `METHODS`.
        sigma: noise level, input units, positive.
        n: estimation samples, evaluations (a pair is two; even for pairs).
        alpha: failure probability, in (0, 1).
        dimension: features of one input; needed for second_order.
        n0: selection samples.
        columns: names of columns here and in the log, in either order, as in `{"radius":
            "radius_cohen"}`.
        norm: of the radii, one of `NORMS`. Radii of another norm than l2 come without counts, as
            they belong to other noise.
        note: called with one line for each assumption (no header, columns not used).

    Returns:
        The run, complete. Prediction and radius are those of the log; bounds, seed and votes of the
        selection are unknown. Where the log abstained (predict −1), the selected class is unknown.
        Where it printed radius 0 with a class, the run abstains and keeps the class as the selected
        one, so that `recertify` can decide.

    Raises:
        RunError: the file is no such log, or contradicts the settings: a radius above the largest
            possible one, or a bound or radius that does not follow from the counts (the message
            names file and line).
        ValueError: an argument outside its range.

    Guarantee:
        None: logs print radii rounded to nearest, so about half of them are larger than what was
        certified. `recertify` computes them from the counts.
    """
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, "a tab-separated log") from error
    asked = LogSettings(method, sigma, n, alpha, dimension, n0, dict(columns or {}), norm)
    log = read_log(path, data, asked)
    if note is not None:
        for line in log.notes:
            note(line)
    derived_from = {"kind": "log", "path": str(file), "digest": digest(data)}
    indices = numpy_of(log.table, "index").tolist()
    with RunWriter.open(
        out, settings=asked.stored(), indices=indices, derived_from=derived_from
    ) as writer:
        writer.replace(log.table)
        return writer.finish()


@dataclass(frozen=True)
class ReadLog:
    """The rows of a log.

    Attributes:
        table: the rows of a run.
        notes: what was assumed, one line each.
    """

    table: pa.Table
    notes: list[str]


def read_log(path: Path, data: bytes, asked: LogSettings) -> ReadLog:
    """The rows of a log from its bytes.

    Args:
        path: of the log, for the messages.
        data: its bytes.
        asked: the settings that it does not contain.

    Raises:
        RunError: as for `import_log`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(path, error, "a tab-separated log") from error
    log = LogText(path, text, asked.method, asked.columns)
    label, seconds = log.whole("label", low=-1) if "label" in log else None, log.seconds()
    certificates = _certificates(log, asked)
    if label is not None and not log.has_header:
        _check_order(log, label, certificates.selected)
    return ReadLog(table_of(certificates, label, seconds), log.notes)


def _certificates(log: LogText, asked: LogSettings) -> Certificates:
    index, (predict, radius) = _indices(log), _radii(log)
    tally, printed = _tally(log, asked)
    if asked.norm == "l2":
        for found in contradictions(asked, tally, radius, printed):
            log.refuse(found.wrong, found.message)
    certified = radius > 0
    return Certificates(
        input_index=index,
        prediction=np.where(certified, predict, ABSTAINED),
        radius=radius,
        abstain_reason=np.where(certified, "", "imported"),
        selected=predict,
        selection_margin=np.full(len(log), -1),
        method=asked.method,
        sigma=float(asked.sigma),
        alpha=asked.alpha,
        n0=asked.n0,
        seed=None,
        tally=tally,
        bounds=Bounds(n_used=tally.n),
    )


def _indices(log: LogText) -> NDArray[np.int64]:
    if "idx" not in log:
        log.notes.append("no column idx: the rows are numbered from 0")
        return np.arange(len(log))
    index = log.whole("idx", low=0)
    _, first = np.unique(index, return_index=True)
    repeated = np.ones(len(index), dtype=bool)
    repeated[first] = False
    log.refuse(
        repeated, lambda row: f"idx {index[row]} occurred before; one row per input is allowed"
    )
    return index


def _radii(log: LogText) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Predictions and radii; some programs print −1 for the radius of an abstention."""
    predict, radius = log.whole("predict", low=-1), log.numbers("radius")
    abstained = predict == ABSTAINED
    radius = np.where(abstained & (radius == -1), 0.0, radius)
    log.refuse(radius < 0, lambda row: f"radius is {radius[row]}; it must be at least 0")
    log.refuse(
        abstained & (radius > 0),
        lambda row: (
            f"predict is −1 (abstained) but radius is {radius[row]}; an abstention has radius 0"
        ),
    )
    return predict, np.where(radius > 0, radius, 0.0)


def _tally(log: LogText, asked: LogSettings) -> tuple[Tally, dict[str, NDArray[np.float64]]]:
    """The counts, and the numbers printed beside them by column."""
    layout, design = log.layout, method_named(asked.method).design
    if asked.norm != "l2" and layout.columns:
        log.notes.append(
            f"the counts are left out: bounds from them are l2, the radii {asked.norm}"
        )
        layout = NO_COUNTS
    arrays: dict[str, Any] = {
        name: log.whole(column, low=0) for column, name in layout.counts.items()
    }
    if arrays:
        # No evaluation, and no pair, is in two of the columns.
        pairs = design is Design.ANTITHETIC
        most, unit = (asked.n // 2, "n/2 pairs") if pairs else (asked.n, "n")
        total = np.sum(list(arrays.values()), axis=0)
        columns = " + ".join(layout.counts)
        log.refuse(
            total > most,
            lambda row: f"{columns} is {total[row]}, more than {unit} = {most}; check n",
        )
    printed = {
        name: log.numbers(name)
        for name in layout.columns
        if name not in layout.counts and name in log
    }
    if (root := printed.get("raw_grad_norm")) is not None:
        log.refuse(
            np.abs(root) > 1e100,
            lambda row: f"raw_grad_norm is {root[row]}; a gradient is at most 1e100",
        )
        arrays["gradient_sq_estimate"] = np.sign(root) * root**2
    evaluations = np.full(len(log), asked.n, dtype=np.int64)
    return Tally(
        design=design, n=evaluations, dimension=asked.dimension, stopped_by=None, **arrays
    ), printed


def _check_order(log: LogText, label: NDArray[np.int64], predict: NDArray[np.int64]) -> None:
    """Refuse a log without a header whose column `correct` does not agree with the others."""
    for row, field_ in enumerate(log.texts("correct")):
        if _RIGHT.get(field_.lower()) is not bool(label[row] == predict[row]):
            log.fail(
                row,
                f"without a header the column before the last is taken for correct, but"
                f" {field_[:40]!r} is not what label {label[row]} and predict {predict[row]} say;"
                " put a header line before the rows",
            )

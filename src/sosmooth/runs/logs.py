"""Published logs into runs, so that they can be certified again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sosmooth.confidence.bounds import Bounds
from sosmooth.methods import method_named
from sosmooth.results import ABSTAINED, Certificates
from sosmooth.runs.files import RunError, unreadable
from sosmooth.runs.log_layout import AFTER, BEFORE, LAYOUTS, NO_COUNTS, Layout, layout_of
from sosmooth.runs.run import Run
from sosmooth.runs.table import digest, numpy_of, table_of
from sosmooth.runs.writer import RunWriter
from sosmooth.tally import Design, Tally

_TIME = re.compile(r"(?:(\d+) days?, )?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)")


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
) -> Run:
    """Read a tab-separated log of research code into a run.

    Columns, with a header: `idx label predict radius`, those of the method (`runs/log_layout.py`), `correct time`. Logs of
    Cohen et al.'s code (method first_order) have none between: their radii come without counts. `raw_grad_norm` is the
    signed root of the estimate of `‖∇p‖²`, per input unit: the estimate is `sign(g) g²`.

    Args:
        file: the log.
        out: folder of the run that is written. The same call again is fine; one with another log or settings is refused.
        method: which program wrote it, a key of `METHODS`. sigma: input units, positive. n: estimation samples, evaluations
            (a pair is two; even for pairs). alpha: failure probability, in (0, 1). n0: selection samples.
        dimension: features of one input; needed for second_order.
    Returns:
        The run, complete. Prediction and radius are the log's own; bounds, seed and votes of the selection are unknown.
        Where the log abstained (predict −1) the selected class is unknown; where it printed radius 0 with a class, the run
        abstains and keeps the class as the selected one, so that `recertify` can decide.
    Raises:
        RunError: the file is no such log (names file and line). ValueError: an argument outside its range.
    Guarantee:
        None: logs print radii rounded to nearest, so about half of them are larger than what was certified. `recertify`
        computes them from the counts.
    """
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, "a tab-separated log") from error
    table = table_of_log(
        path, data, method=method, sigma=sigma, n=n, alpha=alpha, dimension=dimension, n0=n0
    )
    settings = {
        "method": method,
        "sigma": sigma,
        "n": n,
        "n0": n0,
        "alpha": alpha,
        "seed": None,
        "dimension": dimension,
    }
    derived_from = {"kind": "log", "path": str(file), "digest": digest(data)}
    indices = numpy_of(table, "index").tolist()
    with RunWriter.open(
        out, settings=settings, indices=indices, derived_from=derived_from
    ) as writer:
        writer.replace(table)
        return writer.finish()


def table_of_log(
    path: Path,
    data: bytes,
    *,
    method: str,
    sigma: float,
    n: int,
    alpha: float,
    dimension: int | None = None,
    n0: int = 100,
) -> pa.Table:
    """The rows of a log from its bytes; `path` is for the messages alone. Arguments and exceptions as for `import_log`."""
    _check_arguments(method, sigma, n, alpha, dimension, n0)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(path, error, "a tab-separated log") from error
    log = _Log(path, text, method)
    certificates = _certificates(log, method, sigma, n, alpha, dimension, n0)
    return table_of(certificates, log.whole("label", low=-1), log.seconds())


def _check_arguments(
    method: str, sigma: float, n: int, alpha: float, dimension: int | None, n0: int
) -> None:
    design = method_named(method).design
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma must be a positive number, in units of the inputs; got {sigma!r}")
    for name, value in (("n", n), ("n0", n0)) + (
        (("dimension", dimension),) if dimension is not None else ()
    ):
        if value < 1 or value != int(value):
            raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")
    if design is not Design.INDEPENDENT and n % 2:
        raise ValueError(
            f"n must be even for {method}: it counts evaluations, and a pair is two; got {n}"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be a failure probability in (0, 1); got {alpha!r}")
    if method == "second_order" and dimension is None:
        raise ValueError(
            "second_order needs the dimension of the inputs (Theorem 2); give it with --dimension"
        )


def _certificates(
    log: _Log, method: str, sigma: float, n: int, alpha: float, dimension: int | None, n0: int
) -> Certificates:
    design = method_named(method).design
    most, unit = (n // 2, "n/2 pairs") if design is Design.ANTITHETIC else (n, "n")
    arrays: dict[str, NDArray] = {
        name: log.whole(column, low=0) for column, name in log.layout.counts.items()
    }
    if arrays:
        # No evaluation, and no pair, is in two of the columns.
        total = np.sum(list(arrays.values()), axis=0)
        columns = " + ".join(log.layout.counts)
        log.refuse(
            total > most,
            lambda row: f"{columns} is {total[row]}, more than {unit} = {most}; check --n",
        )
    if "raw_grad_norm" in log.layout.columns:
        root = log.numbers("raw_grad_norm")
        arrays["gradient_sq_estimate"] = np.sign(root) * root**2
    index, predict, radius = (
        log.whole("idx", low=0),
        log.whole("predict", low=-1),
        log.numbers("radius", infinite=True),
    )
    for column in (*log.layout.columns, "correct"):
        log.numbers(
            column, infinite=True
        )  # not used, but where they are no numbers the line is damaged
    _, first = np.unique(index, return_index=True)
    repeated = np.ones(len(index), dtype=bool)
    repeated[first] = False
    log.refuse(
        repeated, lambda row: f"idx {index[row]} was there before; one row an input is allowed"
    )
    log.refuse(radius < 0, lambda row: f"radius is {radius[row]}; it must be at least 0")
    log.refuse(
        (predict == ABSTAINED) & (radius > 0),
        lambda row: (
            f"predict is −1 (abstained) but radius is {radius[row]}; an abstention has radius 0"
        ),
    )
    size = len(index)
    evaluations = np.full(size, n, dtype=np.int64)
    certified = radius > 0
    return Certificates(
        input_index=index,
        prediction=np.where(certified, predict, ABSTAINED),
        radius=np.where(certified, radius, 0.0),
        abstain_reason=np.where(certified, "", "imported"),
        selected=predict,
        selection_margin=np.full(size, -1),
        method=method,
        sigma=float(sigma),
        alpha=alpha,
        n0=n0,
        seed=None,
        tally=Tally(design=design, n=evaluations, dimension=dimension, **arrays),
        bounds=Bounds(n_used=evaluations),
    )


class _Log:
    """The fields of a log by column, and errors that name file and line."""

    def __init__(self, path: Path, text: str, method: str):
        self.path = path
        lines = text.rstrip().splitlines()
        if not lines:
            raise RunError(f"{path} is empty; a log has a header line and one line an input")
        self.header = [name.strip() for name in lines[0].split("\t")]
        self.layout = self._layout(method)
        if len(lines) == 1:
            raise RunError(f"{path} has a header and no inputs; a log has one line an input")
        rows = [line.split("\t") for line in lines[1:]]
        for row, fields in enumerate(rows):
            if len(fields) != len(self.header):
                self.fail(
                    row,
                    f"{len(fields)} columns where the header has {len(self.header)}; the line is cut or damaged",
                )
        self._columns = dict(zip(self.header, zip(*rows, strict=True), strict=True))

    def _layout(self, method: str) -> Layout:
        if len(self.header) == 1 and "," in self.header[0]:
            self.fail(-1, "separated by commas; logs are separated by tabs")
        missing = [name for name in (*BEFORE, *AFTER) if name not in self.header]
        if missing or len(set(self.header)) < len(self.header):
            lacking = (
                f"lacks the columns {', '.join(missing)}" if missing else "names a column twice"
            )
            self.fail(
                -1,
                f"the header {lacking}; a log begins with the tab-separated line {' '.join(BEFORE)} … {' '.join(AFTER)}",
            )
        between = [name for name in self.header if name not in (*BEFORE, *AFTER)]
        if not between and (method == "first_order" or method not in LAYOUTS):
            return NO_COUNTS
        kind = layout_of(between)
        if kind not in (None, method):
            self.fail(
                -1,
                f"these are the columns of a {kind} log; import it with --method {kind}, then recertify",
            )
        layout = LAYOUTS.get(method, NO_COUNTS)
        lacking = [name for name in layout.columns if name not in between]
        if lacking or method not in LAYOUTS:
            self.fail(-1, f"the header lacks the columns {', '.join(lacking)} of a {method} log")
        return layout

    def fail(self, row: int, message: str) -> NoReturn:
        """Raise with the line of a row; −1 is the header."""
        raise RunError(f"{self.path}, line {row + 2}: {message}")

    def refuse(self, wrong: NDArray[np.bool_], message: Callable[[int], str]) -> None:
        """Raise for the first row that is wrong, if there is one."""
        if np.any(wrong):
            row = int(np.argmax(wrong))
            self.fail(row, message(row))

    def numbers(self, name: str, *, infinite: bool = False) -> NDArray[np.float64]:
        """A column of numbers, none of them NaN."""
        values = np.empty(len(self._columns[name]))
        for row, field in enumerate(self._columns[name]):
            try:
                values[row] = float(field)
            except ValueError:
                self.fail(row, f"{name} is {field.strip()[:40]!r}, which is no number")
        allowed = ~np.isnan(values) if infinite else np.isfinite(values)
        self.refuse(
            ~allowed,
            lambda row: (
                f"{name} is {values[row]}; it must be a number{'' if infinite else ' that is finite'}"
            ),
        )
        return values

    def whole(self, name: str, *, low: int, high: float = 2.0**53) -> NDArray[np.int64]:
        """A column of whole numbers in a range."""
        values = self.numbers(name)
        bad = (values != np.floor(values)) | (values < low) | (values > high)
        upper = f" and at most {high:g}" if high < 2.0**53 else ""
        self.refuse(
            bad,
            lambda row: (
                f"{name} is {values[row]:.15g}; it must be a whole number of at least {low}{upper}"
            ),
        )
        return values.astype(np.int64)

    def seconds(self) -> NDArray[np.float64]:
        """The column `time`, printed as Python prints a timedelta."""
        seconds = np.empty(len(self._columns["time"]))
        for row, field in enumerate(self._columns["time"]):
            match = _TIME.fullmatch(field.strip())
            if match is None:
                self.fail(
                    row,
                    f"time is {field.strip()[:40]!r}; it must be hours:minutes:seconds (is the line cut?)",
                )
            days, hours, minutes, rest = match.groups()
            seconds[row] = (
                86400 * int(days or 0) + 3600 * int(hours) + 60 * int(minutes) + float(rest)
            )
        return seconds

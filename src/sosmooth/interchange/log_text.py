"""The text of a log: its rows, its columns, and errors that name file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from sosmooth.interchange.log_layout import (
    AFTER,
    BEFORE,
    LAYOUTS,
    NEEDED,
    NO_COUNTS,
    STOPPED_BY,
    Layout,
    layout_of,
    name_columns,
)
from sosmooth.runs.files import RunError

# A number as programs print it. Longer ones are damage; `float` would read letters of any script.
_NUMBER = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_LONGEST = 100
_MOST_WHOLE = 2**53  # further ones are not exact in float64
# As Python prints a timedelta, pandas' form of it, and plain seconds.
_TIME = re.compile(r"(?:(\d{1,9}) days?,? )?(\d{1,9}):([0-5]\d):([0-5]\d(?:\.\d{1,20})?)", re.ASCII)
_SECONDS = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?) ?s?", re.ASCII | re.IGNORECASE)
_MOST_SECONDS = 8e13  # what a timedelta can hold
_UNKNOWN = frozenset({"", "nan", "none", "null", "n/a", "na"})


class LogText:
    """The fields of a log by column.

    Attributes:
        path: of the log, for the messages.
        notes: one line each, how the log was read where there was a choice.
        has_header: whether it has one; without one, the number of columns tells what they are.
        layout: the counts that it holds.
    """

    def __init__(self, path: Path, text: str, method: str, columns: Mapping[str, str]):
        self.path = path
        self.notes: list[str] = []
        # A line of "#" is a comment, as NumPy writes them.
        lines = [
            (number, line.split("\t"))
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        if not lines:
            raise RunError(f"{path} is empty; a log has a header line and one line per input")
        top, first = lines[0][0], [field.strip() for field in lines[0][1]]
        if len(first) == 1 and "," in first[0]:
            raise self._at(top, "separated by commas; logs are separated by tabs")
        self.has_header = any(map(_is_word, first))
        if self.has_header:
            header = name_columns(first, method, columns)
            del lines[0]
        else:
            header = self._positional(len(first), method, top)
        self.layout = self._layout(header, method, top)
        rows = self._rows(lines, first if self.has_header else [], header)
        self._lines = [number for number, _ in rows]
        fields = zip(*(fields for _, fields in rows), strict=True)
        self._columns = dict(zip(header, fields, strict=True))

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    def _positional(self, size: int, method: str, line: int) -> list[str]:
        """The columns of a log without a header, where their number leaves no choice."""
        for layout in (NO_COUNTS, LAYOUTS.get(method, NO_COUNTS)):
            header = [*BEFORE, *layout.columns, *AFTER]
            if len(header) == size:
                self.notes.append(f"no header: the columns are taken for {' '.join(header)}")
                return header
        raise self._at(
            line,
            f"no header, and {size} columns, which are not those of a {method} log; begin it with"
            f" the tab-separated line {' '.join(BEFORE)} … {' '.join(AFTER)}",
        )

    def _layout(self, header: list[str], method: str, line: int) -> Layout:
        known = [name for name in header if name]
        if twice := sorted({name for name in known if known.count(name) > 1}):
            raise self._at(line, f"the header names a column twice: {', '.join(twice)}")
        if missing := [name for name in NEEDED if name not in header]:
            raise self._at(
                line,
                f"the header lacks the columns {', '.join(missing)}; it has"
                f" {', '.join(known)[:200]}. Where a column has another name, give columns=…, as in"
                f" {missing[0]}=NAME",
            )
        layout = self._counts(header, method, line)
        used = {*BEFORE, *AFTER, *layout.columns, STOPPED_BY}
        if extra := [name for name in known if name not in used]:
            self.notes.append(f"columns that are not used: {', '.join(extra)[:200]}")
        if "label" not in header:
            self.notes.append("no column label: the true classes are unknown")
        return layout

    def _counts(self, header: list[str], method: str, line: int) -> Layout:
        kind = layout_of(header)
        if STOPPED_BY in header:
            if kind is not None:
                raise self._at(
                    line,
                    f"it has counts and the column {STOPPED_BY}: a rule stopped the drawing, so"
                    " nothing can be computed from the counts; remove them to keep the radii",
                )
            return NO_COUNTS
        if kind not in (None, method):
            raise self._at(
                line,
                f"these are the columns of a {kind} log; import it as {kind}, then recertify",
            )
        layout = LAYOUTS.get(method, NO_COUNTS)
        needed = layout.needed()
        lacking = [name for name in needed if name not in header]
        if lacking and len(lacking) < len(needed):
            raise self._at(
                line, f"the header lacks the columns {', '.join(lacking)} of a {method} log"
            )
        return NO_COUNTS if lacking else layout

    def _rows(
        self, lines: list[tuple[int, list[str]]], first: list[str], header: list[str]
    ) -> list[tuple[int, list[str]]]:
        """The lines that are rows: no repeated headers, no summary at the end."""
        rows = [(n, row) for n, row in lines if [field.strip() for field in row] != first]
        end = len(rows)
        while end and _is_summary(rows[end - 1][1], header):
            end -= 1
        if end < len(rows):
            self.notes.append(
                f"lines at the end that are not rows: {len(rows) - end}, from line {rows[end][0]}"
            )
        if not end:
            raise RunError(f"{self.path} has a header and no inputs; a log has one line per input")
        for number, row in rows[:end]:
            if len(row) != len(header):
                raise self._at(
                    number,
                    f"{len(row)} columns where the header has {len(header)}; the line is cut or"
                    " damaged",
                )
        return rows[:end]

    def _at(self, line: int, message: str) -> RunError:
        return RunError(f"{self.path}, line {line}: {message}")

    def fail(self, row: int, message: str) -> NoReturn:
        """Raise with the line of a row."""
        raise self._at(self._lines[row], message)

    def refuse(self, wrong: NDArray[np.bool_], message: Callable[[int], str]) -> None:
        """Raise for the first row that is wrong, if there is one."""
        if np.any(wrong):
            row = int(np.argmax(wrong))
            self.fail(row, message(row))

    def texts(self, name: str) -> list[str]:
        """A column as it is printed."""
        return [field.strip() for field in self._columns[name]]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, all of them finite."""
        values = np.empty(len(self))
        for row, field in enumerate(self.texts(name)):
            if not _matches(_NUMBER, field):
                self.fail(row, f"{name} is {field[:40]!r}, which is not a number")
            values[row] = float(field)
        self.refuse(
            ~np.isfinite(values),
            lambda row: f"{name} is {values[row]}; it must be a number that is finite",
        )
        return values

    def whole(self, name: str, *, low: int) -> NDArray[np.int64]:
        """A column of whole numbers from `low` to 2^53; `3.0` is one."""
        values = np.empty(len(self), dtype=np.int64)
        numbers = self.numbers(name)
        for row, field in enumerate(self.texts(name)):
            value = int(field) if _matches(_WHOLE, field) else numbers[row]
            if value != math.floor(value) or not low <= value <= _MOST_WHOLE:
                self.fail(
                    row,
                    f"{name} is {field[:40]}; it must be a whole number of at least {low} and at"
                    " most 2^53",
                )
            values[row] = int(value)
        return values

    def seconds(self) -> NDArray[np.float64]:
        """The column `time`, a timedelta or seconds; NaN where it is unknown."""
        seconds = np.full(len(self), np.nan)
        if "time" not in self:
            return seconds
        for row, field in enumerate(self.texts("time")):
            if field.lower() in _UNKNOWN or field.startswith("-"):
                continue
            if match := _matches(_TIME, field):
                days, hours, minutes, rest = (float(part or 0) for part in match.groups())
                seconds[row] = 86400 * days + 3600 * hours + 60 * minutes + rest
            elif match := _matches(_SECONDS, field):
                seconds[row] = float(match[1])
            if not seconds[row] <= _MOST_SECONDS:
                self.fail(
                    row,
                    f"time is {field[:40]!r}; it must be seconds or hours:minutes:seconds (is the"
                    " line cut?)",
                )
        return seconds


def _matches(pattern: re.Pattern[str], field: str) -> re.Match[str] | None:
    """Match the whole field; long ones are refused, as the patterns would search for ever."""
    return pattern.fullmatch(field) if len(field) <= _LONGEST else None


def _is_word(field: str) -> bool:
    """Whether a field can only be the name of a column."""
    values = (_NUMBER, _TIME, _SECONDS)
    answers = {*_UNKNOWN, "true", "false", "yes", "no", "-"}
    return field.lower() not in answers and not any(_matches(value, field) for value in values)


def _is_summary(row: list[str], header: list[str]) -> bool:
    """Whether a line at the end is a summary; a row that is cut still begins as rows do."""
    first = row[0].strip()
    if _matches(_NUMBER, first):
        return False
    if header[0] not in BEFORE:  # rows begin with text themselves
        return len(row) == 1 < len(header)
    return len(row) != len(header) or not any(map(str.isdigit, first))

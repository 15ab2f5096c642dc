"""What the commands print on standard output: JSON with `--json`, tables otherwise.

A table of rows is aligned with words as titles on a terminal, and tab-separated with machine names
where another program or a file reads it.
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PERCENT = "\u00a0%"
# Cells that are kept in one line; longer ones are broken where the table would not fit.
_SHORT = 30


@dataclass(frozen=True)
class Column:
    """A column of a table of rows.

    Attributes:
        name: its key in a row, and its title in tab-separated text.
        title: its title for people; it may have several lines.
        is_text: whether its cells start at the left; numbers end at the right.
        words: what people read instead of some of the cells.
    """

    name: str
    title: str
    is_text: bool = False
    words: Mapping[str, str] = field(default_factory=dict)


def name_classes(
    rows: Iterable[dict[str, Any]], columns: Sequence[str], names: Sequence[str] | None
) -> None:
    """Add `COLUMN_name` for columns that hold classes, None for none; nothing without names.

    Args:
        rows: to be changed.
        columns: of class numbers.
        names: of the classes; None: none is known.
    """
    if names is None:
        return
    of_class = dict(enumerate(names))
    for row in rows:
        row |= {f"{column}_name": of_class.get(row[column]) for column in columns}


def print_json(value: object) -> None:
    """Print one JSON document; infinity and NaN become null, as JSON has no number for them."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def for_people() -> bool:
    """Whether a person reads standard output directly: on a terminal."""
    return sys.stdout.isatty()


def print_rows(columns: Sequence[Column], rows: Iterable[Mapping[str, object]]) -> None:
    """Print one line per row: aligned on a terminal, otherwise tab-separated."""
    cells = [[_cell(row.get(column.name)) for column in columns] for row in rows]
    if for_people():
        words = [
            [column.words.get(cell, cell) for column, cell in zip(columns, row, strict=True)]
            for row in cells
        ]
        left = [place for place, column in enumerate(columns) if column.is_text]
        print_aligned([column.title for column in columns], words, left=left)
    else:
        for row in ([column.name for column in columns], *cells):
            print("\t".join(row))


def print_aligned(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[int]
) -> None:
    """Print cells below their titles; the columns at `left` start there. Long cells are folded."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(titles))
    for place, title in enumerate(titles):
        short = max((len(row[place]) for row in rows), default=0) <= _SHORT
        justify = "left" if place in left else "right"
        table.add_column(Text(title), justify=justify, overflow="fold", no_wrap=short)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as text: brackets are not markup
    console = Console()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())  # without the spaces that fill it up


def print_wrapped(text: str, *, indent: int = 0) -> None:
    """Print a sentence; on a terminal it is broken between words, and goes on at `indent`."""
    print(_broken(text, indent) if for_people() else text, flush=True)


def say(text: str) -> None:
    """The same on standard error, for what is not the result."""
    print(_broken(text) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def _broken(text: str, indent: int = 0) -> str:
    """The text in lines that fit a terminal. A space within a number is not a place to break."""
    from rich.console import Console

    return textwrap.fill(
        text.replace(" %", _PERCENT),
        Console().width,
        subsequent_indent=indent * " ",
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_PERCENT, " %")


def _cell(value: object) -> str:
    return "" if value is None else str(value)

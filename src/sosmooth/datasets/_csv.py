"""CSV files with a first line that names the columns: read once, and checked line by line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CsvTable:
    """The cells of a CSV file, as text.

    Attributes:
        path: of the file, for messages.
        columns: the names in the first line, each once.
        lines: of each further line that is not empty, its number in the file and its cells, as many
            as there are columns.
    """

    path: Path
    columns: list[str]
    lines: list[tuple[int, list[str]]]

    def column(self, name: str) -> list[str]:
        """The cells of a column, from top to bottom."""
        place = self.columns.index(name)
        return [cells[place] for _, cells in self.lines]


def read_csv(path: Path, *, needed: Sequence[str] = ()) -> CsvTable:
    """The table in a CSV file (UTF-8, commas, double quotes).

    Args:
        path: the file.
        needed: names of columns that it must have.

    Raises:
        ValueError: no CSV file, no first line, a column that is named twice or lacks, a line that
            is shorter or longer than the first.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        try:
            (_, columns), *lines = [(rows.line_num, cells) for cells in rows if cells]
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"{path} is not a CSV file with a first line that names its columns ({error})"
            ) from error
    if len(set(columns)) < len(columns):
        again = next(name for name in columns if columns.count(name) > 1)
        raise ValueError(f"{path}: the first line names the column {again!r} twice; rename one")
    if not set(needed) <= set(columns):
        raise ValueError(
            f"{path}: the first line must name the columns {', '.join(needed)}; it names"
            f" {', '.join(columns)}"
        )
    for number, cells in lines:
        if len(cells) != len(columns):
            raise ValueError(
                f"{path}: line {number} has {len(cells)} cells, the first line {len(columns)};"
                " all lines must have the same number"
            )
    return CsvTable(path, columns, lines)

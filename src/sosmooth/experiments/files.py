"""What a reproduction leaves behind: pictures and tables, each whole or not there."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sosmooth._files import write_atomically
from sosmooth.report.style import as_png, as_svg
from sosmooth.runs.files import unwritable


def write_figure(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Write `stem.png` and `stem.svg`.

    Raises:
        RunError: the folder cannot be written.
    """
    return [
        _write(folder / f"{stem}.png", as_png(figure)),
        _write(folder / f"{stem}.svg", as_svg(figure).encode()),
    ]


def write_csv(rows: Sequence[dict[str, object]], folder: Path, stem: str) -> Path:
    """Write `stem.csv`; the rows have the same columns, None is an empty cell.

    Raises:
        RunError: the folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return _write(folder / f"{stem}.csv", text.getvalue().encode())


def write_text(text: str, path: Path) -> Path:
    """Write a text file.

    Raises:
        RunError: the folder cannot be written.
    """
    return _write(path, text.encode())


def _write(path: Path, data: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise unwritable(path, error) from error
    return path

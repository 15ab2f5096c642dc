"""The files of a reproduction: pictures and tables, each whole or not there."""

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

    Args:
        figure: any figure.
        folder: created if it does not exist.
        stem: of the names.

    Raises:
        RunError: the folder cannot be written.
    """
    return [
        _write(folder / f"{stem}.png", as_png(figure)),
        _write(folder / f"{stem}.svg", as_svg(figure).encode()),
    ]


def write_csv(rows: Sequence[dict[str, object]], folder: Path, stem: str) -> Path:
    """Write `stem.csv`.

    Args:
        rows: one or more, with the same columns; None is an empty cell.
        folder: created if it does not exist.
        stem: of the name.

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

    Args:
        text: any text.
        path: of the file; its folder is created if it does not exist.

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

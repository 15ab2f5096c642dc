"""Results as small HTML tables, which notebooks show instead of text; all cells are escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

#: The most rows that are shown.
ROWS = 20


def table(columns: Mapping[str, Sequence[object]], *, caption: str, total: int) -> str:
    """A table with a caption, and below it the number of rows that it leaves out.

    Args:
        columns: by name, all of the same length.
        caption: text above the table.
        total: how many rows there are in all.
    """
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    shown = len(next(iter(columns.values()), ()))
    more = f"<p>… and {total - shown} more</p>" if shown < total else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f"<div><p>{escape(caption)}</p><table>{body}</table>{more}</div>"

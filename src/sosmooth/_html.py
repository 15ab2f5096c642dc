"""Results as small tables of HTML, which notebooks show instead of their text. What goes in is text: it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

#: Rows that are shown of a long result.
ROWS = 20


def table(columns: Mapping[str, Sequence[object]], *, caption: str, total: int) -> str:
    """A table of columns of the same length, under a caption, and how many of `total` rows it leaves out."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>"
        for row in zip(*columns.values(), strict=True)
    )
    shown = len(next(iter(columns.values()), ()))
    more = f"<p>… and {total - shown} more</p>" if shown < total else ""
    return f"<div><p>{escape(caption)}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"

"""Progress with rate and time left: a bar in a notebook or on a terminal, else lines of text.

Bars on a terminal and lines go to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_BETWEEN_DRAWINGS = 0.2


@contextmanager
def progress(total: int, what: str, unit: str = "samples") -> Iterator[Callable[[int], None]]:
    """A function to call with the number of evaluations that were just done.

    Args:
        total: how many there are in all.
        what: is being done, as text.
        unit: what is counted.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter:
        yield from _notebook(total, what, unit)
    elif console.is_terminal:
        yield from _bar(console, total, what, unit)
    else:
        yield from _lines(total, what, unit)


def _bar(console, total: int, what: str, unit: str) -> Iterator[Callable[[int], None]]:
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    begun = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")
        done = 0

        def advance(evaluations: int) -> None:
            nonlocal done
            done += evaluations
            bar.update(task, completed=done, rate=_rate(done, time.monotonic() - begun, unit))

        yield advance


def _notebook(total: int, what: str, unit: str) -> Iterator[Callable[[int], None]]:
    """The browser's progress bar, which needs no widgets; it stays as output of the cell."""
    from importlib import import_module

    display = import_module("IPython.display")
    begun = last = time.monotonic()
    done = 0
    shown = display.display(display.HTML(_as_html(0, total, what, "")), display_id=True)

    def advance(evaluations: int) -> None:
        nonlocal done, last
        done += evaluations
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_DRAWINGS or done >= total:
            last = now
            left = (
                ""
                if done >= total
                else f", {(now - begun) * (total - done) / max(done, 1):.0f} s left"
            )
            shown.update(
                display.HTML(_as_html(done, total, what, f"{_rate(done, now - begun, unit)}{left}"))
            )

    yield advance


def _as_html(done: int, total: int, what: str, rate: str) -> str:
    """A bar with text on both sides."""
    style = "width: 20em; vertical-align: middle"
    bar = f'<progress value="{done}" max="{max(total, 1)}" style="{style}"></progress>'
    return f"<div>{escape(what)} {bar} {100 * done / max(total, 1):.0f} % {escape(rate)}</div>"


def _lines(total: int, what: str, unit: str) -> Iterator[Callable[[int], None]]:
    begun = last = time.monotonic()
    done = 0

    def advance(evaluations: int) -> None:
        nonlocal done, last
        done += evaluations
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            left = (now - begun) * (total - done) / done
            print(
                f"{what}: {100 * done / total:.0f} %, {_rate(done, now - begun, unit)},"
                f" {left:.0f} s left",
                file=sys.stderr,
            )

    yield advance


def _rate(done: int, seconds: float, unit: str) -> str:
    rate = done / max(seconds, 1e-9)
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.3g} {prefix} {unit}/s"
    return f"{rate:.3g} {unit}/s"

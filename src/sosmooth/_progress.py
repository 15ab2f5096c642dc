"""Progress with rate and time left: a bar in a notebook or on a terminal, else lines of text.

Bars on a terminal and lines go to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from html import escape
from typing import Any

_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_BETWEEN_DRAWINGS = 0.2
# Columns of a terminal: "100 %", "1.23 M samples/s", "23 h 59 min left", and spaces between them.
_SHARE, _RATE, _LEFT, _SPACES = 5, 16, 16, 4
_LEAST_BAR = 8


class Advance:
    """Called with the amount of work that was just done.

    Attributes:
        total: how much there is in all.
        what: is being done, as text.
        unit: what is counted.
        done: what is done, stored work included.
    """

    def __init__(self, total: int, what: str, unit: str, show: Callable[[Advance], None]):
        self.total, self.what, self.unit = total, what, unit
        self.done = self._stored = 0
        self._begun = self._last = time.monotonic()
        self._show = show

    def __call__(self, amount: int) -> None:
        """Count work that was just done."""
        self.done += amount
        self._last = time.monotonic()
        self._show(self)

    def stored(self, amount: int) -> None:
        """Count work of an earlier call; neither rate nor time left include it."""
        self.done += amount
        self._stored += amount
        self._begun = self._last = time.monotonic()
        self._show(self)

    @property
    def fraction(self) -> float:
        """Of all work, in [0, 1]."""
        return min(self.done / max(self.total, 1), 1.0)

    @property
    def rate(self) -> str:
        """How fast this call works; empty where it has done nothing yet."""
        speed = self._speed()
        if not speed:
            return ""
        for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if speed >= 0.9995 * size:  # three digits would be 1000
                return f"{speed / size:.3g} {prefix} {self.unit}/s"
        if speed < 1:
            return f"{60 * speed:.3g} {self.unit}/min"
        return f"{speed:.3g} {self.unit}/s"

    @property
    def left(self) -> str:
        """How long it takes from now on; empty where that is unknown or nothing is left."""
        speed = self._speed()
        if not speed or self.done >= self.total:
            return ""
        since = time.monotonic() - self._last
        return f"{duration(max((self.total - self.done) / speed - since, 1.0))} left"

    def _speed(self) -> float:
        return (self.done - self._stored) / max(self._last - self._begun, 1e-9)


#: `(total, what, unit) → context manager of what is called with the amount just done`.
Progress = Callable[[int, str, str], AbstractContextManager[Advance]]


@contextmanager
def silent(total: int, what: str, unit: str = "samples") -> Iterator[Advance]:
    """As `progress`, where nobody is to see it.

    Args:
        total: as for `progress`.
        what: as for `progress`.
        unit: as for `progress`.
    """
    yield Advance(total, what, unit, lambda advance: None)


@contextmanager
def progress(total: int, what: str, unit: str = "samples") -> Iterator[Advance]:
    """What to call with the amount of work that was just done.

    Args:
        total: how much there is in all.
        what: is being done, as text.
        unit: what is counted.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter:
        shown = nullcontext(_in_a_cell())
    elif console.is_terminal:
        shown = _bar(console, total, what)
    else:
        shown = nullcontext(_in_lines())
    with shown as show:
        advance = Advance(total, what, unit, show)
        show(advance)
        yield advance


def duration(seconds: float) -> str:
    """Roughly how long that is, in two units at most."""
    for size, name, smaller, part in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            return f"{int(seconds // size)} {name} {int(seconds % size // smaller)} {part}"
    return f"{seconds:.0f} s" if seconds >= 1 else "less than a second"


@contextmanager
def _bar(console: Any, total: int, what: str) -> Iterator[Callable[[Advance], None]]:
    """A bar in one line, in which the time left is never cut off."""
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Figure(ProgressColumn):
        """A figure of the work, to the right of its place; drawn again as time passes."""

        def __init__(self, figure: Callable[[Advance], str], width: int):
            super().__init__(Column(width=width, justify="right", no_wrap=True))
            self._figure = figure

        def render(self, task: Task) -> Text:
            return Text(self._figure(task.fields["advance"]))

    task: TaskID | None = None

    def show(advance: Advance) -> None:
        nonlocal task
        if task is None:
            task = bar.add_task(what, total=total, advance=advance)
        bar.update(task, completed=advance.done)

    room = console.width - _SHARE - _LEFT - _SPACES - _RATE
    figures = [Figure(lambda advance: f"{100 * advance.fraction:.0f} %", _SHARE)]
    if room < 2 * _LEAST_BAR:
        room += _RATE + 1
    else:
        figures.append(Figure(lambda advance: advance.rate, _RATE))
    figures.append(Figure(lambda advance: advance.left, _LEFT))
    words = max(min(len(what), room - _LEAST_BAR), 1)
    described = Column(width=words, no_wrap=True, overflow="ellipsis")
    with Progress(
        TextColumn("{task.description}", markup=False, table_column=described),
        BarColumn(max(room - words, 1)),
        *figures,
        console=console,
        transient=True,
    ) as bar:
        yield show


def _in_a_cell() -> Callable[[Advance], None]:
    """The browser's progress bar, which needs no widgets; it stays as output of the cell."""
    from importlib import import_module

    display = import_module("IPython.display")
    shown, last = None, 0.0

    def show(advance: Advance) -> None:
        nonlocal shown, last
        now = time.monotonic()
        if shown is None:
            shown = display.display(display.HTML(_as_html(advance)), display_id=True)
        elif now - last >= _SECONDS_BETWEEN_DRAWINGS or advance.done >= advance.total:
            shown.update(display.HTML(_as_html(advance)))
        else:
            return
        last = now

    return show


def _as_html(advance: Advance) -> str:
    """A bar with text on both sides."""
    style = "width: 20em; vertical-align: middle"
    bar = (
        f'<progress value="{advance.done}" max="{max(advance.total, 1)}" style="{style}">'
        "</progress>"
    )
    figures = ", ".join(filter(None, (advance.rate, advance.left)))
    return f"<div>{escape(advance.what)} {bar} {100 * advance.fraction:.0f} % {figures}</div>"


def _in_lines() -> Callable[[Advance], None]:
    last = time.monotonic()

    def show(advance: Advance) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            figures = (f"{100 * advance.fraction:.0f} %", advance.rate, advance.left)
            print(f"{advance.what}: {', '.join(filter(None, figures))}", file=sys.stderr)

    return show

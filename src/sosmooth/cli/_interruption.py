"""What an interrupted command leaves behind, and how to continue: said after Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STORED = "what was certified is stored; run the same command again to resume"
_NOTHING = "nothing is stored; run the same command again to start over"
# By command, where the place of the interruption says nothing more exact.
_OF_COMMANDS = {
    "certify": _STORED,
    "demo": _STORED,
    "reproduce": _STORED,
    "predict": _NOTHING,
    "audit": _NOTHING,
    "download": _NOTHING,
}
_OTHERWISE = "run the same command again to start over"


@contextmanager
def said_if_interrupted(what: Callable[[], str]) -> Iterator[None]:
    """Within it, an interruption is answered by `what()`."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        interruption.add_note(what())
        raise


def after(interruption: KeyboardInterrupt, command: str) -> str:
    """What the interruption leaves behind.

    Args:
        interruption: as it arrived.
        command: that was interrupted.
    """
    notes = getattr(interruption, "__notes__", None)
    return notes[0] if notes else _OF_COMMANDS.get(command, _OTHERWISE)

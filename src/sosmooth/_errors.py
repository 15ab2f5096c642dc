"""Exceptions in one line: the type, the whole message, and the line of the user's code."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_OWN = str(Path(__file__).parent)
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def one_line(error: BaseException) -> str:
    """`TYPE: message (FILE, line N)`, with all lines of the message joined.

    The place is the last one in code that is neither installed nor part of sosmooth, if there is
    such a place.

    Args:
        error: the exception, after it was raised.
    """
    return f"{type(error).__name__}: {text_of(error)}{in_users_code(error)}"


def text_of(error: BaseException) -> str:
    """The message in one line; a bare key is shown as Python writes it.

    Args:
        error: the exception.
    """
    only = error.args[0] if isinstance(error, KeyError) and len(error.args) == 1 else None
    # The text of a KeyError is the key in quotes; a sentence is shown without them.
    text = only if isinstance(only, str) and " " in only else str(error)
    return " ".join(text.split()) or "no message"


def in_users_code(error: BaseException) -> str:
    """The last place in the user's code that raised or passed the exception.

    Args:
        error: the exception, after it was raised.

    Returns:
        ` (FILE, line N)`; empty if there is no such place.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_OWN, "<", *_INSTALLED)):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""


def is_own_sentence(error: BaseException) -> bool:
    """Whether sosmooth raised the exception, with a message that says what is wrong.

    Args:
        error: the exception, after it was raised.
    """
    frames = traceback.extract_tb(error.__traceback__)
    bare = isinstance(error, KeyError) and " " not in str(error)
    return bool(frames) and frames[-1].filename.startswith(_OWN) and not bare

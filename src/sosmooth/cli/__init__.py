"""The command line.

Each command is a thin function in its own module. It imports heavy packages only when it runs.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence

from sosmooth._errors import is_own_sentence, one_line, text_of
from sosmooth.cli._flags import with_flags
from sosmooth.cli._interruption import after
from sosmooth.cli._output import say
from sosmooth.cli._warnings import shown_once

_TRACEBACK = "--traceback"
_WRONG_CALL = (
    ValueError,
    LookupError,
    ImportError,
    FileNotFoundError,
    FileExistsError,
    NotADirectoryError,
    IsADirectoryError,
    PermissionError,
)
_FAILED = (OSError, RuntimeError, ArithmeticError, MemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sosmooth` with these arguments (default: the process's) and return the exit code.

    0: done. 1: the work failed. 2: the call is wrong; one line says what came, what is
    allowed and how to fix it. `--traceback`, anywhere, prints the traceback of an error before that
    line.
    """
    from cyclopts import CycloptsError

    from sosmooth.cli._app import COMMANDS, app
    from sosmooth.cli._choices import spelled_out

    words = list(sys.argv[1:] if arguments is None else arguments)
    with_traceback = _TRACEBACK in words
    words = [word for word in words if word != _TRACEBACK]
    helped = [
        command
        for command in COMMANDS
        if {"--help", "-h"} & set(words) and command.__name__.replace("_", "-") == words[0]
    ]
    try:
        with shown_once(), spelled_out(helped):
            result = app(
                words, exit_on_error=False, print_error=False, result_action="return_value"
            )
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        return _say(f"{' '.join(str(error).split())} {_help_for(error.command_chain or ())}", 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has stopped: do not write to it
        return 1
    except KeyboardInterrupt as interruption:
        return _say(f"interrupted; {after(interruption, words[0] if words else '')}", 130)
    except Exception as error:
        if with_traceback:
            traceback.print_exception(error)
        return _said_in_one_line(error, with_traceback)


def _said_in_one_line(error: Exception, with_traceback: bool) -> int:
    """Print a message of sosmooth unchanged, an error of others with its type and place."""
    code = 2 if isinstance(error, _WRONG_CALL) and not _work_failed(error) else 1
    if is_own_sentence(error) and isinstance(error, (*_WRONG_CALL, *_FAILED)):
        line = text_of(error)
    else:
        line = one_line(error) + ("" if with_traceback else f" ({_TRACEBACK} shows the rest)")
    if isinstance(error, PermissionError):
        line += ": no permission; choose a place that you can write to"
    return _say(with_flags(line), code)


def _work_failed(error: Exception) -> bool:
    """Whether the call was right, but another program changed its folder."""
    from sosmooth.runs.files import FolderChangedError

    return isinstance(error, FolderChangedError)


def _help_for(command: Sequence[str]) -> str:
    if command:
        return f"`sosmooth {' '.join(command)} --help` lists its options."
    return "`sosmooth --help` lists the commands."


def _say(line: str, code: int) -> int:
    say(f"sosmooth: {line}")
    return code


def run() -> None:
    """The entry point of the installed program."""
    # SIGTERM leaves a readable run behind, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt

"""The command line. Each command is a thin function in a module of its own; what is heavy is imported when it runs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sosmooth` with these arguments (default: the process's) and return the exit code.

    0: done. 1: the work failed. 2: the call is wrong; one line says what came, what is allowed and how to mend it.
    """
    from cyclopts import CycloptsError

    from sosmooth.cli._app import app

    try:
        result = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        return _say(f"{' '.join(str(error).split())} {_help_for(error.command_chain or ())}", 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone: nothing to say, and nobody to say it to
        return 1
    except KeyboardInterrupt:
        return _say(
            "interrupted; what was certified is stored, and the same command goes on from there",
            130,
        )
    except (
        ValueError,
        LookupError,
        ImportError,
        FileNotFoundError,
        FileExistsError,
        NotADirectoryError,
        IsADirectoryError,
    ) as error:
        return _say(_one_line(error), 2)
    except PermissionError as error:
        return _say(f"{_one_line(error)}: no permission; choose a place that can be written", 2)
    except (OSError, RuntimeError, ArithmeticError, MemoryError) as error:
        return _say(_one_line(error), 1)


def _help_for(command: Sequence[str]) -> str:
    if command:
        return f"`sosmooth {' '.join(command)} --help` lists its options."
    return "`sosmooth --help` lists the commands."


def _one_line(error: BaseException) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or type(error).__name__


def _say(line: str, code: int) -> int:
    print(f"sosmooth: {line}", file=sys.stderr)
    return code


def run() -> None:
    """The entry point of the installed program."""
    signal.signal(
        signal.SIGTERM, _interrupt
    )  # a polite stop leaves a readable run behind, as Ctrl-C does
    sys.exit(main())


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt

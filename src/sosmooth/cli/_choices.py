"""What can be chosen from for an option, where only help and completion need to know it.

The commands take any text and the library judges it. To list the methods they must be imported,
which takes a third of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Parameter

_PREVIOUS = '  prev="${COMP_WORDS[COMP_CWORD-1]}"'
_AFTER_A_COLON = """\
  if [[ "$cur" == ":" ]]; then
    cur=""; prev="${COMP_WORDS[COMP_CWORD-2]}"
  elif [[ "$prev" == ":" ]]; then
    prev="${COMP_WORDS[COMP_CWORD-3]}"
  fi"""
# Options whose text often is a path.
_PATHS = ("model", "data", "weights")


@contextmanager
def spelled_out(commands: Iterable[Callable[..., Any]], *, paths: bool = False) -> Iterator[None]:
    """Within it, the options of these commands say what they can be.

    Args:
        commands: functions; they are as before when it ends.
        paths: whether specs that may be paths are to be completed as paths.
    """
    before = [(command, dict(command.__annotations__)) for command in commands]
    for command, _ in before:
        for name, hint in get_type_hints(command, include_extras=True).items():
            if name == "method":
                _change(command, name, hint, Literal[*_methods()])
            elif paths and name in _PATHS:
                _change(command, name, hint, Path)
    try:
        yield
    finally:
        for command, annotations in before:
            command.__annotations__ = annotations


def _methods() -> Iterable[str]:
    from sosmooth.methods import METHODS

    return METHODS


def for_bash(script: str) -> str:
    """The script of cyclopts, so that it walks into folders and completes the path in `csv:PATH`.

    For bash a colon ends a word, so the option is one or two words further to the left.
    """
    return script.replace("complete -F", "complete -o filenames -F").replace(
        _PREVIOUS, f"{_PREVIOUS}\n{_AFTER_A_COLON}"
    )


def _change(command: Callable[..., Any], name: str, hint: Any, kind: Any) -> None:
    """Replace the type of a parameter; what is said about it stays."""
    said = [each for each in _metadata(hint) if isinstance(each, Parameter)]
    command.__annotations__[name] = Annotated[kind | None, *said]


def _metadata(hint: Any) -> tuple[Any, ...]:
    """What Annotated says, also within a union with None."""
    if get_origin(hint) is Annotated:
        inner, *said = get_args(hint)
        return (*_metadata(inner), *said)
    return tuple(each for part in get_args(hint) for each in _metadata(part))

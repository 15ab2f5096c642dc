"""Plain values and NumPy arrays out of a pickle, without unpickling it.

A pickle is a program. This module interprets the few instructions that build numbers, text, lists,
dictionaries and byte arrays. No name in the file is looked up or called: calls are recorded, and
only those that Python and NumPy write for bytes and arrays are understood. Everything else is
refused.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARK = object()
_ARRAY = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_DTYPE = "numpy dtype"
# In protocols up to 2, Python 3 writes bytes as text and a call of this function.
_ENCODE = "_codecs encode"
# In protocol 5, NumPy writes arrays as a call of this function.
_FROM_BUFFER = ("numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer")


class PickleRefused(ValueError):
    """A pickle that is broken or holds more than plain values and byte arrays."""


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass
class _Call:
    """A call that the pickle asks for, and the state it would set afterwards."""

    name: str
    arguments: tuple
    state: Any = None


@dataclass
class _Machine:
    """What the instructions work on: the stack, and values that are used again by number."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)


def read_pickled_arrays(content: bytes) -> Any:
    """The value of a pickle that holds plain values and byte arrays only.

    Plain values are None, booleans, integers, text, bytes, lists, tuples and dictionaries; arrays
    are of uint8. Text of Python 2 and keys of bytes become `str`, byte for byte as in Latin-1.
    Reads protocols 2 to 5, by Python 2 or 3, as far as such values need them.

    Args:
        content: the file.

    Raises:
        PickleRefused: anything else; the first instruction that is not allowed is named.

    Guarantee:
        Runs no code of the file and imports nothing.
    """
    machine = _Machine()
    encoded = 0
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in text
            for opcode, argument, _ in pickletools.genops(content):
                if opcode.name == "STOP":
                    return _plain(machine.stack.pop())
                if opcode.name not in _INSTRUCTIONS:
                    raise PickleRefused(f"it holds the instruction {opcode.name}")
                _INSTRUCTIONS[opcode.name](machine, argument)
                if opcode.name == "REDUCE" and type(machine.stack[-1]) is bytes:
                    encoded += len(machine.stack[-1])
                    if encoded > len(content):  # the same text again and again
                        raise PickleRefused("it encodes more text than it holds")
    except PickleRefused:
        raise
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise PickleRefused(f"broken pickle: {error}") from error
    raise PickleRefused("broken pickle: it does not end")


_Instruction = Callable[[_Machine, Any], None]


def _push(value: Callable[[Any], Any]) -> _Instruction:
    """The instruction that puts on the stack what `value` makes of its argument."""

    def instruction(machine: _Machine, argument: Any) -> None:
        machine.stack.append(value(argument))

    return instruction


def _remember(machine: _Machine, argument: int | None) -> None:
    place = len(machine.memo) if argument is None else argument
    machine.memo[place] = machine.stack[-1]


def _recall(machine: _Machine, argument: int) -> None:
    machine.stack.append(machine.memo[argument])


def _tuple_of(count: int) -> _Instruction:
    def instruction(machine: _Machine, argument: None) -> None:
        values = [machine.stack.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(values)))

    return instruction


def _tuple(machine: _Machine, argument: None) -> None:
    machine.stack.append(tuple(_since_mark(machine.stack)))


def _append(machine: _Machine, argument: None) -> None:
    item = machine.stack.pop()
    machine.stack[-1].extend([item])


def _appends(machine: _Machine, argument: None) -> None:
    items = _since_mark(machine.stack)
    machine.stack[-1].extend(items)


def _set_item(machine: _Machine, argument: None) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _update(machine.stack[-1], [key, value])


def _set_items(machine: _Machine, argument: None) -> None:
    items = _since_mark(machine.stack)
    _update(machine.stack[-1], items)


def _update(target: Any, items: list[Any]) -> None:
    """Put keys and values, in turn, into a dictionary."""
    keys = items[::2]
    if not all(type(key) in (str, bytes) for key in keys):  # hashing nested tuples can take hours
        raise PickleRefused("it holds a dictionary with keys that are not text")
    names = [key.decode("latin-1") if type(key) is bytes else key for key in keys]
    target.update(zip(names, items[1::2], strict=True))


def _name_on_stack(machine: _Machine, argument: None) -> None:
    attribute, module = machine.stack.pop(), machine.stack.pop()
    if not (type(attribute) is str and type(module) is str):
        raise PickleRefused("it names an object by something that is not text")
    machine.stack.append(_Name(f"{module} {attribute}"))


def _call(machine: _Machine, argument: None) -> None:
    """Record a call; bytes that are written as text are the one thing that is made at once."""
    arguments, function = machine.stack.pop(), machine.stack.pop()
    if not isinstance(function, _Name):
        raise PickleRefused("it calls no name")
    if function.text == _ENCODE:
        machine.stack.append(_encoded(arguments))
    elif function.text in (*_ARRAY, *_FROM_BUFFER, _DTYPE):
        machine.stack.append(_Call(function.text, arguments))
    else:
        raise PickleRefused(f"it wants to call {function.text!r}")


def _build(machine: _Machine, argument: None) -> None:
    state = machine.stack.pop()
    machine.stack[-1].state = state


def _nothing(machine: _Machine, argument: Any) -> None:
    pass


_LITERALS = (
    *("BININT", "BININT1", "BININT2"),
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING"),
)
_INSTRUCTIONS: dict[str, _Instruction] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "NONE": _push(lambda _: None),
    "NEWTRUE": _push(lambda _: True),
    "NEWFALSE": _push(lambda _: False),
    **dict.fromkeys(_LITERALS, _push(lambda value: value)),
    "BYTEARRAY8": _push(bytes),
    "EMPTY_LIST": _push(lambda _: []),
    "EMPTY_DICT": _push(lambda _: {}),
    "EMPTY_TUPLE": _push(lambda _: ()),
    "MARK": _push(lambda _: _MARK),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _recall),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _tuple,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _push(_Name),
    "STACK_GLOBAL": _name_on_stack,
    "REDUCE": _call,
    "BUILD": _build,
}


def _since_mark(stack: list[Any]) -> list[Any]:
    start = len(stack) - 1
    while stack[start] is not _MARK:
        start -= 1
    items = stack[start + 1 :]
    del stack[start:]
    return items


def _encoded(arguments: Any) -> bytes:
    """Bytes that are written as text: each letter is one byte."""
    if not (
        isinstance(arguments, tuple)
        and 1 <= len(arguments) <= 2
        and type(arguments[0]) is str
        and arguments[1:] in (("latin1",), ("latin-1",))
    ):
        raise PickleRefused("it encodes something that is not text in Latin-1")
    return arguments[0].encode("latin-1")


def _plain(value: Any) -> Any:
    """The value with recorded calls replaced by arrays, in a dictionary one level down."""
    if isinstance(value, dict):
        return {
            key: _plain(item) if isinstance(item, _Call) else item for key, item in value.items()
        }
    return _array(value) if isinstance(value, _Call) else value


def _array(call: _Call) -> NDArray[np.uint8]:
    if call.name in _FROM_BUFFER:
        content, dtype, shape, order = call.arguments
        return _of_bytes(content, dtype, shape, fortran=order == "F")
    if call.name not in _ARRAY or not isinstance(call.state, tuple) or len(call.state) != 5:
        raise PickleRefused(f"it holds {call.name!r}, no array")
    _, shape, dtype, fortran, content = call.state
    return _of_bytes(content, dtype, shape, fortran=bool(fortran))


def _of_bytes(content: Any, dtype: Any, shape: Any, *, fortran: bool) -> NDArray[np.uint8]:
    if not (
        isinstance(dtype, _Call) and dtype.name == _DTYPE and dtype.arguments[0] in ("u1", "uint8")
    ):
        raise PickleRefused("it holds an array of another type than uint8")
    content = content.encode("latin-1") if isinstance(content, str) else content
    if not isinstance(content, bytes) or not all(type(side) is int and side >= 0 for side in shape):
        raise PickleRefused("it holds an array without bytes or shape")
    if len(content) != math.prod(shape):
        raise PickleRefused(
            f"it holds an array of {len(content)} bytes, and its shape needs another number"
        )
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")

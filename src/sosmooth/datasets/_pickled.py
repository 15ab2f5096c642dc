"""Plain values and NumPy arrays out of a pickle, without unpickling it: no name in the file is ever looked up or called.

A pickle is a program. This interprets the few instructions that build numbers, text, lists, dictionaries and byte arrays; calls
are recorded, not made, and only those that Python and NumPy write for bytes and arrays are
understood. Everything else is refused.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARK = object()
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "SHORT_BINBYTES",
    "BINBYTES",
    "BINBYTES8",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ARRAY = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_DTYPE = "numpy dtype"
# Python 3 writes bytes as text and this call in protocols up to 2, arrays by this one in protocol 5.
_ENCODE = "_codecs encode"
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


def read_pickled_arrays(content: bytes) -> Any:
    """The value of a pickle made of None, booleans, integers, text, bytes, lists, tuples, dictionaries and uint8 arrays.

    Text of Python 2 and keys of bytes become `str`, byte for byte as in Latin-1. Reads protocols 2
    to 5, by Python 2 or 3, as far as such values need them.

    Args:
        content: the file.
    Raises:
        PickleRefused: anything else; the first instruction that is not allowed is named.
    Guarantee:
        Runs no code of the file and imports nothing.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    encoded = 0
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in text
            for opcode, argument, _ in pickletools.genops(content):
                if opcode.name == "STOP":
                    return _plain(stack.pop())
                _step(opcode.name, argument, stack, memo)
                if opcode.name == "REDUCE" and type(stack[-1]) is bytes:
                    encoded += len(stack[-1])
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


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _LITERALS:
        stack.append(argument)
    elif name == "BYTEARRAY8":
        stack.append(bytes(argument))
    elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"):
        stack.append({"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}[name]())
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name in _TUPLES:
        stack.append(tuple(reversed([stack.pop() for _ in range(_TUPLES[name])])))
    elif name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name in ("APPEND", "APPENDS"):
        items = [stack.pop()] if name == "APPEND" else _since_mark(stack)
        stack[-1].extend(items)
    elif name in ("SETITEM", "SETITEMS"):
        items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else _since_mark(stack)
        if not all(
            type(key) in (str, bytes) for key in items[::2]
        ):  # nested tuples can take for ever to hash
            raise PickleRefused("it holds a dictionary with keys that are no text")
        keys = [key.decode("latin-1") if type(key) is bytes else key for key in items[::2]]
        stack[-1].update(zip(keys, items[1::2], strict=True))
    elif name == "GLOBAL":
        stack.append(_Name(argument))
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        if not (type(attribute) is str and type(module) is str):
            raise PickleRefused("it names something by what is no text")
        stack.append(_Name(f"{module} {attribute}"))
    elif name == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        if isinstance(function, _Name) and function.text == _ENCODE:
            stack.append(_encoded(arguments))
            return
        if not (isinstance(function, _Name) and function.text in (*_ARRAY, *_FROM_BUFFER, _DTYPE)):
            raise PickleRefused(
                f"it wants to call {function.text!r}"
                if isinstance(function, _Name)
                else "it calls no name"
            )
        stack.append(_Call(function.text, arguments))
    elif name == "BUILD":
        state = stack.pop()
        stack[-1].state = state
    elif name not in ("PROTO", "FRAME"):
        raise PickleRefused(f"it holds the instruction {name}")


def _since_mark(stack: list[Any]) -> list[Any]:
    start = len(stack) - 1
    while stack[start] is not _MARK:
        start -= 1
    items = stack[start + 1 :]
    del stack[start:]
    return items


def _encoded(arguments: Any) -> bytes:
    """Bytes that are written as text, of which each letter is one byte."""
    if not (
        isinstance(arguments, tuple)
        and 1 <= len(arguments) <= 2
        and type(arguments[0]) is str
        and arguments[1:] in (("latin1",), ("latin-1",))
    ):
        raise PickleRefused("it encodes what is no text in Latin-1")
    return arguments[0].encode("latin-1")


def _plain(value: Any) -> Any:
    """The value with its recorded calls replaced by arrays; lists and dictionaries of plain values one level down."""
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
            f"it holds an array of {len(content)} bytes where its shape asks for others"
        )
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")

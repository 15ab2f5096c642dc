"""Exported programs (`.pt2`) made fit to be loaded: torch's own reader runs code that a hostile file can bring along.

It unpickles, evaluates sizes, executes guards and looks up operators by name. Here only plain weights and a graph of plain
operators are taken over into a fresh archive; everything else of the file is dropped or refused.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

_MODEL = "models/model.json"
_TENSORS = re.compile(r"data/(weights/weight_\d+|constants/tensor_\d+)")
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_EMPTY = "data/sample_inputs/model.pt"  # torch looks for it, and serves itself without
_DROPPED = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|extra/.*|" + re.escape(_EMPTY)
)

_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims)\.(?!save\.|from_file\.)\w+\.\w+"
    r"|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)"
    r"|torch\.sym_\w+|math\.(ceil|floor|trunc|sqrt|pow)"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
_SYMBOL = r"[a-z]+\d+"
# Sizes are evaluated as Python: whole numbers, symbols and sympy's and torch's functions of them.
# Possessive: what is no size is refused without trying every way to split its digits.
_SIZE = re.compile(
    rf"(?:Symbol\('{_SYMBOL}'(?:, \w+=(?:True|False))*\)|Integer\(-?\d+\)|-?\d++|Add|Mul|Pow|Max|Min"
    r"|Mod|PythonMod|CeilToInt|FloorToInt|(?:Floor|Ceil|Clean|IntTrue|FloatTrue)Div|[(), ])++"
)
_NAME = re.compile(r"\w*")
_PLAIN = re.compile(r"[\w.+\-]*")
_CONTAINERS = ("builtins.tuple", "builtins.list", "builtins.dict", None)


class ArchiveRefused(ValueError):
    """The file holds what could run code; the message says what."""


def checked_archive(content: bytes) -> io.BytesIO:
    """The plain part of a `.pt2` file, written afresh: weights, constants, and the graph without metadata and guards.

    Args:
        content: the file, as `torch.export.save` of torch 2.9 or later writes it.
    Raises:
        ArchiveRefused: no such file; pickled weights, custom objects or compiled code; operators outside torch's own (`aten`,
            `prims`); names or sizes that are more than names and sizes.
    """
    try:
        with PT2ArchiveReader(io.BytesIO(content)) as reader:
            records = {
                name: reader.read_bytes(name)
                for name in reader.get_file_names()
                if not _DROPPED.fullmatch(name)
            }
    except RuntimeError as error:
        raise ArchiveRefused(
            f"no whole archive of torch.export.save ({str(error).splitlines()[0]})"
        ) from error
    strange = [
        name for name in records if name not in (_MODEL, *_CONFIGS) and not _TENSORS.fullmatch(name)
    ]
    if strange or not {_MODEL, *_CONFIGS} <= records.keys():
        raise ArchiveRefused(
            f"it holds {strange[0]!r}"
            if strange
            else "it is no exported program, or of a torch before 2.9"
        )
    try:
        for name in _CONFIGS:
            _check_payloads(json.loads(records[name]))
        records[_MODEL] = json.dumps(_plain_program(json.loads(records[_MODEL]))).encode()
    except (
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        json.JSONDecodeError,
        UnicodeDecodeError,
    ) as error:
        raise ArchiveRefused(
            f"its description cannot be read ({type(error).__name__}: {error})"
        ) from error
    fresh = io.BytesIO()
    with PT2ArchiveWriter(fresh) as writer:
        for name, value in (records | {_EMPTY: b""}).items():
            writer.write_bytes(name, value)
    fresh.seek(0)
    return fresh


def _check_payloads(config: dict[str, Any]) -> None:
    for name, payload in config["config"].items():
        place = payload["path_name"]
        if payload["use_pickle"] is not False or not re.fullmatch(r"(weight|tensor)_\d+", place):
            raise ArchiveRefused(f"{name} is pickled or no tensor")


def _plain_program(program: dict[str, Any]) -> dict[str, Any]:
    """The program without what people or torch's exporter wrote beside the graph; all that stays is checked."""
    program["guards_code"] = []
    for node in list(_nodes(program)):
        node["metadata"] = {}
    for text in program["range_constraints"]:
        _require(re.compile(_SYMBOL), text, "symbol")
    _check(program, key="")
    return program


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "target" in value and "inputs" in value:
            yield value
        for part in value.values():
            yield from _nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _nodes(part)


def _check(value: Any, key: str) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            _require(_PLAIN, name, "name")
            _check(part, name)
    elif isinstance(value, list):
        for part in value:
            _check(part, key)
    elif isinstance(value, str):
        if key in ("in_spec", "out_spec"):
            _check_container(json.loads(value))
        elif key in ("target", "as_operator"):
            _require(_OPERATORS, value, "operator")
        elif key == "expr_str":
            _require(_SIZE, value, "size")
        else:
            _require(_NAME if key == "name" else _PLAIN, value, key)


def _check_container(spec: Any) -> None:
    """How arguments and results are packed: tuples, lists, and dictionaries by plain names."""
    if isinstance(spec, list):  # version of the format, specification
        spec = spec[1]
    if spec["type"] not in _CONTAINERS:
        raise ArchiveRefused(
            f"it takes or returns {spec['type']!r}; tuples, lists and dictionaries of tensors are read"
        )
    names = json.loads(spec["context"]) if spec["context"] else None
    for name in names or []:
        _require(_NAME, name, "name")
    for child in spec["children_spec"]:
        _check_container(child)


def _require(pattern: re.Pattern[str], text: Any, what: str) -> None:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ArchiveRefused(f"the {what} {str(text)[:60]!r} is none that is allowed")

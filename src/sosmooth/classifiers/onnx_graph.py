"""The operators of an ONNX file, read from its protocol buffer: ONNX Runtime does not show them.

Field numbers are those of onnx.proto of ONNX 1.0 and later. All other fields are skipped.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Operators that draw random numbers.
_RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike")
)  # fmt: skip
# Operators that pass values on, or move them.
_MOVES = frozenset(
    ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Cast", "Slice")
)
_LINEAR = frozenset(("Gemm", "MatMul", "Conv"))
#: Attributes of the operators that scikit-learn's classifiers become, and entries of metadata.
_CLASS_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_LONGEST = 1_000_000  # characters of names
_NAMES_OF_CLASSES = ("names", "class_names", "classes", "labels", "id2label")


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        operator: its type, as `Gemm`.
        name: of it.
        inputs: names of its inputs.
        outputs: names of its outputs.
        integers: its attributes that are whole numbers.
        value: of a constant, if it is small.
        class_names: what a classifier of scikit-learn calls its classes (`classlabels_…`).
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: dict[str, int] = field(default_factory=dict)
    value: bytes | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """The operators of a model.

    Attributes:
        nodes: all operators, also those in branches, loops and functions.
        constants: bytes of small constants, by name.
        metadata: further entries of the file, by name.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, bytes]
    metadata: dict[str, str] = field(default_factory=dict)

    def class_names(self) -> list[str] | None:
        """The names of the classes, if its one classifier or the metadata have them."""
        named = {node.class_names for node in self.nodes if node.class_names}
        if len(named) == 1:
            return list(named.pop())
        found = [self.metadata[name] for name in _NAMES_OF_CLASSES if name in self.metadata]
        return _listed(found[0]) if len(found) == 1 else None

    def source(self, output: str) -> tuple[str, int]:
        """The operator that computes an output, and which of the operator's outputs it is.

        Operators that only move values are skipped, and so is adding a bias to a linear operator.

        Args:
            output: the name of an output.

        Returns:
            Type and position; ("", 0) if no operator computes it.
        """
        made_by = {name: node for node in self.nodes for name in node.outputs if name}
        for _ in range(len(self.nodes)):
            node = made_by.get(output)
            if node is None:
                break
            if node.operator in _MOVES and node.inputs:
                output = node.inputs[0]
                continue
            if node.operator == "Add":
                before = [made_by[name].operator for name in node.inputs if name in made_by]
                if any(each in _LINEAR for each in before):
                    return "Linear", 0
            return node.operator, node.outputs.index(output)
        return "", 0

    def single_score(self, output: str) -> str | None:
        """How a single score is read, by its last operator; None: the operator does not say."""
        operator, _ = self.source(output)
        if operator in ("Sigmoid", "HardSigmoid"):
            return "probability"
        return "margin" if operator in ("Linear", *_LINEAR) else None

    def depends_on_more_than_the_input(self) -> str | None:
        """The first operator that depends on the rest of the batch or on chance, or None."""
        for node in self.nodes:
            if node.operator in _RANDOM:
                return f"{node.operator} draws random numbers"
            if node.operator == "BatchNormalization" and (
                node.integers.get("training_mode")
                or len([name for name in node.outputs if name]) > 1
            ):
                return "BatchNormalization in training mode"
            mode = node.inputs[2] if len(node.inputs) > 2 else ""
            if node.operator == "Dropout" and mode and not self._is_false(mode):
                return "Dropout in training mode"
        return None

    def _is_false(self, name: str) -> bool:
        """Whether it is certain that a value is a constant false."""
        made_by = {each: node for node in self.nodes for each in node.outputs if each}
        for _ in range(len(self.nodes) + 1):
            if name in self.constants:
                return not any(self.constants[name])
            node = made_by.get(name)
            if node is None or node.operator not in _MOVES or not node.inputs:
                return False
            name = node.inputs[0]
        return False


def read_graph(content: bytes) -> Graph:
    """The operators of a model.

    Args:
        content: the file.

    Raises:
        ValueError: no protocol buffer, or one that is cut.
    """
    nodes: list[Node] = []
    constants: dict[str, bytes] = {}
    metadata: dict[str, str] = {}
    for number, value in _fields(memoryview(content)):
        if number == 7:
            _read_nodes(value, 1, nodes, constants)
        elif number == 25:  # a function: its nodes are field 7
            _read_nodes(value, 7, nodes, constants)
        elif number == 14:
            pair = {part: _text(held) for part, held in _fields(value)}
            metadata[pair.get(1, "")] = pair.get(2, "")
    return Graph(tuple(nodes), constants, metadata)


def _listed(text: str) -> list[str] | None:
    """Names as tools write them into the metadata: a list, or an object by numbers."""
    if len(text) > _LONGEST:
        return None
    found: Any
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if isinstance(found, dict):
        numbered = {str(number): name for number, name in found.items()}
        found = [numbered.get(str(number)) for number in range(len(found))]
    if isinstance(found, list) and found and all(isinstance(name, str) for name in found):
        return found
    return None


def _read_nodes(
    graph: memoryview | int, nodes_are: int, nodes: list[Node], constants: dict[str, bytes]
) -> None:
    for number, value in _fields(graph):
        if number == nodes_are:
            nodes.append(_node(value, nodes, constants))
            if (constant := nodes[-1].value) is not None:
                constants.update(dict.fromkeys(nodes[-1].outputs, constant))
        elif number == 5 and nodes_are == 1:
            name, values = _tensor(value)
            if values is not None:
                constants[name] = values


def _node(message: memoryview | int, nodes: list[Node], constants: dict[str, bytes]) -> Node:
    inputs, outputs, text = [], [], {3: "", 4: ""}
    integers, constant, names = {}, None, []
    for number, value in _fields(message):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number in text:
            text[number] = _text(value)
        elif number == 5:
            name = ""
            for part, held in _fields(value):
                if part == 1:
                    name = _text(held)
                elif part == 3 and isinstance(held, int):
                    integers[name] = held
                elif part in (8, 9) and name in _CLASS_LABELS:
                    names += [_text(held)] if part == 9 else map(str, _integers(held))
                elif part == 5 and name == "value":
                    constant = _tensor(held)[1]
                elif part in (6, 11):  # the graph of a branch or a loop
                    _read_nodes(held, 1, nodes, constants)
    return Node(text[4], text[3], tuple(inputs), tuple(outputs), integers, constant, tuple(names))


def _integers(value: memoryview | int) -> list[int]:
    """One whole number, or several that are packed."""
    if isinstance(value, int):
        numbers = [value]
    else:
        numbers, at = [], 0
        while at < len(value):
            number, at = _number(value, at)
            numbers.append(number)
    return [number - 2**64 if number >= 2**63 else number for number in numbers]


def _tensor(message: memoryview | int) -> tuple[str, bytes | None]:
    """Name and bytes of a small tensor; None for a large one or another form."""
    name, values = "", None
    for number, value in _fields(message):
        if number == 8:
            name = _text(value)
        elif number == 9 and not isinstance(value, int) and len(value) <= 8:
            values = bytes(value)
        elif number == 5:  # int32_data, which holds booleans too
            values = bytes([value & 255]) if isinstance(value, int) else bytes(value[:8])
    return name, values


def _text(value: memoryview | int) -> str:
    return "" if isinstance(value, int) else str(value, "utf-8", "replace")


def _fields(message: memoryview | int) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field."""
    if isinstance(message, int):  # of another type than this field has
        raise ValueError("not the protocol buffer of an ONNX model, or cut off")
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        if key & 7 == 0:
            value, at = _number(message, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7)
            if key & 7 == 2:
                length, at = _number(message, at)
            if length is None or at + length > len(message):
                raise ValueError("not the protocol buffer of an ONNX model, or cut off")
            value, at = message[at : at + length], at + length
        yield key >> 3, value


def _number(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("not the protocol buffer of an ONNX model, or cut off")

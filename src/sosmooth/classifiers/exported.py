"""Exported PyTorch programs: `.pt2` files, as `torch.export.save` writes them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from sosmooth.classifiers.batches import in_batches
from sosmooth.classifiers.loaded import LoadedClassifier, known_lengths
from sosmooth.classifiers.outputs import Output, Wanted, chosen, outputs_of
from sosmooth.sampling.outputs import named_outputs


def open_exported(path: Path, wanted: Wanted) -> LoadedClassifier:
    """The program of a `.pt2` file: of one tensor (batch, …), to scores or labels.

    Its batch axis is fixed or dynamic. One of several outputs is named, or its name or shape leaves
    no choice (`outputs.chosen`). The program runs on the device of its inputs.

    Opening the file runs code: torch unpickles parts of it and evaluates expressions in it.

    Args:
        path: the file, as `torch.export.save` writes it.
        wanted: what the user says of its outputs.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no exported program, or one that takes several inputs or was exported in
            training mode.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; write it with torch.export.save")
    content = path.read_bytes()
    try:
        with _no_log():
            program = torch.export.load(BytesIO(content))
    except Exception as error:  # torch's reader raises all kinds of exceptions
        raise ValueError(
            f"{path} is not an exported program that torch can read ({type(error).__name__});"
            " export the model again with torch.export.save"
        ) from error
    inputs = [
        node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
    ]
    example = inputs[0].meta.get("val") if len(inputs) == 1 else None
    if not (isinstance(example, Tensor) and example.is_floating_point() and example.ndim > 1):
        raise ValueError(
            f"{path} takes {len(inputs)} inputs; a classifier takes one floating tensor, (batch, …)"
        )
    if training := _training(program):
        raise ValueError(
            f"{path} was exported in training mode ({training}); call model.eval(), then export it"
            " again"
        )
    outputs = _outputs(program)
    try:
        if not outputs:
            raise ValueError("it returns no tensor; a classifier returns scores or labels")
        result, note = chosen(outputs, wanted.output, wanted.num_classes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    settings = {
        "architecture": "exported program",
        "weights_sha256": None,
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "training_sigma": None,
    }
    if len(outputs) > 1:
        settings["output"] = result.name
    return LoadedClassifier(
        in_batches(
            _on_any_device(program, example.dtype, result.name),
            *_batch_sizes(example.shape[0], program),
            shape=_lengths(example)[1:],
        ),
        result.num_classes,
        settings,
        input_shape=known_lengths(_lengths(example)[1:]),
        notes=(note,) if note else (),
    )


@contextmanager
def _no_log() -> Iterator[None]:
    """Without the tracebacks that torch logs of a broken file."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _outputs(program: ExportedProgram) -> list[Output]:
    """The outputs of the module, as it packed them; the graph may also return changed state."""
    nodes: Any = program.graph.output_node().args[0]
    own = nodes[len(nodes) - len(program.graph_signature.user_outputs) :]
    spec = program.call_spec.out_spec
    if spec is None:
        return []
    packed = [getattr(node, "meta", {}).get("val") for node in own]
    return [
        replace(output, shape=_lengths(tensor))
        for output, tensor in zip(
            outputs_of(spec.unflatten(packed)),
            [value for value in packed if isinstance(value, Tensor)],
            strict=True,
        )
    ]


def _lengths(tensor: Tensor) -> tuple[int | str, ...]:
    """The shape; an axis of any length is the name of its symbol."""
    return tuple(each if type(each) is int else str(each) for each in tensor.shape)


def _batch_sizes(size: Any, program: ExportedProgram) -> tuple[int, int | None]:
    """The smallest and the largest batch."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return 1, None
    return max(1, int(limits.lower)), None if limits.upper > 2**40 else int(limits.upper)


# Arguments by which an operator that can draw random numbers draws none.
_SWITCHES = {"train", "training", "dropout_p"}


def _training(program: ExportedProgram) -> str | None:
    """The first operator that depends on the rest of the batch, on chance, or on earlier calls."""
    if changed := program.graph_signature.buffers_to_mutate:
        return f"it changes {', '.join(changed.values())}"
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", program.graph).nodes:
            schema = getattr(node.target, "_schema", None)
            if schema is None:
                continue
            given = (
                dict(zip((argument.name for argument in schema.arguments), node.args, strict=False))
                | node.kwargs
            )
            if any(given.get(name) is True for name in ("train", "training")):
                return schema.name
            if torch.Tag.nondeterministic_seeded in node.target.tags:
                switches = {argument.name for argument in schema.arguments} & _SWITCHES
                if not switches or given.get("dropout_p"):
                    return schema.name
    return None


def _on_any_device(
    program: ExportedProgram, dtype: torch.dtype, output: str
) -> Callable[[Tensor], Tensor]:
    """One output of the program, moved to each device when the first inputs on it come.

    Inputs are converted to the program's precision.
    """
    moved: dict[torch.device, Callable[[Tensor], Any]] = {}

    def classify(points: Tensor) -> Tensor:
        if points.device not in moved:
            from torch.export.passes import move_to_device_pass

            # `in_batches` checks the sizes, so the program's own guards are not needed.
            moved[points.device] = move_to_device_pass(program, points.device).module(
                check_guards=False
            )
        return named_outputs(moved[points.device](points.to(dtype)))[output]

    return classify

"""Exported PyTorch programs: `.pt2` files, as `torch.export.save` writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from sosmooth.classifiers.batches import in_batches
from sosmooth.classifiers.exported_archive import ArchiveRefused, checked_archive
from sosmooth.classifiers.loaded import LoadedClassifier


def open_exported(path: Path) -> LoadedClassifier:
    """The program of a `.pt2` file: of one tensor (batch, …), its batch axis fixed or dynamic, to scores or labels.

    It runs on whatever device its inputs are on. The file is read with care (`exported_archive`), but it is a program: use
    what you trust.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no exported program, one that could run code of its own, takes several inputs, was exported in training mode.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; write it with torch.export.save")
    content = path.read_bytes()
    try:
        program = torch.export.load(checked_archive(content))
    except ArchiveRefused as error:
        raise ValueError(
            f"{path} is not read: {error}; export the model again with torch.export.save"
        ) from error
    except Exception as error:  # torch's reader raises whatever it stumbles over
        raise ValueError(
            f"{path} cannot be read ({' '.join(str(error).split())[:200]}); export it again"
        ) from error
    inputs = [
        node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
    ]
    example = inputs[0].meta.get("val") if len(inputs) == 1 else None
    if not (isinstance(example, Tensor) and example.is_floating_point() and example.ndim > 1):
        raise ValueError(
            f"{path} takes {len(inputs)} inputs; a classifier takes one, a floating tensor (batch, …)"
        )
    if training := _training(program):
        raise ValueError(
            f"{path} was exported in training mode ({training}); call model.eval(), then export it again"
        )
    results: Any = program.graph.output_node().args[0]
    result = getattr(results[0], "meta", {}).get("val")
    if not isinstance(result, Tensor):
        raise ValueError(
            f"{path} returns no tensor; a classifier returns scores (batch, classes) or labels (batch,)"
        )
    digest = hashlib.sha256(content).hexdigest()
    return LoadedClassifier(
        in_batches(
            _on_any_device(program, example.dtype), *_batch_sizes(example.shape[0], program)
        ),
        int(result.shape[1]) if result.ndim == 2 and result.is_floating_point() else None,
        {
            "architecture": "exported program",
            "weights_sha256": None,
            "file_sha256": digest,
            "training_sigma": None,
        },
    )


def _batch_sizes(size: Any, program: ExportedProgram) -> tuple[int, int | None]:
    """The smallest and the largest batch."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return 1, None
    return max(1, int(limits.lower)), None if limits.upper > 2**40 else int(limits.upper)


def _training(program: ExportedProgram) -> str | None:
    """The first operator that depends on the rest of the batch, or on chance."""
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
    return None


def _on_any_device(program: ExportedProgram, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The program, moved to a device when inputs on it come first; it takes its own precision."""
    moved: dict[torch.device, Callable[[Tensor], Any]] = {}

    def classify(points: Tensor) -> Tensor:
        if points.device not in moved:
            from torch.export.passes import move_to_device_pass

            # The sizes are kept by `in_batches`, the guards dropped.
            moved[points.device] = move_to_device_pass(program, points.device).module(
                check_guards=False
            )
        result = moved[points.device](points.to(dtype))
        return result[0] if isinstance(result, Sequence) else result

    return classify

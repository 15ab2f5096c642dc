"""What classifiers return, in any container, as tensors with names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


def named_outputs(output: object) -> dict[str, torch.Tensor]:
    """The tensors in what a classifier returned, by name, in their order.

    Names are keys and attributes, or positions in a tuple or list. Dots join the names of nested
    outputs: `logits`, `0`, `1.scores`. A single tensor has the name `output`.
    """
    tensor = as_tensor(output)
    return dict(_parts(output, "")) if tensor is None else {"output": tensor}


def as_tensor(value: object) -> torch.Tensor | None:
    """A tensor, or an array of numbers as a tensor; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        # Torch knows neither the other byte order nor negative strides.
        plain = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("="), copy=False))
        return torch.from_numpy(plain)
    return value if isinstance(value, torch.Tensor) else None


def described(outputs: Mapping[str, torch.Tensor]) -> str:
    """Name, shape and type of each."""
    return ", ".join(
        f"{name} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
        for name, value in outputs.items()
    )


def without_trailing_ones(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without its last axes of length 1; the first axis, the batch, stays."""
    axes = tensor.ndim
    while axes > 1 and tensor.shape[axes - 1] == 1:
        axes -= 1
    return tensor.reshape(tensor.shape[:axes])


def _parts(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    tensor = as_tensor(value)
    if tensor is not None:
        yield name, tensor
        return
    for key, part in _members(value):
        yield from _parts(part, f"{name}.{key}" if name else str(key))


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, SimpleNamespace):
        return list(vars(value).items())
    if isinstance(value, tuple | list):
        names = getattr(type(value), "__match_args__", range(len(value)))  # those of named tuples
        return list(zip(names, value, strict=True))
    return []

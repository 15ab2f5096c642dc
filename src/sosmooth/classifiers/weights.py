"""Weights files: safetensors, with what is needed to rebuild the network and how it was trained.

The metadata is one JSON object under the key `sosmooth`: the file's bytes then follow from its content (safetensors writes
several keys in random order).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sosmooth.classifiers.architectures import ARCHITECTURES, build

_KEY = "sosmooth"
_REQUIRED = ("architecture", "num_classes")


def save_weights(path: Path, model: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write a model's weights to `path`, whole or not at all: a file beside it is written, synced and renamed.

    Args:
        path: `*.safetensors`; its folder is made if need be, an existing file is replaced.
        model: built by one of `ARCHITECTURES`.
        metadata: JSON-able; at least `architecture` (a key of `ARCHITECTURES`) and `num_classes`.
    Raises:
        ValueError: another suffix, missing metadata, weights that are not finite.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"weights are written to .safetensors files; got {path.name!r}")
    _check_metadata(str(path), metadata)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _check_finite(str(path), state)
    content = save(state, {_KEY: json.dumps(dict(metadata), sort_keys=True, allow_nan=False)})
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network that `save_weights` wrote, in eval mode on the CPU, and its metadata.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no safetensors file, not written by `save_weights`, an architecture that is not known or does not fit.
    """
    state, found = read_tensors(path)
    if _KEY not in found:
        raise ValueError(
            f"{path} does not say its architecture; load it as package.module:factory+FILE.safetensors or path/file.py:factory+…"
        )
    try:
        metadata = json.loads(found[_KEY])
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its metadata is no JSON ({error}); train it again with sosmooth train") from error
    _check_metadata(str(path), metadata)
    model = build(metadata["architecture"])
    fill(model, state, str(path))
    return model.eval(), metadata


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a safetensors file, on the CPU, and its metadata.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no safetensors file, or values that are not finite.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}); copy or train it again") from error
    _check_finite(str(path), state)
    return state, metadata


def fill(model: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Put the weights into the model, every one of both.

    Raises:
        ValueError: names or shapes differ; the message lists the first of them.
    """
    own = model.state_dict()
    missing, strange = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
    if missing or strange or shapes:
        raise ValueError(
            f"{source} does not fit the network: missing {missing[:3]}, not in the network {strange[:3]}, of another shape"
            f" {shapes[:3]}; take weights of this architecture"
        )
    model.load_state_dict(dict(state))


def weights_sha256(model: nn.Module) -> str:
    """sha256, in hex, of names, types, shapes and bytes of all parameters and buffers, in the order of their names."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(f"{name} {values.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(values.view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _check_metadata(source: str, metadata: Mapping[str, Any]) -> None:
    missing = [key for key in _REQUIRED if key not in metadata] if isinstance(metadata, Mapping) else list(_REQUIRED)
    if missing:
        raise ValueError(f"{source}: the metadata lacks {', '.join(missing)}; it needs {', '.join(_REQUIRED)}")
    if metadata["architecture"] not in ARCHITECTURES:
        raise ValueError(f"{source}: unknown architecture {metadata['architecture']!r}; there are: {', '.join(ARCHITECTURES)}")


def _check_finite(source: str, state: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{source}: {name} holds NaN or infinite weights; train it again with a lower learning rate")

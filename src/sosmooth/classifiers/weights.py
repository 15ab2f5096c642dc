"""Weights files: safetensors, with what is needed to rebuild the network and how it was trained.

The metadata is one JSON object under the key `sosmooth`: the file's bytes then follow from its content (safetensors writes
several keys in random order).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sosmooth.classifiers.architectures import (
    ARCHITECTURES,
    architectures_that_fit,
    build,
    is_counter,
)

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
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    _check_finite(str(path), state)
    write_tensors(path, state, metadata)


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write tensors and JSON-able metadata to a safetensors file, whole or not at all; its folder is made if need be."""
    write_atomically(
        Path(path),
        save(dict(tensors), {_KEY: json.dumps(dict(metadata), sort_keys=True, allow_nan=False)}),
    )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside, sync and rename it: whoever looks sees the whole old file or the whole new one.

    Raises:
        OSError: the file system refused; what was there before stays.
    """
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
    state, metadata = read_tensors(path)
    if not metadata:
        fits = "+FILE or ".join([*architectures_that_fit(state), "package.module:factory"])
        raise ValueError(f"{path} does not say its architecture; load it as {fits}+FILE")
    _check_metadata(str(path), metadata)
    model = build(metadata["architecture"])
    fill(model, state, str(path))
    return model.eval(), metadata


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a weights file, on the CPU, and the metadata that sosmooth put there, else empty.

    Args:
        path: `.safetensors`; or `.pt`, `.pth` as `torch.save` writes a state dictionary, bare or under the key `state_dict`, read
            without running code of the file (`weights_only`). The prefix `module.` that data-parallel training leaves is dropped.
    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, one that is cut or not all tensors, or values that are not finite.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a {', '.join(_READERS)} file"
        )
    if Path(path).suffix not in _READERS:
        raise ValueError(f"weights are read from {', '.join(_READERS)} files; got {str(path)!r}")
    state, metadata = _READERS[Path(path).suffix](Path(path))
    _check_finite(str(path), state)
    return state, metadata


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get(_KEY, "{}")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({error}); copy or train it again"
        ) from error
    try:
        metadata = json.loads(found)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: its metadata is no JSON ({error}); train it again with sosmooth train"
        ) from error
    if not isinstance(metadata, dict):
        raise ValueError(
            f"{path}: its metadata is no JSON object; train it again with sosmooth train"
        )
    return state, metadata


def _read_torch(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    _check_not_compressed(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of its own old formats
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a broken file the unpickler raises anything
        raise ValueError(
            f"{path} holds more than torch weights or is cut ({type(error).__name__}); write it by"
            f" torch.save(model.state_dict(), {path.name!r})"
        ) from error
    found = found.get("state_dict", found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in found.values()
    ):
        raise ValueError(
            f"{path} holds no state dictionary, names with tensors; save the state_dict, as .safetensors"
        )
    for name, value in found.items():
        # A tensor is a view of stored numbers: one number, seen in steps of zero, can be a tensor of any size.
        if (
            value.layout is not torch.strided
            or value.numel() * value.element_size() > value.untyped_storage().nbytes()
        ):
            raise ValueError(
                f"{path}: {name} is no plain tensor, all of whose numbers are stored; save the state_dict alone"
            )
    return {str(name).removeprefix("module."): value for name, value in found.items()}, {}


def _check_not_compressed(path: Path) -> None:
    """torch stores its archives plain; one that is compressed is made to unpack to more than it seems."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [
                member.filename
                for member in archive.infolist()
                if member.compress_type != zipfile.ZIP_STORED
            ]
    except Exception:  # no archive, or a broken one: torch will say so
        return
    if compressed:
        raise ValueError(
            f"{path}: {compressed[0]} is compressed, which torch.save never does; save the state_dict again"
        )


_READERS: dict[str, Callable[[Path], tuple[dict[str, torch.Tensor], dict[str, Any]]]] = {
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
    ".pth": _read_torch,
}


def fill(model: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Put the weights into the model, every one of both; counters of batches may be missing.

    Raises:
        ValueError: names or shapes differ; the message lists the first of them, and the architectures that do fit.
    """
    own = model.state_dict()
    missing = sorted(name for name in own.keys() - state.keys() if not is_counter(name))
    strange = sorted(state.keys() - own.keys())
    shapes = sorted(
        name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
    )
    if missing or strange or shapes:
        raise ValueError(
            f"{source} does not fit the network: missing {missing[:3]}, not in the network {strange[:3]}, of another shape"
            f" {shapes[:3]}; it fits {', '.join(architectures_that_fit(state)) or 'no architecture that is known here'}"
        )
    model.load_state_dict({**own, **state})


def weights_sha256(model: nn.Module) -> str:
    """sha256, in hex, of names, types, shapes and bytes of all parameters and buffers, in the order of their names."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(f"{name} {values.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(values.view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _check_metadata(source: str, metadata: Mapping[str, Any]) -> None:
    missing = (
        [key for key in _REQUIRED if key not in metadata]
        if isinstance(metadata, Mapping)
        else list(_REQUIRED)
    )
    if missing:
        raise ValueError(
            f"{source}: the metadata lacks {', '.join(missing)}; it needs {', '.join(_REQUIRED)}"
        )
    if not (
        isinstance(metadata["architecture"], str) and metadata["architecture"] in ARCHITECTURES
    ):
        raise ValueError(
            f"{source}: unknown architecture {metadata['architecture']!r}; there are: {', '.join(ARCHITECTURES)}"
        )
    if type(metadata["num_classes"]) is not int or metadata["num_classes"] < 2:
        raise ValueError(
            f"{source}: num_classes must be a whole number of at least 2; got {metadata['num_classes']!r}"
        )


def _check_finite(source: str, state: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"{source}: {name} holds NaN or infinite weights; train it again with a lower learning rate"
            )

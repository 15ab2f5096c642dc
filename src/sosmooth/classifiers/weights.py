"""Weights files: safetensors, with what is needed to rebuild the network and how it was trained.

The metadata is one JSON object under the key `sosmooth`, so that equal content gives equal bytes
(safetensors writes several keys in random order).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sosmooth._files import write_atomically
from sosmooth.classifiers.architectures import (
    ARCHITECTURES,
    architectures_that_fit,
    build,
    is_counter,
)
from sosmooth.classifiers.torch_files import TORCH_SUFFIXES, read_states, state_that_fits

_KEY = "sosmooth"
_SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
_REQUIRED = ("architecture", "num_classes")


def save_weights(path: Path, model: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write a model's weights to `path`, whole or not at all.

    Args:
        path: `*.safetensors`; its folder is created if needed, an existing file is replaced.
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
    """Write tensors and metadata to a safetensors file, whole or not at all.

    Args:
        path: the file; its folder is created if needed.
        tensors: by name.
        metadata: JSON-able.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path,
        save(dict(tensors), {_KEY: json.dumps(dict(metadata), sort_keys=True, allow_nan=False)}),
    )


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network that `save_weights` wrote, in eval mode on the CPU, and its metadata.

    Args:
        path: `*.safetensors`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no safetensors file, a file that `save_weights` did not write, an architecture
            that is unknown or does not fit.
    """
    state, metadata = read_tensors(path)
    if not metadata:
        fits = "+FILE or ".join([*architectures_that_fit(state), "package.module:factory"])
        raise ValueError(f"{path} does not say its architecture; load it as {fits}+FILE")
    _check_metadata(str(path), metadata)
    model = build(metadata["architecture"])
    fill(model, state, str(path))
    return model.eval(), metadata


def named_architecture(path: Path) -> str | None:
    """The architecture that a weights file says it belongs to; None where it says none.

    Args:
        path: any file; it need not exist.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(_KEY, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):
        return None
    return metadata.get("architecture") if isinstance(metadata, dict) else None


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a safetensors file, on the CPU, and the metadata that sosmooth put there.

    Args:
        path: `*.safetensors`.

    Returns:
        Tensors by name; the metadata, empty if sosmooth did not write the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a complete safetensors file, or values that are not finite.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; give the path of a .safetensors file")
    state, metadata = _read_safetensors(Path(path))
    _check_finite(str(path), state)
    return state, metadata


def read_weights(path: Path) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
    """The state dictionaries of a weights file, on the CPU, and the metadata of sosmooth.

    Args:
        path: `.safetensors`, or a file of `torch.save`, as `read_states` reads it.

    Returns:
        State dictionaries by their key, which is empty for a single one; the metadata, empty if
        sosmooth did not write the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no weights that can be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a {', '.join(_SUFFIXES)} file"
        )
    if path.suffix == ".safetensors":
        tensors, metadata = read_tensors(path)
        return {"": tensors}, metadata
    if not path.name.endswith(TORCH_SUFFIXES):
        raise ValueError(f"weights are read from {', '.join(_SUFFIXES)} files; got {str(path)!r}")
    return read_states(path), {}


def fill_fitting(
    model: nn.Module,
    states: Mapping[str, Mapping[str, torch.Tensor]],
    source: str,
    key: str | None = None,
) -> None:
    """Put the one state dictionary that fits into the model; every weight of both is used.

    Args:
        model: is filled in place.
        states: as `read_weights` returns them.
        source: the file, for messages.
        key: of the state dictionary that is meant, if several fit: `ema`, `model.state_dict`.

    Raises:
        ValueError: none fits, or several, or one with values that are not finite.
    """
    state = state_that_fits(states, model.state_dict(), source, key)
    _check_finite(source, state)
    fill(model, state, source)


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get(_KEY, "{}")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a complete safetensors file ({error}); copy or train it again"
        ) from error
    try:
        metadata = json.loads(found)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: its metadata must be JSON ({error}); train it again with sosmooth train"
        ) from error
    if not isinstance(metadata, dict):
        raise ValueError(
            f"{path}: its metadata must be a JSON object; train it again with sosmooth train"
        )
    return state, metadata


def fill(model: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Put the weights into the model; every one of both is used, except counters of batches.

    Args:
        model: is filled in place.
        state: the weights by name.
        source: the file, for messages.

    Raises:
        ValueError: names or shapes differ; the message lists the first of them, and the
            architectures that do fit.
    """
    own = model.state_dict()
    missing = sorted(name for name in own.keys() - state.keys() if not is_counter(name))
    strange = sorted(state.keys() - own.keys())
    shapes = sorted(
        name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
    )
    if missing or strange or shapes:
        fits = ", ".join(architectures_that_fit(state)) or "no architecture that is known here"
        raise ValueError(
            f"{source} does not fit the network: missing {_first(missing)}, not in the network"
            f" {_first(strange)}, of another shape {_first(shapes)}; it fits {fits}"
        )
    model.load_state_dict({**own, **state})


def _first(names: list[str]) -> str:
    return f"{names[:3]}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def weights_sha256(model: nn.Module) -> str:
    """sha256, in hex, of all parameters and buffers, in the order of their names.

    It covers names, types, shapes and bytes.

    Args:
        model: any torch module.
    """
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
            f"{source}: unknown architecture {metadata['architecture']!r}; there are:"
            f" {', '.join(ARCHITECTURES)}"
        )
    if type(metadata["num_classes"]) is not int or metadata["num_classes"] < 2:
        raise ValueError(
            f"{source}: the metadata's number of classes must be a whole number of at least 2; got"
            f" {metadata['num_classes']!r}"
        )


def _check_finite(source: str, state: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"{source}: {name} holds NaN or infinite weights; train it again with a lower"
                " learning rate"
            )

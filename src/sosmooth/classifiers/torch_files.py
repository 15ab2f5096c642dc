"""Checkpoints of `torch.save`: the state dictionaries in them, and the one that fits a network.

Training scripts save weights bare or under various keys, together with an optimizer and averaged
weights, and wrappers put a prefix in front of every name. The network decides which weights are
meant: the names, without the parts that all of them share, and the shapes must be exactly those of
the network.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sosmooth.classifiers.architectures import is_counter

#: How names of files of `torch.save` end.
TORCH_SUFFIXES = (".pt", ".pth", ".pth.tar", ".tar", ".ckpt", ".bin")
_DEPTH = 4  # of dictionaries within dictionaries
_WRAPPERS = {"module", "_orig_mod"}  # data-parallel training and torch.compile add them
_OTHERS = re.compile("optim|sched|scaler")  # dictionaries of tensors that are no weights


def read_states(path: Path) -> dict[str, dict[str, Tensor]]:
    """The state dictionaries in a file of `torch.save`, on the CPU; no code of the file is run.

    Args:
        path: a file that `torch.save` wrote.

    Returns:
        State dictionaries by the keys that lead to them, joined by dots; the key of a bare state
        dictionary is empty.

    Raises:
        ValueError: a file that is cut, holds more than plain values, or no state dictionary.
    """
    _check_not_compressed(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # about torch's old formats
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises all kinds of exceptions
        name = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f", a pickled {name[1]}," if name else " or is cut"
        raise ValueError(
            f"{path} holds more than torch weights{what} and is not read ({type(error).__name__}),"
            " because it could run any code; if you trust it, load it yourself and write it by"
            f" torch.save(model.state_dict(), {path.name!r})"
        ) from error
    states = {key: state for key, state in _states(found, (), set()).items() if state}
    if not states:
        raise ValueError(
            f"{path} holds no state dictionary (names with tensors); save the state_dict, as"
            " .safetensors or .pt"
        )
    for state in states.values():
        _check_plain(path, state)
    return states


def state_that_fits(
    states: Mapping[str, Mapping[str, Tensor]],
    own: Mapping[str, Tensor],
    source: str,
    key: str | None = None,
) -> dict[str, Tensor]:
    """The one state dictionary that has the names and shapes of a network, with its names.

    Args:
        states: as `read_states` returns them.
        own: the state dictionary of the network.
        source: the file, for messages.
        key: of the state dictionary that is meant; None: the one that fits.

    Returns:
        The one that fits. If none fits, the one that comes closest, so that the caller can say what
        differs.

    Raises:
        ValueError: no such key, or several that fit.
    """
    if key is not None:
        if key not in states:
            there = ", ".join(repr(each) for each in states if each) or "one without a key"
            raise ValueError(f"{source} has no state dictionary {key!r}; it has {there}")
        states = {key: states[key]}
    named = {name: _with_names_of(own, state) for name, state in states.items()}
    fitting = [name for name, state in named.items() if _misfits(own, state) == 0]
    if len(fitting) > 1:
        raise ValueError(
            f"{source} holds several state dictionaries that fit: {', '.join(fitting)}; choose one,"
            f" as in {source}?key={fitting[0]}"
        )
    return named[min(named, key=lambda name: _misfits(own, named[name]))]


def _states(found: object, keys: tuple[str, ...], seen: set[int]) -> dict[str, dict[str, Tensor]]:
    if not isinstance(found, Mapping) or id(found) in seen or len(keys) > _DEPTH:
        return {}
    seen.add(id(found))  # a dictionary can hold itself
    named = all(isinstance(name, str) for name in found)
    if named and all(isinstance(value, Tensor) for value in found.values()):
        return {".".join(keys): dict(found)}
    result: dict[str, dict[str, Tensor]] = {}
    for name, value in found.items():
        if isinstance(name, str) and not _OTHERS.search(name.lower()):
            result |= _states(value, (*keys, name), seen)
    return result


def _check_plain(path: Path, state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        # A tensor is a view of stored numbers: one number, seen in steps of zero, can be a tensor
        # of any size.
        if (
            value.layout is not torch.strided
            or value.numel() * value.element_size() > value.untyped_storage().nbytes()
        ):
            raise ValueError(
                f"{path}: {name} must be a plain tensor with all of its numbers stored; save the"
                " state_dict alone"
            )


def _with_names_of(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with the network's names, if only wrappers or shared parts of names differ."""
    if _misfits(own, state) == 0:
        return dict(state)
    short = _shortened(own)
    names = {shortened: name for name, shortened in short.items()}
    found = {name: names.get(shortened) for name, shortened in _shortened(state).items()}
    renamed = {new or name: state[name] for name, new in found.items()}
    unique = len(names) == len(own) and len(renamed) == len(state)
    return renamed if unique and _misfits(own, renamed) == 0 else dict(state)


def _shortened(names: Mapping[str, Tensor]) -> dict[str, str]:
    """Each name without wrappers, and without the leading parts that all names share."""
    parts = {name: [part for part in name.split(".") if part not in _WRAPPERS] for name in names}
    shared = 0
    for column in zip(*(each[:-1] for each in parts.values()), strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    return {name: ".".join(each[shared:]) for name, each in parts.items()}


def _misfits(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> int:
    """How many names or shapes differ; counters of batches may be missing."""
    missing = sum(not is_counter(name) for name in own.keys() - state.keys())
    shapes = sum(own[name].shape != state[name].shape for name in own.keys() & state.keys())
    return missing + shapes + len(state.keys() - own.keys())


def _check_not_compressed(path: Path) -> None:
    """torch never compresses archives; a compressed one could unpack to far more than it has."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [
                member.filename
                for member in archive.infolist()
                if member.compress_type != zipfile.ZIP_STORED
            ]
    except Exception:  # no archive, or a broken one: torch refuses it
        return
    if compressed:
        raise ValueError(
            f"{path}: {compressed[0]} is compressed, which torch.save never does; save the"
            " state_dict again"
        )

"""Inputs and labels in one `.npz` file, or in two `.npy` files of one folder."""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets.inputs import InputSet, in_memory
from sosmooth.datasets.labels import labels_in

# Names of inputs and of labels that belong together; the names of a test split come last.
_NAMES = (
    (("inputs", "x", "X", "images"), ("labels", "y")),
    (("x_test", "X_test"), ("y_test",)),
    (("test_images",), ("test_labels",)),
)
_OPTIONS = {"inputs": "NAME", "labels": "NAME", "channels": "last"}
#: A file may unpack to this many bytes. It is kept in memory, and a small hostile file could unpack
#: to terabytes.
MAX_BYTES = 8 * 2**30


def load(path: Path, options: str = "") -> InputSet:
    """The inputs and, if it has them, the labels of an `.npz` file.

    The arrays are `inputs` (or `x`, `X`, `images`) and `labels` (or `y`); or else `x_test` and
    `y_test`, or `test_images` and `test_labels`. Floating inputs are used as they are. Inputs of
    uint8 are divided by 255, and the settings say so. A number `lattice` says that floating inputs
    are multiples of it.

    Args:
        path: the file; inputs (length, *shape), labels (length,) or (length, 1): integers, −1 =
            unknown, or names. Or an `.npy` file of inputs, with `labels.npy` in the same folder if
            labels are known, as in CIFAR-10-C.
        options: `inputs=NAME&labels=NAME`: arrays with other names. `channels=last`: the channels
            of images are the last axis in the file; they become the first axis of an input.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another file format, pickled objects, more than `MAX_BYTES`, no inputs, arrays
            that `in_memory` refuses.
    """
    asked = parse_options(options, _OPTIONS)
    if asked.get("channels", "last") not in ("last", "first"):
        raise ValueError(f"channels must be last or first; got {asked['channels']!r}")
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of an .npz file with the arrays inputs and"
            " labels"
        )
    inputs, written, lattice, notes = (_of_npy if path.suffix == ".npy" else _of_npz)(path, asked)
    spec = f"{path}?{options}" if options else str(path)
    settings: dict[str, Any] = {"spec": spec, "sha256": file_sha256(path)}
    if inputs.dtype == np.uint8:
        inputs = inputs.astype(np.float32) / 255
        settings["scaled"] = "uint8 / 255"
        lattice = np.array(1 / 255)
    if lattice is not None and (lattice.shape != () or lattice.dtype.kind != "f"):
        raise ValueError(
            f"{path}: lattice must be one floating number, as 1/255; got {lattice.dtype} of shape"
            f" {lattice.shape}"
        )
    if asked.get("channels") == "last":
        if inputs.ndim != 4:
            raise ValueError(
                f"{path}: channels=last needs images (length, height, width, channels); the inputs"
                f" are {inputs.shape}"
            )
        inputs = inputs.transpose(0, 3, 1, 2)
    elif "channels" not in asked and inputs.ndim == 4 and inputs.shape[3] == 3 != inputs.shape[1]:
        notes = (
            *notes,
            f"{path}: the inputs are {inputs.shape[1:]}, with the channels last; add ?channels=last"
            " for a classifier that takes them first",
        )
    names, labels = labels_in(written, str(path))
    if names is not None:
        settings["classes"] = list(names)
    made = in_memory(
        str(path),
        inputs,
        labels,
        num_classes=None if names is None else len(names),
        settings=settings,
        lattice=None if lattice is None else float(lattice),
    )
    return replace(made, notes=notes)


_Arrays = tuple[NDArray, NDArray | None, NDArray | None, tuple[str, ...]]


def _of_npz(path: Path, asked: dict[str, str]) -> _Arrays:
    """Inputs, labels, the lattice, and notes for the user."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about headers that Python 2 wrote
            with zipfile.ZipFile(path) as archive:
                _check_sizes(path, archive)
            with np.load(path, allow_pickle=False) as arrays:
                of_inputs, of_labels, notes = _chosen(path, list(arrays), asked)
                labels = None if of_labels is None else arrays[of_labels]
                lattice = arrays.get("lattice")
                return arrays[of_inputs], labels, lattice, notes
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a readable .npz file ({error}); write it with numpy.savez_compressed"
        ) from error


def _of_npy(path: Path, asked: dict[str, str]) -> _Arrays:
    """The same for a file that holds the inputs alone."""
    if "inputs" in asked or "labels" in asked:
        raise ValueError(f"{path} holds one array without a name; leave inputs= and labels= out")
    beside = path.with_name("labels.npy")
    inputs = _one_array(path)
    if beside.is_file() and beside != path:
        return inputs, _one_array(beside), None, ()
    return inputs, None, None, (f"{path} has no labels.npy beside it: labels are unknown",)


def _one_array(path: Path) -> NDArray:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES} bytes; split it into several files")
    try:
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:
            _check_member(path, path.name, file, path.stat().st_size)
            return np.load(path, allow_pickle=False)
    except (EOFError, OSError) as error:
        raise ValueError(
            f"{path} is not a readable .npy file ({error}); write it with numpy.save"
        ) from error


def _chosen(
    path: Path, there: list[str], asked: dict[str, str]
) -> tuple[str, str | None, tuple[str, ...]]:
    """The names of the arrays of inputs and labels, and notes for the user."""
    has = f"{path} has the arrays {', '.join(there)}"
    write = f"name them: {path}?inputs=NAME&labels=NAME"
    for name in ("inputs", "labels"):
        if name in asked and asked[name] not in there:
            raise ValueError(f"{has}, none is {asked[name]!r}; {write}")
    inputs, of_labels = asked.get("inputs"), tuple(name for _, names in _NAMES for name in names)
    if inputs is None:
        for names, belonging in _NAMES:
            found = [name for name in names if name in there]
            if len(found) > 1:
                raise ValueError(
                    f"{path} has the arrays {' and '.join(found)}; keep one of them, or {write}"
                )
            if found:
                inputs, of_labels = found[0], belonging
                break
        else:
            known = ", ".join(name for names, _ in _NAMES for name in names)
            raise ValueError(f"{has}, and no array {known}; {write}")
    if "labels" in asked:
        return inputs, asked["labels"], ()
    found = [name for name in of_labels if name in there and name != inputs]
    if len(found) > 1:
        raise ValueError(
            f"{path} has the arrays {' and '.join(found)}; keep one of them, or {write}"
        )
    if found:
        return inputs, found[0], ()
    if set(there) <= {inputs, "lattice"}:
        return inputs, None, ()
    return inputs, None, (
        f"{has}: the labels of {inputs} are unknown, because no array is named"
        f" {' or '.join(of_labels)}; write {path}?labels=NAME to use another array",
    )  # fmt: skip


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse sizes that differ between table and headers of an archive, or that are too large."""
    total = sum(member.file_size for member in archive.infolist())
    if total > MAX_BYTES:
        raise ValueError(
            f"{path} unpacks to {total} bytes; at most {MAX_BYTES} are allowed; split it into"
            " several files"
        )
    for member in archive.infolist():
        with archive.open(member) as file:
            _check_member(path, member.filename, file, member.file_size)


def _check_member(path: Path, name: str, file: IO[bytes], size: int) -> None:
    """Refuse an array whose size differs from its header."""
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    except (ValueError, SyntaxError, TokenError) as error:
        raise ValueError(
            f"{path}: {name} is not a NumPy array; write it with numpy.savez_compressed"
        ) from error
    if dtype.hasobject:
        raise ValueError(f"{path}: {name} holds Python objects; store plain numbers only")
    expected = file.tell() + dtype.itemsize * math.prod(shape)
    if expected != size:
        raise ValueError(
            f"{path}: {name} has {size} bytes; its header says {expected}; copy it again"
        )

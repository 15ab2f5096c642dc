"""Inputs and labels in one `.npz` file."""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._objects import file_sha256
from sosmooth.datasets.inputs import InputSet, in_memory

_INPUT_NAMES = ("inputs", "x", "images")
_LABEL_NAMES = ("labels", "y")
#: A file may unpack to this many bytes: it is kept in memory, and a small hostile one can ask for terabytes.
MAX_BYTES = 8 * 2**30


def load(path: Path) -> InputSet:
    """The arrays `inputs` (or `x`, `images`) and, if there, `labels` (or `y`) of an `.npz` file.

    Floating inputs are taken as they are; uint8 ones are divided by 255, and the settings say so. A number `lattice` says that
    floating inputs are multiples of it.

    Args:
        path: the file; inputs (length, *shape), labels integers (length,).
    Raises:
        FileNotFoundError: no such file.
        ValueError: no `.npz` file, one that holds pickled objects or unpacks to more than `MAX_BYTES`, no inputs, arrays
            that `in_memory` refuses.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of an .npz file with the arrays inputs and labels"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that Python 2 wrote
            with zipfile.ZipFile(path) as archive:
                _check_sizes(path, archive)
            with np.load(path, allow_pickle=False) as arrays:
                inputs = _one_of(path, arrays, _INPUT_NAMES)
                labels = _one_of(path, arrays, _LABEL_NAMES)
                lattice = _one_of(path, arrays, ("lattice",))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no readable .npz file ({error}); write it with numpy.savez_compressed"
        ) from error
    if inputs is None:
        raise ValueError(f"{path} has no array {' or '.join(_INPUT_NAMES)}; name the inputs so")
    settings: dict[str, Any] = {"spec": str(path), "sha256": file_sha256(path)}
    if inputs.dtype == np.uint8:
        inputs = inputs.astype(np.float32) / 255
        settings["scaled"] = "uint8 / 255"
        lattice = np.array(1 / 255)
    if lattice is not None and (lattice.shape != () or lattice.dtype.kind != "f"):
        raise ValueError(
            f"{path}: lattice must be one floating number, as 1/255; got {lattice.dtype} of shape {lattice.shape}"
        )
    return in_memory(
        str(path),
        inputs,
        labels,
        num_classes=None,
        settings=settings,
        lattice=None if lattice is None else float(lattice),
    )


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """The sizes in the archive's table and in the arrays' headers must agree, and be such as memory can hold."""
    total = sum(member.file_size for member in archive.infolist())
    if total > MAX_BYTES:
        raise ValueError(
            f"{path} unpacks to {total} bytes; at most {MAX_BYTES} are allowed; split it into several files"
        )
    for member in archive.infolist():
        with archive.open(member) as file:
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
                    f"{path}: {member.filename} is no NumPy array; write it with numpy.savez_compressed"
                ) from error
            header = file.tell()
        if dtype.hasobject:
            raise ValueError(
                f"{path}: {member.filename} holds Python objects; only plain numbers are read"
            )
        expected = header + dtype.itemsize * math.prod(shape)
        if expected != member.file_size:
            raise ValueError(
                f"{path}: {member.filename} has {member.file_size} bytes where its header asks for {expected}"
            )


def _one_of(path: Path, arrays: Any, names: tuple[str, ...]) -> NDArray | None:
    found = [name for name in names if name in arrays]
    if len(found) > 1:
        raise ValueError(f"{path} has the arrays {' and '.join(found)}; keep one of them")
    return arrays[found[0]] if found else None

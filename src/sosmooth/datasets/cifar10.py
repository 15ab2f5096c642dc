"""CIFAR-10 from the folder its archive unpacks to: the binary version, or the Python version, which is never unpickled.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, and the data set's home page for both layouts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sosmooth.datasets._pickled import PickleRefused, read_pickled_arrays
from sosmooth.datasets.inputs import InputSet, read_lazily

#: What the two archives unpack to, the preferred one first.
BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
_BATCHES = {
    "test": ("test_batch",),
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
}
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_ROWS = 10_000


def load(folder: Path, split: str) -> InputSet:
    """The split `test` (10 000) or `train` (50 000): float32 (batch, 3, 32, 32) in [0, 1], ten classes, the original order.

    Args:
        folder: `cifar-10-batches-bin` (preferred), `cifar-10-batches-py`, or the folder that holds one of them.
        split: `test` or `train`.
    Raises:
        FileNotFoundError: no such folder, or a batch is missing.
        ValueError: another split, or a file that is no whole batch.
    """
    if split not in _BATCHES:
        raise ValueError(f"cifar10 has no split {split!r}; there are: {', '.join(_BATCHES)}")
    folder, suffix = _batches_folder(folder)
    digest = hashlib.sha256()
    pixels, labels = [], []
    for name in _BATCHES[split]:
        path = folder / f"{name}{suffix}"
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} lacks {path.name}; unpack the archive of CIFAR-10 again"
            )
        content = path.read_bytes()
        digest.update(content)
        batch, batch_labels = _binary(path, content) if suffix else _python(path, content)
        pixels.append(batch)
        labels.append(batch_labels)
    images = np.concatenate(pixels).reshape(-1, *_SHAPE)
    return read_lazily(
        f"cifar10:{split}",
        lambda index: images[index].astype(np.float32) / np.float32(255),
        np.concatenate(labels).astype(np.int64),
        length=len(images),
        num_classes=10,
        settings={
            "spec": f"cifar10:{split}:{folder}",
            "sha256": digest.hexdigest(),
            "scaled": "uint8 / 255",
        },
        lattice=1 / 255,
    )


def _batches_folder(folder: Path) -> tuple[Path, str]:
    """Where the batches lie, and how their names end."""
    for place in (folder, folder / BINARY, folder / PYTHON):
        for suffix in (".bin", ""):
            if (place / f"test_batch{suffix}").is_file():
                return place, suffix
    raise FileNotFoundError(
        f"no CIFAR-10 in {str(folder)!r}; give the folder {BINARY} or {PYTHON}, or get it: sosmooth download cifar10 --out FOLDER"
    )


def _binary(path: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Records of one byte of label and 3072 of pixels, channel by channel."""
    if len(content) != _ROWS * (1 + _PIXELS):
        raise ValueError(
            f"{path} has {len(content)} bytes; a batch has {_ROWS * (1 + _PIXELS)}; copy or download it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(_ROWS, 1 + _PIXELS)
    return records[:, 1:], records[:, 0]


def _python(path: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A pickled dictionary with `data`, an array of (10 000, 3072) bytes, and `labels`, a list of integers."""
    try:
        found = read_pickled_arrays(content)
    except PickleRefused as error:
        raise ValueError(
            f"{path} is no batch of CIFAR-10 ({error}); take the original, or the binary version"
        ) from error
    data, labels = (
        (found.get("data"), found.get("labels")) if isinstance(found, dict) else (None, None)
    )
    if not (isinstance(data, np.ndarray) and data.shape == (_ROWS, _PIXELS)):
        raise ValueError(
            f"{path} must hold data, {_ROWS} × {_PIXELS} bytes; copy or download it again"
        )
    if not (
        isinstance(labels, list)
        and len(labels) == _ROWS
        and all(type(label) is int for label in labels)
    ):
        raise ValueError(f"{path} must hold labels, {_ROWS} integers; copy or download it again")
    return data, np.array(labels, dtype=np.int64)

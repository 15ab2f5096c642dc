"""CIFAR-10 from the folder of its unpacked archive: the binary version, or the Python version.

The pickles of the Python version are never unpickled.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, and the data
set's home page for both layouts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sosmooth.datasets import _cifar
from sosmooth.datasets._cifar import PIXELS, pickled_batch
from sosmooth.datasets.inputs import InputSet

#: The folders of the two unpacked archives, the preferred one first.
BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
_BATCHES = {
    "test": ("test_batch",),
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
}
_ROWS = 10_000


def load(folder: Path, split: str) -> InputSet:
    """The split `test` (10 000 images) or `train` (50 000), in the original order; ten classes.

    Inputs are float32 (batch, 3, 32, 32) in [0, 1]. Pickled batches may hold fewer images.

    Args:
        folder: `cifar-10-batches-bin` (preferred), `cifar-10-batches-py`, or the folder that holds
            one of them.
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
        batch, batch_labels = (
            _binary(path, content) if suffix else pickled_batch(path, content, "labels")
        )
        pixels.append(batch)
        labels.append(batch_labels)
    return _cifar.images(
        f"cifar10:{split}:{folder}",
        f"cifar10:{split}",
        pixels,
        labels,
        num_classes=10,
        settings={"sha256": digest.hexdigest()},
    )


def _batches_folder(folder: Path) -> tuple[Path, str]:
    """The folder of the batches, and how their names end."""
    for place in (folder, folder / BINARY, folder / PYTHON):
        for suffix in (".bin", ""):
            if (place / f"test_batch{suffix}").is_file():
                return place, suffix
    raise FileNotFoundError(
        f"no CIFAR-10 in {str(folder)!r}; give the folder {BINARY} or {PYTHON}; sosmooth download"
        " cifar10 gets it"
    )


def _binary(path: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Records of one byte of label and 3072 of pixels, channel by channel."""
    if len(content) != _ROWS * (1 + PIXELS):
        raise ValueError(
            f"{path} has {len(content)} bytes; a batch has {_ROWS * (1 + PIXELS)}; copy or download"
            " it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(_ROWS, 1 + PIXELS)
    return records[:, 1:], records[:, 0]

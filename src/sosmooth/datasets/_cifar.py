"""What CIFAR-10 and CIFAR-100 share: how batches are pickled, and how pixels become inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth.datasets._pickled import PickleRefused, read_pickled_arrays
from sosmooth.datasets.inputs import InputSet, read_lazily

_SHAPE = (3, 32, 32)
#: Bytes of one image, channel by channel.
PIXELS = 3 * 32 * 32


def unpickled(path: Path, content: bytes) -> dict[str, Any]:
    """The dictionary in a pickled file, which is never unpickled.

    Args:
        path: of the file, for messages.
        content: of the file.

    Raises:
        ValueError: it is no pickle of plain values and byte arrays.
    """
    try:
        found = read_pickled_arrays(content)
    except PickleRefused as error:
        raise ValueError(
            f"{path} is not a batch of CIFAR ({error}); use the original, or the binary version"
        ) from error
    return found if isinstance(found, dict) else {}


def pickled_batch(
    path: Path, content: bytes, label: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels and labels of a pickled dictionary: `data`, and a list of integers.

    Args:
        path: of the file, for messages.
        content: of the file.
        label: the key of the labels.

    Returns:
        Pixels, uint8 (length, 3072), and labels, int64 (length,).

    Raises:
        ValueError: the dictionary does not hold these.
    """
    found = unpickled(path, content)
    data, labels = found.get("data"), found.get(label)
    if not (isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == PIXELS):
        raise ValueError(f"{path} must hold data, {PIXELS} bytes per image; copy it again")
    if isinstance(labels, np.ndarray):  # of uint8, as all arrays that are read
        labels = labels.tolist()
    if not (
        isinstance(labels, list)
        and len(labels) == len(data)
        and all(type(each) is int and -1 <= each < 256 for each in labels)
    ):
        raise ValueError(f"{path} must hold {label}, {len(data)} integers; copy it again")
    return data, np.array(labels, dtype=np.int64)


def images(
    spec: str,
    name: str,
    pixels: Sequence[NDArray[np.uint8]],
    labels: Sequence[NDArray],
    *,
    num_classes: int,
    settings: dict[str, Any],
) -> InputSet:
    """The input set of several batches, in their order: float32 (batch, 3, 32, 32) in [0, 1].

    Args:
        spec: what the user wrote.
        name: of the input set, for messages.
        pixels: of each batch, uint8 (length, 3072).
        labels: of each batch, integers (length,).
        num_classes: of the data set.
        settings: what else identifies it.
    """
    all_pixels = np.concatenate(pixels).reshape(-1, *_SHAPE)
    return read_lazily(
        name,
        lambda index: all_pixels[index].astype(np.float32) / np.float32(255),
        np.concatenate(labels).astype(np.int64),
        length=len(all_pixels),
        num_classes=num_classes,
        settings={"spec": spec, "scaled": "uint8 / 255", **settings},
        lattice=1 / 255,
    )

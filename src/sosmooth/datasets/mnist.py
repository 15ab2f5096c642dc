"""MNIST from its four idx files, packed by gzip or not.

Source: Y. LeCun, C. Cortes, C. Burges, the MNIST database of handwritten digits, and its home page
for the layout of idx files.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sosmooth.datasets.inputs import InputSet, read_lazily

#: File → sha256 of its bytes, unpacked.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_PREFIXES = {"test": "t10k", "train": "train"}
#: The training images have this many bytes; a packed file may unpack to no more.
_MAX_BYTES = 16 + 60_000 * 28 * 28
_UINT8 = 8


def load(folder: Path, split: str) -> InputSet:
    """The split `test` (10 000 images) or `train` (60 000), in the original order; ten classes.

    Inputs are float32 (batch, 1, 28, 28) in [0, 1].

    Args:
        folder: holds `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, or the same of `train`;
            each may be packed and end in `.gz`.
        split: `test` or `train`.

    Raises:
        FileNotFoundError: no such folder, or a file is missing.
        ValueError: another split, or a file that is not the original (by its sha256).
    """
    if split not in _PREFIXES:
        raise ValueError(f"mnist has no split {split!r}; there are: {', '.join(_PREFIXES)}")
    prefix = _PREFIXES[split]
    images = _content(folder, f"{prefix}-images-idx3-ubyte")
    pixels = read_idx(images, axes=3)
    labels = read_idx(_content(folder, f"{prefix}-labels-idx1-ubyte"), axes=1)
    return read_lazily(
        f"mnist:{split}",
        lambda index: pixels[index][None].astype(np.float32) / np.float32(255),
        labels.astype(np.int64),
        length=len(pixels),
        num_classes=10,
        settings={
            "spec": f"mnist:{split}:{folder}",
            "sha256": hashlib.sha256(images).hexdigest(),
            "scaled": "uint8 / 255",
        },
        lattice=1 / 255,
    )


def read_idx(content: bytes, *, axes: int) -> NDArray[np.uint8]:
    """The array in an idx file.

    The file holds two zero bytes, the type (8: uint8), the number of axes, their lengths
    (big-endian), and the values.

    Args:
        content: the file, unpacked.
        axes: how many axes there must be.

    Raises:
        ValueError: another kind of file, or one that is cut.
    """
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes((0, 0, _UINT8, axes)):
        raise ValueError(
            f"not an idx file of uint8 with {axes} axes: it begins with {content[:4].hex(' ')}; use"
            " the original"
        )
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != np.prod(shape, dtype=object):
        raise ValueError(
            f"an idx file of shape {shape} cannot hold {len(content) - start} values; copy or"
            " download it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(folder: Path, name: str) -> bytes:
    """The unpacked bytes of a file, their sha256 checked."""
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.is_file() else packed
    if not path.is_file():
        raise FileNotFoundError(
            f"no {name} or {name}.gz in {str(folder)!r}; give the folder of MNIST's files; sosmooth"
            " download mnist gets them"
        )
    content = path.read_bytes() if path == plain else unpacked(path)
    found = hashlib.sha256(content).hexdigest()
    if found != FILES[name]:
        raise ValueError(
            f"{path} is not MNIST's original: sha256 {found}, expected {FILES[name]}; copy or"
            " download it again"
        )
    return content


def unpacked(path: Path) -> bytes:
    """The content of a gzip file, at most as long as the largest file of MNIST.

    Args:
        path: the file.

    Raises:
        ValueError: an incomplete gzip file, or a longer content.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a complete gzip file ({error}); copy or download it again"
        ) from error
    if len(content) > _MAX_BYTES:
        raise ValueError(
            f"{path} unpacks to more than {_MAX_BYTES} bytes, which no file of MNIST does; use the"
            " original"
        )
    return content

"""CIFAR-100 from the folder of its unpacked archive: the binary version, or the Python version.

The pickles of the Python version are never unpickled.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, and the data
set's home page for both layouts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth.datasets import _cifar
from sosmooth.datasets._cifar import PIXELS, pickled_batch, unpickled
from sosmooth.datasets.inputs import InputSet

#: The folders of the two unpacked archives, the preferred one first.
BINARY, PYTHON = "cifar-100-binary", "cifar-100-python"
_SPLITS = ("test", "train")
_CLASSES = 100
_RECORD = 2 + PIXELS  # the coarse label, the fine label, the pixels


def load(folder: Path, split: str) -> InputSet:
    """The split `test` (10 000 images) or `train` (50 000), in the original order.

    Inputs are float32 (batch, 3, 32, 32) in [0, 1]; labels are the hundred fine classes.

    Args:
        folder: `cifar-100-binary` (preferred), `cifar-100-python`, or the folder that holds one of
            them. The names of the classes are read from `fine_label_names.txt` or `meta`, if either
            exists.
        split: `test` or `train`.

    Raises:
        FileNotFoundError: no such folder, or the split is missing.
        ValueError: another split, or a file that is no whole split.
    """
    if split not in _SPLITS:
        raise ValueError(f"cifar100 has no split {split!r}; there are: {', '.join(_SPLITS)}")
    path = _file(folder, split)
    content = path.read_bytes()
    pixels, labels = (
        _binary(path, content) if path.suffix else pickled_batch(path, content, "fine_labels")
    )
    settings: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest()}
    if names := _names(path.parent):
        settings["classes"] = names
    return _cifar.images(
        f"cifar100:{split}:{path.parent}",
        f"cifar100:{split}",
        [pixels],
        [labels],
        num_classes=_CLASSES,
        settings=settings,
    )


def _file(folder: Path, split: str) -> Path:
    for place in (folder, folder / BINARY, folder / PYTHON):
        for name in (f"{split}.bin", split):
            if (place / name).is_file():
                return place / name
    raise FileNotFoundError(
        f"no split {split} of CIFAR-100 in {str(folder)!r}; give the folder {BINARY} or {PYTHON}"
        " of its unpacked archive"
    )


def _binary(path: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if not content or len(content) % _RECORD:
        raise ValueError(
            f"{path} has {len(content)} bytes, which is not a multiple of the {_RECORD} bytes of an"
            " image; copy or download it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    return records[:, 2:], records[:, 1]


def _names(folder: Path) -> list[str] | None:
    """The names of the classes, if a file beside the images holds them."""
    text, pickled = folder / "fine_label_names.txt", folder / "meta"
    if text.is_file():
        names: Any = text.read_text(encoding="utf-8", errors="replace").split()
    elif pickled.is_file():
        names = unpickled(pickled, pickled.read_bytes()).get("fine_label_names")
        if isinstance(names, list):
            names = [name.decode("latin-1") if isinstance(name, bytes) else name for name in names]
    else:
        return None
    if not (
        isinstance(names, list)
        and len(names) == _CLASSES
        and all(isinstance(name, str) for name in names)
    ):
        raise ValueError(
            f"{folder}: {text.name} or {pickled.name} must name {_CLASSES} classes; copy it again"
        )
    return names

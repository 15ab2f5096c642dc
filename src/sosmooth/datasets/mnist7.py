"""7×7 MNIST, bundled: each pixel is the mean of a 4×4 block (Levine et al. 2020).

Licence: `data/LICENSE-MNIST.md`.
"""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np

from sosmooth.datasets.inputs import InputSet, in_memory

#: The largest block sum: 16 pixels of 255.
_FULL = 4080
_SPLITS = ("test", "train")


def load(split: str) -> InputSet:
    """The split `test` (10 000) or `train` (60 000): float32 (batch, 7, 7) in [0, 1], ten classes.

    Args:
        split: `test` or `train`.

    Raises:
        ValueError: another split.
    """
    if split not in _SPLITS:
        raise ValueError(
            f"mnist7 has no split {split!r}; there are: mnist7 (= mnist7:test) and mnist7:train"
        )
    content = (
        resources.files("sosmooth.datasets").joinpath("data", f"mnist7_{split}.npz").read_bytes()
    )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        inputs = arrays["sums"].astype(np.float32) / _FULL
        labels = arrays["labels"]
    settings = {"spec": f"mnist7:{split}", "sha256": hashlib.sha256(content).hexdigest()}
    return in_memory(
        f"mnist7:{split}", inputs, labels, num_classes=10, settings=settings, lattice=1 / _FULL
    )

"""The swiss roll in the plane (Levine et al. 2020, Figure 2), bundled.

`scripts/build_swiss_roll.py` made it.
"""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np

from sosmooth.datasets.inputs import InputSet, in_memory

_SPLITS = ("test", "train")


def load(split: str) -> InputSet:
    """The split `test` (100 points) or `train` (1000): float32 (batch, 2).

    Class 1 is the outer part of the roll, beyond 3π.

    Args:
        split: `test` or `train`.

    Raises:
        ValueError: another split.
    """
    if split not in _SPLITS:
        raise ValueError(
            f"swiss_roll has no split {split!r}; there are: swiss_roll (= swiss_roll:test) and"
            " swiss_roll:train"
        )
    content = resources.files("sosmooth.datasets").joinpath("data", "swiss_roll.npz").read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        inputs, labels = arrays[f"{split}_inputs"], arrays[f"{split}_labels"]
    settings = {"spec": f"swiss_roll:{split}", "sha256": hashlib.sha256(content).hexdigest()}
    return in_memory(f"swiss_roll:{split}", inputs, labels, num_classes=2, settings=settings)

"""Build the bundled swiss roll: `python scripts/build_swiss_roll.py OUT_FOLDER`.

As Levine et al. 2020 describe it: scikit-learn's `make_swiss_roll` with noise 1.0, its first and
third coordinate divided by 10, two classes split at t = 3π; 1000 points to train with
(`random_state=0`), 100 to test with (`random_state=1`). The formula and the order of the draws are
those that `make_swiss_roll` documents, so that the arrays are the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from build_mnist7 import write_npz

NOISE = 1.0
SPLITS = {"train": (1000, 0), "test": (100, 1)}


def swiss_roll(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) and their place t along the roll, 1.5π … 4.5π."""
    random = np.random.RandomState(seed)  # the stream that scikit-learn draws from
    t = 1.5 * np.pi * (1 + 2 * random.uniform(size=count))
    height = 21 * random.uniform(size=count)
    points = np.stack([t * np.cos(t), height, t * np.sin(t)])
    return (points + NOISE * random.standard_normal(size=(3, count))).T, t


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the bundled swiss roll.")
    parser.add_argument("out_folder", type=Path, help="gets swiss_roll.npz")
    arguments = parser.parse_args()
    arrays = {}
    for split, (count, seed) in SPLITS.items():
        points, t = swiss_roll(count, seed)
        arrays[f"{split}_inputs"] = (points[:, [0, 2]] / 10).astype("<f4")
        arrays[f"{split}_labels"] = (t > 3 * np.pi).astype(np.uint8)
    path = arguments.out_folder / "swiss_roll.npz"
    write_npz(path, arrays)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

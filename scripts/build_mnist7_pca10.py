"""Build the principal components of 7×7 MNIST.

    python scripts/build_mnist7_pca10.py OUT_FOLDER

The components are the ten leading right singular vectors of the centred training images, computed
in float64. They are orthonormal and not divided by the standard deviations, like those of
scikit-learn's `PCA(n_components=10)`. A singular vector has no sign; as in scikit-learn, the entry
of largest magnitude of each component is positive. Neither sign nor basis changes any distance, so
they do not change any certified radius of a network trained on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from build_mnist7 import write_npz
from sosmooth.datasets import load_dataset

COMPONENTS = 10


def principal_components(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = images.mean(axis=0)
    _, _, directions = np.linalg.svd(images - mean, full_matrices=False)
    components = directions[:COMPONENTS]
    largest = np.abs(components).argmax(axis=1)
    return mean, components * np.sign(components[np.arange(COMPONENTS), largest])[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the principal components of 7×7 MNIST.")
    parser.add_argument("out_folder", type=Path, help="gets mnist7_pca10.npz")
    arguments = parser.parse_args()
    train = load_dataset("mnist7:train")
    mean, components = principal_components(
        train.get(range(len(train))).reshape(len(train), -1).astype(np.float64)
    )
    path = arguments.out_folder / "mnist7_pca10.npz"
    write_npz(path, {"mean": mean, "components": components})
    print(f"{path}: {components.shape}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""The ten principal components of 7×7 MNIST, projected from the bundled images.

Source: Levine et al. 2020, appendix B.2. `scripts/build_mnist7_pca10.py` made mean and components
from the training images. The components are orthonormal and not scaled to unit variance, so that
distances, and sigma, stay in units of the images.
"""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np

from sosmooth.datasets import mnist7
from sosmooth.datasets.inputs import InputSet, in_memory


def load(split: str) -> InputSet:
    """The split `test` (10 000) or `train` (60 000); ten classes.

    Inputs are float32 (batch, 10): the coefficients of `x − mean`.

    Args:
        split: `test` or `train`.

    Raises:
        ValueError: another split.
    """
    if split not in ("test", "train"):
        raise ValueError(f"mnist7_pca10 has no split {split!r}; there are: test and train")
    images = mnist7.load(split)
    content = resources.files("sosmooth.datasets").joinpath("data", "mnist7_pca10.npz").read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        mean, components = arrays["mean"], arrays["components"]
    pixels = images.get(range(len(images))).reshape(len(images), -1).astype(np.float64)
    settings = {
        "spec": f"mnist7_pca10:{split}",
        "sha256": images.settings["sha256"],
        "components_sha256": hashlib.sha256(content).hexdigest(),
    }
    return in_memory(
        f"mnist7_pca10:{split}",
        (pixels - mean) @ components.T,
        images.labels,
        num_classes=10,
        settings=settings,
    )

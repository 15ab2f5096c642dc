"""How much of a mean over noise lies in the low frequencies of an image.

The constant of each channel is the lowest frequency: a change along it shifts a colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

# Relative error of the transform, at most; it is raised by this share of the whole length.
_ERROR = 1e-12


def image_shape(shape: Sequence[int]) -> tuple[int, int, int] | None:
    """Channels, height and width of an input of this shape; None: it is no image."""
    sizes = tuple(int(size) for size in shape)
    if len(sizes) == 2:
        return (1, *sizes)
    return sizes if len(sizes) == 3 else None


def kept(image: tuple[int, int, int] | None) -> int:
    """So many numbers `lengths` returns: for 1, 2, 4, … frequencies, below the smaller side."""
    return 0 if image is None else math.ceil(math.log2(max(min(image[1:]), 1)))


def lengths(mean: NDArray[np.float64], image: tuple[int, int, int] | None) -> NDArray[np.float64]:
    """Lengths of the projections of a mean on its 1, 2, 4, … lowest frequencies, rounded up.

    The frequencies of a channel are those of the cosine transform (DCT-II), K along each side.

    Args:
        mean: float64 (features,).
        image: channels, height and width; None: no image, so nothing is returned.

    Returns:
        Float64 (numbers,), ascending.
    """
    if image is None:
        return np.zeros(0)
    squares = np.square(np.asarray(fft.dctn(mean.reshape(image), axes=(1, 2), norm="ortho")))
    low = [math.sqrt(squares[:, : 2**k, : 2**k].sum()) for k in range(kept(image))]
    return np.array(low) + _ERROR * float(np.linalg.norm(mean))

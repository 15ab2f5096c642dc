"""How the pixels of 8-bit images become inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: How pixels become inputs, for the settings of a data set.
SCALED = "uint8 / 255"
#: All inputs are multiples of it, because images are scaled and cropped as bytes.
LATTICE = 1 / 255
#: Pillow's names of pixels that are read, as grey or as colour.
GREY_MODES = frozenset({"1", "L"})
COLOUR_MODES = frozenset({"RGB", "P", "CMYK", "YCbCr"})


def channels_first(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An image as an input: float32 (channels, height, width) in [0, 1].

    Args:
        pixels: (height, width) or (height, width, channels).
    """
    channels_last = pixels.reshape(*pixels.shape[:2], -1)
    return channels_last.transpose(2, 0, 1).astype(np.float32) / np.float32(255)

"""Encoded images, from files or from the cells of a table, as arrays of one size."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sosmooth.datasets._pixels import COLOUR_MODES, GREY_MODES, channels_first

#: Allowed formats, whatever the name of a file says. Pillow opens some others with further
#: programs (EPS with Ghostscript).
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
#: Pixels of one image at most: a small hostile file can ask for gigabytes.
MAX_PIXELS = 2**26
#: The options of `parse_size`, with examples.
SIZE_OPTIONS = {"resize": "256", "crop": "224"}


@dataclass(frozen=True)
class Size:
    """How images are brought to one size.

    Attributes:
        resize: pixels that the shorter side is scaled to; None: not scaled.
        crop: side of the square that is then cut out of the middle; None: not cropped.
    """

    resize: int | None = None
    crop: int | None = None


def parse_size(options: Mapping[str, str]) -> Size:
    """The size that the options `resize` and `crop` ask for.

    Args:
        options: by name; others are ignored.

    Raises:
        ValueError: no whole numbers of at least 1, or a crop larger than the resized image.
    """
    try:
        pairs = {name: int(options[name]) for name in SIZE_OPTIONS if name in options}
    except ValueError:
        raise ValueError(
            f"cannot read the image options {dict(options)!r}; write crop=224 or"
            " resize=256&crop=224"
        ) from None
    size = Size(**pairs)
    if min(pairs.values(), default=1) < 1 or (
        size.resize and not size.resize >= (size.crop or np.inf)
    ):
        raise ValueError(
            f"image options {pairs!r}: crop must be at least 1, and resize no smaller; write"
            " resize=256&crop=224"
        )
    return size


class Pictures:
    """Images of one size, decoded when they are needed.

    Args:
        sources: the name of each image, for messages, and its file or its bytes.
        size: how they are brought to one size. Without a crop they must have the same size already,
            and are read as grey if all of them are grey.

    Raises:
        ValueError: no images, other kinds of pixels, several sizes.
    """

    def __init__(self, sources: Sequence[tuple[str, Path | bytes]], size: Size):
        self._sources, self._size = sources, size
        self.mode = "L" if size.crop is None and self._modes() <= GREY_MODES else "RGB"

    def read(self, index: int) -> NDArray[np.float32]:
        """One image, (channels, height, width) in [0, 1].

        Args:
            index: of the image, from 0.

        Raises:
            ValueError: it cannot be decoded, or is smaller than the crop.
        """
        name, source = self._sources[index]
        with _opened(name, source) as image:
            try:
                converted = image.convert(self.mode)
            except Exception as error:  # decoders raise all kinds of exceptions
                raise ValueError(
                    f"{name} cannot be decoded ({_first_line(error)}); replace it"
                ) from error
            return channels_first(np.asarray(_fitted(name, converted, self._size)))

    def _modes(self) -> set[str]:
        """The kinds of pixels, from the headers; refuse images of several sizes."""
        modes: set[str] = set()
        size = None
        for name, source in self._sources:
            with _opened(name, source) as image:
                if size is not None and image.size != size:
                    raise ValueError(
                        f"{name} is {image.size} pixels, {self._sources[0][0]} {size}; bring all to"
                        " one size, or add ?resize=256&crop=224"
                    )
                size = image.size
                modes.add(image.mode)
        return modes


class Cells(Sequence):
    """Images in the cells of a table, as `Pictures` takes them.

    A cell is bytes, or a mapping with `bytes` (as Hugging Face writes it).

    Args:
        name: of the table, for messages.
        length: number of rows.
        cell: index → cell.
    """

    def __init__(self, name: str, length: int, cell: Callable[[int], Any]):
        self._name, self._length, self._cell = name, length, cell

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index):
        if not 0 <= index < self._length:
            raise IndexError(index)
        value = self._cell(index)
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise ValueError(
                f"{self._name}: image {index} has no bytes in the table; write the images into the"
                " table"
            )
        return f"{self._name}: image {index}", content


def _fitted(name: str, image: Image.Image, size: Size) -> Image.Image:
    if size.resize is not None:
        shorter = min(image.size)
        width, height = (size.resize * side // shorter for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    if size.crop is not None:
        if min(image.size) < size.crop:
            raise ValueError(
                f"{name} is {image.size} pixels, smaller than crop={size.crop}; add resize="
            )
        left, top = (round((side - size.crop) / 2) for side in image.size)
        image = image.crop((left, top, left + size.crop, top + size.crop))
    return image


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _opened(name: str, source: Path | bytes) -> Image.Image:
    try:
        with warnings.catch_warnings(action="ignore"):  # such images are refused below
            image = Image.open(
                BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS
            )
    except Exception as error:  # decoders raise all kinds of exceptions
        raise ValueError(
            f"{name} cannot be read as an image ({_first_line(error)}); remove or replace it"
        ) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ValueError(
            f"{name} has {image.width} × {image.height} pixels; at most {MAX_PIXELS} are allowed;"
            " make it smaller"
        )
    if image.mode not in GREY_MODES | COLOUR_MODES:
        image.close()
        raise ValueError(
            f"{name}: pixels of kind {image.mode}; save it as 8-bit grey or RGB, without"
            " transparency"
        )
    return image

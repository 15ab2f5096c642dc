"""Small pictures of the inputs, as data URIs: from the run's folder, or from the inputs themselves."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sosmooth.report.series import Series

_LARGEST = 64
_PNG = b"\x89PNG\r\n\x1a\n"


def thumbnail(series: Series, index: int, inputs: Callable[[int], NDArray] | None) -> str | None:
    """The picture of that input as a data URI; None where there is none, or the input is no picture."""
    if inputs is not None:
        picture = _picture(np.asarray(inputs(index)))
        return None if picture is None else _data_uri(picture)
    stored = series.folder / "thumbnails" / f"{index}.png"
    content = stored.read_bytes() if stored.is_file() else b""
    return _data_uri(content) if content.startswith(_PNG) else None


def _picture(values: NDArray) -> bytes | None:
    """PNG of an array (height, width), (channels, height, width) or (height, width, channels) of 1 or 3 channels."""
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[-1] == 3)) or 0 in values.shape:
        return None
    if values.dtype != np.uint8:
        values = np.nan_to_num(values.astype(np.float64), posinf=1.0, neginf=0.0)
        low, high = min(values.min(), 0.0), max(values.max(), 1.0)
        values = np.round(255 * (values - low) / (high - low)).astype(np.uint8)
    image = Image.fromarray(values)
    image.thumbnail((_LARGEST, _LARGEST))
    with BytesIO() as out:
        image.save(out, "png")
        return out.getvalue()


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"

"""Inputs as pictures inside the page: data URIs, and one sheet of all the thumbnails."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sosmooth.report.inputs import Inputs
from sosmooth.report.series import Series

_LARGEST = 64  # pixels of a side
# More thumbnails than this would make the page slow to open and to send.
_MOST_THUMBNAILS = 2000
# PNG is exact; a sheet that is larger than this as PNG becomes JPEG.
_MOST_BYTES = 300_000
_BLOCK = 8  # JPEG codes each block of this side alone: tiles of whole blocks do not mix
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sheet:
    """Thumbnails side by side in one picture.

    Attributes:
        uri: of the picture.
        tile: side of a thumbnail, pixels.
        pitch: distance between the corners of neighbours, pixels.
        columns: thumbnails in a row.
        tiles: number of thumbnails.
        place: the tile of each input; −1: none.
    """

    uri: str
    tile: int
    pitch: int
    columns: int
    tiles: int
    place: list[int]

    def numbers(self) -> dict[str, Any]:
        """Everything but the picture, JSON-able."""
        return {name: value for name, value in vars(self).items() if name != "uri"}


def thumbnail_sheet(
    series: Sequence[Series],
    inputs: Inputs,
    array_of: Callable[[int], NDArray] | None,
    *,
    most: int = _MOST_THUMBNAILS,
) -> Sheet | None:
    """The thumbnails of the first inputs; None where there is none.

    Args:
        series: the runs as arrays, whose folders may hold thumbnails.
        inputs: of the runs.
        array_of: index → the input of the first run's data as an array; None: the thumbnails of
            the runs' folders.
        most: number of inputs with a thumbnail.
    """
    found = [
        _thumbnail(series, inputs, k, array_of) if k < most else None for k in range(len(inputs))
    ]
    drawn = [picture for picture in found if picture is not None]
    if not drawn:
        return None
    tile = max(max(picture.size) for picture in drawn)
    pitch = -(-tile // _BLOCK) * _BLOCK
    columns = max(1, round(len(drawn) ** 0.5))
    sheet = Image.new("RGB", (columns * pitch, -(-len(drawn) // columns) * pitch))
    for place, picture in enumerate(drawn):
        corner = (place % columns * pitch, place // columns * pitch)
        middle = (corner[0] + (tile - picture.width) // 2, corner[1] + (tile - picture.height) // 2)
        sheet.paste(picture.convert("RGB"), middle)
    places = iter(range(len(drawn)))
    return Sheet(
        _smaller(sheet),
        tile,
        pitch,
        columns,
        len(drawn),
        [-1 if picture is None else next(places) for picture in found],
    )


def picture_uri(values: NDArray) -> str | None:
    """An array as a data URI; None where it is not a picture.

    Args:
        values: (height, width), (channels, height, width) or (height, width, channels), of 1 or 3
            channels, uint8 or floats. Floats are clipped to [0, 1], as a screen would.
    """
    picture = _picture(values)
    return None if picture is None else _smaller(picture)


def signed_picture(values: NDArray) -> NDArray:
    """An array as a picture: positive values blue, negative ones orange, 0 white.

    Args:
        values: as for `picture_uri`. Channels are added up.

    Returns:
        (height, width, 3) in [0, 1]; the largest value has the full colour. `values` itself where
        it is not a picture.
    """
    found = channels_last(values)
    if found is None:
        return values
    found = found.sum(axis=-1) if found.ndim == 3 else found
    strength = (found / max(np.max(np.abs(found)), np.finfo(float).tiny))[..., None]
    white, blue, orange = np.ones(3), np.array([0, 114, 178]) / 255, np.array([213, 94, 0]) / 255
    return white + np.abs(strength) * (np.where(strength > 0, blue, orange) - white)


def channels_last(values: NDArray) -> NDArray | None:
    """The array as (height, width) or (height, width, 3); None where it is not a picture."""
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    is_picture = (
        values.ndim == 2 or (values.ndim == 3 and values.shape[-1] == 3)
    ) and 0 not in values.shape
    return values if is_picture else None


def _thumbnail(
    series: Sequence[Series], inputs: Inputs, k: int, array_of: Callable[[int], NDArray] | None
) -> Image.Image | None:
    """The thumbnail of an input, from its array, or without it from a run's folder."""
    index = int(inputs.index[k])
    if array_of is not None and inputs.data[k] == 0:
        return _picture(np.asarray(array_of(index)))
    for one, row in zip(series, inputs.row[:, k], strict=True):
        stored = one.folder / "thumbnails" / f"{index}.png"
        if row >= 0 and stored.is_file() and (content := stored.read_bytes()).startswith(_PNG):
            with Image.open(BytesIO(content)) as picture:
                return _shrunk(picture.convert("RGB"))
    return None


def _picture(values: NDArray) -> Image.Image | None:
    found = channels_last(np.asarray(values))
    if found is None:
        return None
    if found.dtype != np.uint8:
        found = np.round(255 * np.clip(np.nan_to_num(found.astype(np.float64)), 0, 1)).astype(
            np.uint8
        )
    return _shrunk(Image.fromarray(found))


def _shrunk(picture: Image.Image) -> Image.Image:
    picture.thumbnail((_LARGEST, _LARGEST))
    return picture


def _smaller(picture: Image.Image) -> str:
    """The picture as PNG, or, where that is large, as JPEG without subsampled colours."""
    png = _encoded(picture, "png", optimize=True)
    if len(png) <= _MOST_BYTES and max(picture.size) != _LARGEST:
        return f"data:image/png;base64,{b64encode(png).decode()}"
    jpeg = _encoded(picture, "jpeg", quality=85, subsampling=0)
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def _encoded(picture: Image.Image, kind: str, **options) -> bytes:
    with BytesIO() as out:
        picture.save(out, kind, **options)
        return out.getvalue()

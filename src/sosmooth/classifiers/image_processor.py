"""What an image processor of transformers does to pixels, found by running it.

Each processor class has its own keys, defaults and order of steps, and new classes appear. Instead
of copying them, this module runs the processor itself on random images. What the processor does
must be one multiplication and one addition per channel, the channels in some order, and a crop.
Anything else is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sosmooth._extras import needed
from sosmooth.classifiers.normalization import Normalization

_FILE = "preprocessor_config.json"
_NESTED = "processor_config.json"
_LARGEST_SIDE = 4096  # pixels; a larger side is a mistake, and a try would fill the memory
_TOLERANCE = 1e-5  # for rounding in float32, relative to the largest value

#: Steps that change which pixels there are, and not their values.
_GEOMETRY = ("do_resize", "do_center_crop", "do_pad", "do_thumbnail", "do_align_long_axis")

#: Keys whose null means the default of the class; the processor itself would refuse null.
_NULL_IS_DEFAULT = ("image_mean", "image_std", "rescale_factor")

#: Keys that no processor class lists and that change no pixel of an image.
_HARMLESS = {
    "_name_or_path",
    "_processor_class",
    "_valid_processor_keys",
    "auto_map",
    "data_format",
    "device",
    "disable_grouping",
    "do_reduce_labels",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "model_input_names",
    "processor_class",
    "reduce_labels",
    "return_tensors",
    "transformers_version",
}


class ImageProcessor:
    """The processor in a model's folder, and what it does to an image in [0, 1].

    Attributes:
        normalization: of the channels in the order of the image; None: values are not changed.
        order: channel j of the model is channel `order[j]` of the image.
    """

    normalization: Normalization | None
    order: tuple[int, ...]

    def __init__(self, place: str, channels: int, side: int | None):
        """Read the processor and try it out; nothing is downloaded, no code of the folder is run.

        Args:
            place: a folder, or a name that the cache holds.
            channels: of the images that the model takes.
            side: of the images that the model is made for, in pixels; None: any.

        Raises:
            ValueError: no file, unknown keys or values, or steps that are more than a
                multiplication and an addition per channel.
        """
        transformers = needed("transformers", extra="huggingface")
        self._file, found = _settings(place)
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._processor = transformers.AutoImageProcessor.from_pretrained(place, **options)
        except Exception as error:  # it raises all kinds of exceptions for unexpected values
            raise ValueError(f"{self._file} cannot be used: {_line(error)}") from error
        self._name = type(self._processor).__name__.removesuffix("Pil")
        for key in _NULL_IS_DEFAULT:
            if key in found and found[key] is None:
                setattr(self._processor, key, getattr(type(self._processor), key, None))
        self._says_size = "size" in found
        self._side = side
        self._check_keys(found)
        self.normalization, self.order = self._pointwise(channels)
        self._windows: dict[tuple[int, int], tuple[slice, slice]] = {}

    def window(self, height: int, width: int) -> tuple[slice, slice]:
        """The part of an image of this size that the model gets: all of it, or its middle.

        An image that already has the model's size is taken as prepared, even if the processor
        would resize and crop it once more; then a warning says so.

        Args:
            height: of the image, in pixels.
            width: of the image, in pixels.

        Raises:
            ValueError: the processor changes the size of the image other than by a crop.
        """
        if (height, width) not in self._windows:
            self._windows[height, width] = self._found_window(height, width)
        return self._windows[height, width]

    def _check_keys(self, found: dict[str, Any]) -> None:
        processor = self._processor
        known = {*getattr(type(processor), "valid_kwargs", type(self)).__annotations__, *_HARMLESS}
        if unknown := sorted(
            key for key in found.keys() - known if found[key] not in (None, False)
        ):
            raise ValueError(
                f"{self._file}: unknown keys {', '.join(unknown)} of {self._name}; remove those"
                " that change no pixel, or load the model in package.module:factory"
            )
        for key in ("size", "crop_size", "pad_size"):
            if any(not 1 <= side <= _LARGEST_SIDE for side in _numbers(found.get(key))):
                raise ValueError(
                    f"{self._file}: {key} is {found[key]}; sides are 1 to {_LARGEST_SIDE} pixels"
                )
        if any(not 0.1 <= part <= 1 for part in _numbers(found.get("crop_pct"))):
            raise ValueError(f"{self._file}: crop_pct is {found['crop_pct']}; it is 0.1 to 1")
        if not getattr(processor, "do_rescale", True):
            raise ValueError(
                f"{self._file}: do_rescale is false, so it is unknown whether the model takes"
                " images in [0, 1] or in 0…255; write do_rescale and rescale_factor there"
            )
        again = getattr(processor, "include_top", False)
        needs = {"image_mean": processor.do_normalize, "image_std": processor.do_normalize or again}
        for key, used in needs.items():
            if used and key not in found:
                raise ValueError(
                    f"{self._file} has no {key}; write it there ({self._name} itself has"
                    f" {getattr(processor, key, None)}; null means that value)"
                )

    def _pointwise(self, channels: int) -> tuple[Normalization | None, tuple[int, ...]]:
        """Multiplication, addition and order of channels, fitted on one of two random images."""
        still = {key: False for key in _GEOMETRY if hasattr(self._processor, key)}
        first, second = (
            np.random.default_rng(seed).integers(low, high, (channels, 24, 24), dtype=np.uint8)
            for seed, low, high in (
                (0, 0, 256),
                (1, 60, 140),
            )  # else an image's own mean would pass
        )
        given, taken = _flat(first), _flat(self._processed(first, still))
        if given.shape != taken.shape:
            raise ValueError(
                f"{self._file}: {self._name} makes {taken.shape[0]} rows of {given.shape[0]}"
                " channels; load the model in package.module:factory"
            )
        means, stds, order = [0.0] * channels, [1.0] * channels, []
        for row in taken:
            channel, start, slope = _fitted(given, row)
            order.append(channel)
            if slope > 0:  # rounded to the precision of float32, in which it was computed
                means[channel] = round(-start / slope, 7) + 0.0
                stds[channel] = float(f"{1 / slope:.7g}")
        seen = _flat(self._processed(second, still))
        expected = (_flat(second) - np.array(means)[:, None]) / np.array(stds)[:, None]
        if sorted(order) != list(range(channels)) or not _close(expected[order], seen):
            raise ValueError(
                f"{self._file}: {self._name} does more to pixels than a multiplication and an"
                " addition per channel; load the model in package.module:factory"
            )
        unchanged = set(means) == {0.0} and set(stds) == {1.0}
        return None if unchanged else Normalization(tuple(means), tuple(stds)), tuple(order)

    def _found_window(self, height: int, width: int) -> tuple[slice, slice]:
        shape = (len(self.order), height, width)
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        taken = self._processed(image, {})
        expected = image / 255
        if (norm := self.normalization) is not None:
            mean, std = (np.array(values)[:, None, None] for values in (norm.mean, norm.std))
            expected = (expected - mean) / std
        expected = expected[list(self.order)]
        rows, columns = taken.shape[-2:]
        top, left = (height - rows) // 2, (width - columns) // 2
        if taken.ndim == 3 and top >= 0 and left >= 0:
            window = (slice(top, top + rows), slice(left, left + columns))
            if _close(expected[:, *window], taken):
                return window
        if (height, width) in {(rows, columns), (self._side, self._side)}:
            if self._says_size:
                warnings.warn(
                    f"images of {height}×{width} pixels are taken as prepared: {self._file} would"
                    " resize and crop them once more, which is left to the data set",
                    stacklevel=2,
                )
            return slice(None), slice(None)
        raise ValueError(
            f"the images have {height}×{width} pixels; {self._name} ({self._file}) resizes them to"
            f" {rows}×{columns} (size, crop_size, resample), which is left to the data set: give"
            f" images of {rows}×{columns}, as FOLDER?resize=…&crop=… does"
        )

    def _processed(self, image: NDArray[np.uint8], options: dict[str, bool]) -> NDArray[np.float64]:
        try:
            with warnings.catch_warnings(action="ignore"):  # such values are refused below
                found = self._processor(
                    images=[image],
                    input_data_format="channels_first",
                    return_tensors="pt",
                    **options,
                )
            values = found["pixel_values"][0].double().numpy()
        except Exception as error:  # it raises all kinds of exceptions for unexpected values
            raise ValueError(f"{self._file} cannot be used: {_line(error)}") from error
        if values.ndim != 3 or not np.isfinite(values).all():
            raise ValueError(
                f"{self._file}: {self._name} does not return an image with finite values; load the"
                " model in package.module:factory"
            )
        return values


class ProcessedImages(nn.Module):
    """Scores of normalised images, which are cropped and get the model's order of channels.

    Args:
        model: as transformers opened it.
        processor: of the same folder.
    """

    def __init__(self, model: nn.Module, processor: ImageProcessor):
        super().__init__()
        self.model = model
        self._processor = processor
        self._in_order = processor.order == tuple(range(len(processor.order)))

    def forward(self, images: Tensor) -> Tensor:
        channels = len(self._processor.order)
        if images.ndim != 4 or images.shape[1] != channels:
            raise ValueError(
                f"the model takes images ({channels}, height, width); the inputs are"
                f" {tuple(images.shape[1:])}"
            )
        rows, columns = self._processor.window(images.shape[2], images.shape[3])
        images = images[:, :, rows, columns]
        if not self._in_order:
            images = torch.stack([images[:, channel] for channel in self._processor.order], dim=1)
        return self.model(pixel_values=images).logits


def _settings(place: str) -> tuple[str, dict[str, Any]]:
    """The name of the file that describes the preparation, for messages, and its content."""
    utils = needed("transformers.utils", extra="huggingface")
    base = needed("transformers.image_processing_base", extra="huggingface")
    paths = {
        name: utils.cached_file(
            place, name, local_files_only=True, _raise_exceptions_for_missing_entries=False
        )
        for name in (_NESTED, _FILE)
    }
    name = next((name for name, path in paths.items() if path is not None), None)
    if name is None:
        raise ValueError(f"{place} has no {_FILE}, which says how to normalise; add it")
    try:
        found, _ = base.ImageProcessingMixin.get_image_processor_dict(place, local_files_only=True)
    except Exception as error:  # it raises all kinds of exceptions for a broken file
        raise ValueError(f"{place}/{name} cannot be read: {_line(error)}") from error
    nested = name == _NESTED and (paths[_FILE] is None or _is_nested(Path(str(paths[_NESTED]))))
    file = f"{place}/{_NESTED if nested else _FILE}"
    if not isinstance(found, dict):
        raise ValueError(f"{file} must hold a JSON object; write it with save_pretrained")
    return file, found


def _is_nested(path: Path) -> bool:
    return '"image_processor"' in path.read_text(errors="replace")


def _numbers(value: object) -> Iterator[float]:
    """The numbers in a JSON value; booleans do not count."""
    if isinstance(value, dict):
        value = list(value.values())
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, int | float) and not isinstance(each, bool):
            yield each


def _fitted(channels: NDArray[np.float64], row: NDArray[np.float64]) -> tuple[int, float, float]:
    """Channel, start and slope with `start + slope · channel` closest to the row."""
    fits = [np.polynomial.polynomial.polyfit(channel, row, 1) for channel in channels]
    errors = [
        np.abs(start + slope * channel - row).max()
        for channel, (start, slope) in zip(channels, fits, strict=True)
    ]
    best = int(np.argmin(errors))
    return best, float(fits[best][0]), float(fits[best][1])


def _flat(image: NDArray[Any]) -> NDArray[np.float64]:
    """Channels as rows (channels, pixels); bytes become numbers in [0, 1]."""
    values = image / 255 if image.dtype == np.uint8 else image
    return values.reshape(len(values), -1)


def _close(expected: NDArray[np.float64], found: NDArray[np.float64]) -> bool:
    if expected.shape != found.shape:
        return False
    return bool(np.abs(expected - found).max() <= _TOLERANCE * max(1.0, np.abs(found).max()))


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

"""The items of a data set in memory, in the layouts that PyTorch and Hugging Face use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth._errors import one_line
from sosmooth.datasets._pixels import COLOUR_MODES, GREY_MODES, channels_first
from sosmooth.datasets.inputs import UNKNOWN_LABEL
from sosmooth.datasets.labels import numbered

# The keys of a mapping that hold the input and its label, the first that is there.
_INPUT_KEYS = ("image", "img", "pixel_values", "inputs", "input", "features", "x")
_LABEL_KEYS = ("label", "labels", "target", "targets", "y")


class Items:
    """Items as inputs and labels: (input, label), a mapping that holds both, or the input alone.

    Args:
        name: of the data set, for messages.
        item: position → item.
        length: how many there are, at least 1.
        class_columns: the keys that are declared to hold classes.

    Raises:
        ValueError: an item cannot be read, or has another layout.
    """

    def __init__(
        self,
        name: str,
        item: Callable[[int], Any],
        length: int,
        class_columns: Sequence[str] = (),
    ):
        self._name, self._item, self._length = name, item, length
        first = self._at(0)
        #: Where an item holds its input and its label: keys or positions; None: it does not.
        self.input, self.label = self._layout(first, class_columns)
        #: Whether the inputs are 8-bit images.
        self.pictures = is_picture(self._part(first, self.input))

    def read(self, index: int) -> tuple[NDArray, int | str | None]:
        """The input at a position, as a floating array, and its label.

        Args:
            index: in [0, length).
        """
        item = self._at(index)
        try:
            value = as_input(self._part(item, self.input))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{self._name}: item {index}: {error}") from error
        return value, self._label(item)

    def written(self, index: int) -> int | str | None:
        """The label at a position: a number or a name; None where it is unknown.

        Args:
            index: in [0, length).
        """
        return self._label(self._at(index))

    def _label(self, item: Any) -> int | str | None:
        return None if self.label is None else plain(self._name, self._part(item, self.label))

    def _at(self, index: int) -> Any:
        try:
            return self._item(index)
        except Exception as error:  # the user's code may raise any
            raise ValueError(f"{self._name}: item {index} raised {one_line(error)}") from error

    def _part(self, item: Any, key: Any) -> Any:
        if key is None:
            return item
        try:
            return item[key]
        except (IndexError, KeyError, TypeError):
            raise ValueError(f"{self._name}: not all items have a {key!r}, as the first") from None

    def _layout(self, item: Any, class_columns: Sequence[str]) -> tuple[Any, Any]:
        if isinstance(item, Mapping):
            return self._keys(list(item), class_columns)
        if not isinstance(item, tuple | list):
            return None, None
        if len(item) not in (1, 2):
            raise ValueError(
                f"{self._name}: item 0 has {len(item)} parts; it must be (input, label), a mapping"
                " that holds both, or the input alone"
            )
        return 0, 1 if len(item) == 2 else None

    def _keys(self, keys: list[Any], class_columns: Sequence[str]) -> tuple[Any, Any]:
        classes = [key for key in class_columns if key in keys]
        label = next((key for key in _LABEL_KEYS if key in keys), None)
        label = classes[0] if label is None and len(classes) == 1 else label
        others = [key for key in keys if key != label]
        found = next((key for key in _INPUT_KEYS if key in others), None)
        if found is None and len(others) == 1:
            found = others[0]
        if found is None:
            raise ValueError(
                f"{self._name}: its items hold {', '.join(map(repr, keys))}, none of which is named"
                f" {', '.join(_INPUT_KEYS)}; rename the one that holds the input, or remove others"
            )
        return found, label


def plain(name: str, label: Any) -> int | str | None:
    """A label as a number or a name; None where it is unknown.

    Args:
        name: of the data set, for messages.
        label: as an item holds it: a whole number of any type, a name, or None.

    Raises:
        ValueError: it is something else.
    """
    if label is None or isinstance(label, str):
        return label
    try:
        number = int(label)
        if number == label:
            return number
    except (TypeError, ValueError, RuntimeError):
        pass
    raise ValueError(
        f"{name}: a label must be a whole number or a name; got"
        f" {' '.join(repr(label).split())[:80]}"
    )


def numbers_of(
    name: str, written: Sequence[int | str | None], names: Sequence[str] | None
) -> tuple[Sequence[str] | None, NDArray[np.int64]]:
    """The names of the classes, where there are any, and the labels as numbers.

    Args:
        name: of the data set, for messages.
        written: as `plain` returns them.
        names: what the numbers mean, where the data set says so.

    Raises:
        ValueError: numbers and names among each other, or a name that `names` does not hold.
    """
    words = [value for value in written if isinstance(value, str)]
    if not words:
        numbers = [UNKNOWN_LABEL if value is None else int(value) for value in written]
        return names, np.array(numbers, dtype=np.int64)
    if any(isinstance(value, int) for value in written) or (names and not {*words} <= {*names}):
        raise ValueError(f"{name}: labels must all be numbers, or all names of its classes")
    if names is None:
        return numbered([None if value is None else str(value) for value in written])
    place = {one: number for number, one in enumerate(names)}
    found = [UNKNOWN_LABEL if value is None else place[str(value)] for value in written]
    return names, np.array(found, dtype=np.int64)


def is_picture(value: object) -> bool:
    """Whether it is an image of Pillow.

    Args:
        value: any object.
    """
    return hasattr(value, "getbands") and hasattr(value, "convert")


def as_input(value: Any) -> NDArray:
    """An input as an array: a tensor, an array, a list of numbers, or an image of Pillow.

    Args:
        value: the input. Pixels of an image become float32 (channels, height, width) in [0, 1].

    Raises:
        ValueError: an image with other pixels than 8-bit grey or colour.
    """
    if is_picture(value):
        if value.mode not in GREY_MODES | COLOUR_MODES:
            raise ValueError(
                f"pixels of kind {value.mode}; convert the image to 8-bit grey or RGB, without"
                " transparency"
            )
        converted = value.convert("L" if value.mode in GREY_MODES else "RGB")
        return channels_first(np.asarray(converted))
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value, np.float64 if isinstance(value, list) else None)

"""What every loader returns: inputs, which are read when they are needed, and their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth.datasets.choice import spread
from sosmooth.measures import UNKNOWN_LABEL

_DIGEST_CHUNK = 256
_MOST = 10**8  # indices of a batch: an array of labels has one element for each


@dataclass(frozen=True, eq=False)
class InputSet:
    """Inputs with their labels; made by `in_memory` or `read_lazily`, which check the inputs.

    Attributes:
        name: for messages.
        labels: int64 (length,), −1 = unknown.
        get: indices → float32 (batch, *shape), finite; raises IndexError outside [0, length).
        num_classes: None where the data do not say.
        settings: what identifies it, JSON-able: the spec, digests of the files.
        lattice: all inputs are multiples of it, rounded to float32; None where there is none, or it
            is unknown.
        notes: what the loader assumed, a line each.
        texts: what the inputs were made from, one each; None where they are no texts.
    """

    name: str
    labels: NDArray[np.int64]
    get: Callable[[Sequence[int]], NDArray[np.float32]]
    num_classes: int | None
    settings: dict[str, Any]
    lattice: float | None = None
    notes: tuple[str, ...] = ()
    texts: Sequence[str] | None = None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The name of each class, by its number; None where the data have no names."""
        names = self.settings.get("classes")
        return None if names is None else tuple(str(name) for name in names)

    @property
    def feature_names(self) -> list[str] | None:
        """The names of the columns of a table; None where the data have none."""
        return self.settings.get("features")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        classes = "" if self.num_classes is None else f" of {self.num_classes} classes"
        return f"<{len(self)} inputs{classes}: {self.name}>"

    def spread(self, count: int) -> list[int]:
        """The indices of at most `count` inputs, spread over the classes, as `--max` takes them.

        Args:
            count: at least 1.
        """
        return spread(self.labels, count)

    def digest(self, indices: Sequence[int]) -> str:
        """sha256, in hex, of the inputs and labels at `indices`.

        It covers the shape, the inputs (float32, little-endian, C order) and the labels (int64).

        Args:
            indices: in [0, length).
        """
        total = hashlib.sha256()
        for start in range(0, len(indices), _DIGEST_CHUNK):
            batch = self.get(indices[start : start + _DIGEST_CHUNK])
            if start == 0:
                total.update(repr(batch.shape[1:]).encode())
            total.update(np.ascontiguousarray(batch, dtype="<f4").tobytes())
        total.update(self.labels[np.asarray(indices, dtype=np.int64)].astype("<i8").tobytes())
        return total.hexdigest()


def in_memory(
    name: str,
    inputs: NDArray,
    labels: ArrayLike | None,
    *,
    num_classes: int | None,
    settings: dict[str, Any],
    lattice: float | None = None,
) -> InputSet:
    """An input set of arrays.

    Args:
        name: for messages.
        inputs: floating (length, *shape), finite.
        labels: integers (length,), −1 = unknown; None: all unknown.
        num_classes: labels are below it, if known.
        settings: what identifies the set.
        lattice: all inputs are multiples of it; None: there is none, or it is unknown.

    Raises:
        ValueError: an array of another type or shape, no inputs, NaN or infinite inputs, labels out
            of range.
    """
    if not np.issubdtype(inputs.dtype, np.floating):
        raise ValueError(
            f"{name}: inputs must be floating; got {inputs.dtype}; convert them, in units of sigma"
        )
    if inputs.ndim < 2 or len(inputs) == 0:
        raise ValueError(
            f"{name}: inputs must have a first axis of inputs and one or more of features; got"
            f" shape {inputs.shape}"
        )
    with np.errstate(over="ignore"):
        inputs = np.ascontiguousarray(inputs, dtype=np.float32)
    _check_finite(name, inputs, range(len(inputs)))
    return InputSet(
        name=name,
        labels=checked_labels(name, labels, len(inputs), num_classes),
        get=lambda indices: inputs[_checked_indices(indices, len(inputs))],
        num_classes=num_classes,
        settings=settings,
        lattice=lattice,
    )


def read_lazily(
    name: str,
    read: Callable[[int], NDArray],
    labels: ArrayLike | None,
    *,
    length: int,
    num_classes: int | None,
    settings: dict[str, Any],
    lattice: float | None = None,
) -> InputSet:
    """An input set that reads each input when it is needed.

    Args:
        name: for messages.
        read: index → floating array, of the same shape for all.
        labels: as for `in_memory`.
        length: number of inputs.
        num_classes: as for `in_memory`.
        settings: as for `in_memory`.
        lattice: as for `in_memory`.

    Raises:
        ValueError: no inputs, labels out of range; from `get`: an input of another shape or type,
            NaN or infinite values.
    """
    if length == 0:
        raise ValueError(f"{name}: there are no inputs")
    shape: tuple[int, ...] | None = None

    def get(indices: Sequence[int]) -> NDArray[np.float32]:
        nonlocal shape
        wanted = _checked_indices(indices, length)
        if shape is None:
            shape = np.shape(read(0))
        batch = np.empty((len(wanted), *shape), dtype=np.float32)
        for row, index in enumerate(wanted.tolist()):
            value = read(index)
            if value.shape != shape or not np.issubdtype(value.dtype, np.floating):
                raise ValueError(
                    f"{name}: input {index} is {value.dtype} of shape {value.shape}; all must be"
                    f" floating, and of shape {shape} as the first"
                )
            with np.errstate(over="ignore"):
                batch[row] = value
        _check_finite(name, batch, wanted)
        return batch

    return InputSet(
        name,
        checked_labels(name, labels, length, num_classes),
        get,
        num_classes,
        settings,
        lattice,
    )


def _checked_indices(indices: Sequence[int], length: int) -> NDArray[np.int64]:
    array = np.asarray(indices, dtype=np.int64)
    bad = (array < 0) | (array >= length)
    if np.any(bad):
        raise IndexError(
            f"index {array[bad][0]} is outside the data set; allowed are 0 to {length - 1}"
        )
    return array


def _check_finite(
    name: str, inputs: NDArray[np.float32], indices: Sequence[int] | NDArray[np.int64]
) -> None:
    bad = ~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
    if np.any(bad):
        raise ValueError(
            f"{name}: input {indices[int(np.argmax(bad))]} holds NaN or infinite values; remove or"
            " correct it"
        )


def checked_labels(
    name: str, labels: ArrayLike | None, length: int, num_classes: int | None
) -> NDArray[np.int64]:
    """Labels as int64 (length,).

    Args:
        name: of the data set, for messages.
        labels: integers (length,), −1 = unknown; None: all unknown.
        length: number of inputs.
        num_classes: labels are below it, if known.

    Raises:
        ValueError: they are something else.
    """
    if labels is None:
        return np.full(length, UNKNOWN_LABEL, dtype=np.int64)
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (length,):
        raise ValueError(
            f"{name}: labels must be {length} integers, one per input; got {array.dtype} of shape"
            f" {array.shape}"
        )
    array = array.astype(np.int64)
    bad = (array < UNKNOWN_LABEL) | (array >= (np.inf if num_classes is None else num_classes))
    if np.any(bad):
        top = "" if num_classes is None else f" to {num_classes - 1}"
        raise ValueError(
            f"{name}: label {array[bad][0]} of input {np.argmax(bad)}; allowed are"
            f" 0{top or ' and up'}, −1 = unknown"
        )
    return array


def renumbered(inputs: InputSet, indices: Sequence[int]) -> InputSet:
    """The inputs of a batch under other indices, from which their noise follows.

    Args:
        inputs: the batch.
        indices: of each of its inputs, distinct, below 10⁸.

    Raises:
        ValueError: other indices.
    """
    numbers = np.asarray(indices, dtype=np.int64)
    if numbers.shape != (len(inputs),) or numbers.min() < 0 or numbers.max() >= _MOST:
        raise ValueError(
            f"indices must be {len(inputs)} whole numbers in [0, {_MOST}), one an input;"
            f" got {' '.join(repr(indices).split())[:80]}"
        )
    row = {index: position for position, index in enumerate(numbers.tolist())}
    if len(row) < len(numbers):
        raise ValueError("indices must be distinct; the noise of an input follows from its index")
    labels = np.full(numbers.max() + 1, UNKNOWN_LABEL)
    labels[numbers] = inputs.labels
    get = inputs.get
    return replace(
        inputs, labels=labels, get=lambda chosen: get([row[i] for i in chosen]), texts=None
    )

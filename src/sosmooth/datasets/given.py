"""Inputs that a user holds in Python, in whatever container, as an input set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from sosmooth.datasets._items import Items, as_input, is_picture, numbers_of, plain
from sosmooth.datasets._pixels import LATTICE
from sosmooth.datasets.inputs import InputSet, checked_labels, in_memory, read_lazily
from sosmooth.datasets.labels import labels_in

_ALLOWED = (
    "an array or tensor (batch, …), a torch Dataset or DataLoader, a Hugging Face data set, or what"
    " load_dataset returns"
)


def is_batch(data: object) -> bool:
    """Whether it is one array of inputs: an array, a tensor, a table, or nested lists of numbers.

    Args:
        data: what a user gave.
    """
    if isinstance(data, np.ndarray | torch.Tensor) or is_table(data):
        return True
    if hasattr(data, "__array__") and hasattr(data, "shape"):  # of another library
        return True
    first = data[0] if isinstance(data, list | tuple) and data else None
    return isinstance(data, list | tuple) and not (
        isinstance(first, tuple | Mapping) or is_picture(first)
    )


def given_inputs(
    data: Any,
    labels: ArrayLike | None = None,
    *,
    name: str = "the data",
    settings: Mapping[str, Any] | None = None,
    wanted: Sequence[int] | None = None,
) -> InputSet:
    """What a user gave, as an input set.

    A `DataLoader` gives the items of its data set in their own order, through its `collate_fn`, and
    each once: the noise of an input follows from its position, so that shuffling changes nothing.

    Args:
        data: an array, tensor or table (batch, …); an `InputSet`; a torch `Dataset` or `DataLoader`
            or a Hugging Face data set of (input, label), of mappings that hold both, or of inputs
            alone. Images of Pillow become float32 (channels, height, width) in [0, 1].
        labels: true classes, integers or names (length,); None: those of the data.
        name: for messages.
        settings: what identifies the data; None: the digest of an array, or else the type.
        wanted: the positions whose labels are read, where the items alone hold them; None: all.

    Raises:
        ValueError: it is something else, or labels that do not fit; from `get`: an item that cannot
            be read.
    """
    if isinstance(data, InputSet):
        found = data if settings is None else replace(data, settings={**data.settings, **settings})
    elif is_batch(data):
        found = _of_batch(data, name, settings)
    elif isinstance(data, DataLoader):
        found = _of_loader(data, name, settings, wanted)
    elif isinstance(data, str | bytes | Path):
        raise ValueError(f"{name} must be {_ALLOWED}; for {str(data)!r} use load_dataset")
    elif isinstance(data, Mapping):
        raise ValueError(
            f"{name} has the parts {', '.join(map(repr, data))}; give one of them, as data['test']"
        )
    elif hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        found = _of_items(data, data.__getitem__, name, settings, wanted)
    elif isinstance(data, Iterable):
        items = list(data)
        found = _of_items(data, items.__getitem__, name, settings, wanted, length=len(items))
    else:
        raise ValueError(f"{name} must be {_ALLOWED}; got {type(data).__name__}")
    return found if labels is None else _with_labels(found, labels)


def _of_batch(data: Any, name: str, settings: Mapping[str, Any] | None) -> InputSet:
    columns = [str(column) for column in data.columns] if is_table(data) else None
    array = as_input(data) if isinstance(data, torch.Tensor) else np.asarray(data)
    known = dict(settings or {})
    if columns is not None:
        known["features"] = columns
    found = in_memory(name, array, None, num_classes=None, settings=known)
    if settings is not None:
        return found
    return replace(found, settings=known | {"inputs_sha256": found.digest(range(len(found)))})


def _of_loader(
    loader: DataLoader,
    name: str,
    settings: Mapping[str, Any] | None,
    wanted: Sequence[int] | None,
) -> InputSet:
    dataset, collate = loader.dataset, loader.collate_fn
    if isinstance(dataset, IterableDataset):
        items = [one for batch in loader for one in _parts(batch, _size(batch))]
        return _of_items(dataset, items.__getitem__, name, settings, wanted, length=len(items))
    batches = loader.batch_sampler
    sampler = getattr(batches, "sampler", batches) if batches is not None else loader.sampler
    every = isinstance(sampler, SequentialSampler) or (
        isinstance(sampler, RandomSampler)
        and not sampler.replacement
        and sampler.num_samples == len(sampler.data_source)
    )
    if not every:
        raise ValueError(
            f"{name}: the DataLoader chooses its items by {type(sampler).__name__}; give"
            " torch.utils.data.Subset(dataset, indices) of the inputs that are meant"
        )

    def item(index: int) -> Any:
        if batches is None:  # items, not put together
            return collate(dataset[index])
        return _parts(collate([dataset[index]]), 1)[0]

    return _of_items(dataset, item, name, settings, wanted)


def _size(batch: Any) -> int:
    first = next(iter(batch.values())) if isinstance(batch, Mapping) else batch
    return len(first[0]) if isinstance(first, tuple | list) else len(first)


def _parts(batch: Any, size: int) -> list[Any]:
    """The items that a batch was made of."""
    if isinstance(batch, Mapping):
        return [{key: value[i] for key, value in batch.items()} for i in range(size)]
    if isinstance(batch, tuple | list):
        return [tuple(value[i] for value in batch) for i in range(size)]
    return [batch[i] for i in range(size)]


def _of_items(
    data: Any,
    item: Callable[[int], Any],
    name: str,
    settings: Mapping[str, Any] | None,
    wanted: Sequence[int] | None,
    *,
    length: int | None = None,
) -> InputSet:
    length = len(data) if length is None else length
    if length == 0:
        raise ValueError(f"{name}: there are no inputs")
    features = getattr(data, "features", None)
    declared = {
        key: list(names)
        for key, kind in (features.items() if isinstance(features, Mapping) else ())
        if (names := getattr(kind, "names", None))
    }
    items = Items(name, item, length, list(declared))
    classes = _said_by(data, "classes") or declared.get(items.label)
    names = list(classes) if classes and all(isinstance(one, str) for one in classes) else None
    written = _labels_apart(data, items.label, name, length)
    if written is None:
        read_at = range(length) if wanted is None else wanted
        written = dict.fromkeys(range(length)) | {i: items.written(i) for i in read_at}
    names, labels = numbers_of(name, list(written.values()), names)

    def read(index: int) -> NDArray:
        value, label = items.read(index)
        if written[index] is not None and label != written[index]:
            raise ValueError(
                f"{name}: item {index} has the label {label}, and had {written[index]} before;"
                " make items repeatable"
            )
        return value

    known = dict(settings or {"type": type(data).__name__, "length": length})
    if names is not None:
        known["classes"] = list(names)
    return read_lazily(
        name,
        read,
        labels,
        length=length,
        num_classes=len(names or classes or ()) or None,
        settings=known,
        lattice=_said_by(data, "lattice") or (LATTICE if items.pictures else None),
    )


def _said_by(data: Any, name: str) -> Any:
    """An attribute of a data set, or of the one that it is a part of."""
    whole = data.dataset if isinstance(data, Subset) else data
    return getattr(data, name, getattr(whole, name, None))


def _labels_apart(
    data: Any, label: Any, name: str, length: int
) -> dict[int, int | str | None] | None:
    """The labels by position, where they can be had without reading the inputs."""
    if label is None:
        return dict.fromkeys(range(length))
    if isinstance(data, Subset):
        found = _labels_apart(data.dataset, label, name, len(data.dataset))  # pyright: ignore
        return None if found is None else {i: found[at] for i, at in enumerate(data.indices)}
    targets = getattr(data, "targets", None)
    if targets is None and isinstance(data, TensorDataset):
        targets = data.tensors[1]
    if targets is None and isinstance(label, str) and hasattr(data, "column_names"):
        targets = data[label]
    if targets is None or len(targets) != length:
        return None
    return {i: plain(name, one) for i, one in enumerate(targets)}


def _with_labels(found: InputSet, labels: ArrayLike) -> InputSet:
    names, numbers = labels_in(np.asarray(labels), found.name)
    settings = dict(found.settings)
    settings.pop("classes", None)
    if names is not None:
        settings["classes"] = list(names)
    count = None if names is None else len(names)
    checked = checked_labels(found.name, numbers, len(found), count)
    return replace(found, labels=checked, num_classes=count, settings=settings)


def is_table(data: object) -> bool:
    """Whether it is a table of pandas or Polars.

    Args:
        data: what a user gave.
    """
    return hasattr(data, "columns") and hasattr(data, "to_numpy")

"""Images of a Hugging Face data set on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sosmooth._extras import needed
from sosmooth._spec_options import parse_options
from sosmooth.datasets import parquet
from sosmooth.datasets._image_columns import chosen_columns, labels_of
from sosmooth.datasets._images import SIZE_OPTIONS, Cells, Pictures, parse_size
from sosmooth.datasets._pixels import LATTICE, SCALED
from sosmooth.datasets.inputs import InputSet, read_lazily

# The files that save_to_disk writes.
_IS_SAVED = {"dataset_dict.json", "dataset_info.json", "state.json"}


def load(folder: Path, options: str = "") -> InputSet:
    """The images of a data set that `datasets.Dataset.save_to_disk` wrote.

    Inputs are float32 (batch, channels, height, width) in [0, 1].

    Args:
        folder: of a `Dataset`, or of a `DatasetDict`; or of Parquet files, as the Hub stores them.
        options: `split=NAME` (default: `test`, or the only split), `image=COLUMN` (default:
            `image`, or else the only column of images), `label=COLUMN` (default: `label`, or else
            the only column of classes; without one, labels are unknown), `resize=256&crop=224` as
            for a folder of images.

    Raises:
        ModuleNotFoundError: `datasets` is not installed.
        FileNotFoundError: no such folder.
        ValueError: no data set, no such split or column, images that `Pictures` refuses, labels
            that are neither integers nor names.
    """
    asked = parse_options(
        options, {"split": "test", "image": "COLUMN", "label": "COLUMN"} | SIZE_OPTIONS
    )
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {str(folder)!r}; give one that datasets.Dataset.save_to_disk wrote"
        )
    if not _IS_SAVED & {entry.name for entry in folder.iterdir()} and parquet.splits_of(folder):
        return parquet.load(folder, options)  # as the Hub stores it
    package = needed("datasets", extra="huggingface")
    try:
        found = package.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} is not a data set that save_to_disk wrote, and holds no Parquet files"
            f" ({' '.join(str(error).split())})"
        ) from error
    split = asked.get("split")
    if isinstance(found, dict):
        split = split or (next(iter(found)) if len(found) == 1 else "test")
        if split not in found:
            raise ValueError(
                f"{folder} has no split {split!r}; it has {', '.join(found)}: write"
                f" hf:{folder}?split=NAME"
            )
        found = found[split]
    image, label, notes = chosen_columns(
        str(folder),
        found.column_names,
        asked,
        images=[name for name, one in found.features.items() if isinstance(one, package.Image)],
        classes=[
            name for name, one in found.features.items() if isinstance(one, package.ClassLabel)
        ],
    )
    encoded = found.cast_column(image, package.Image(decode=False))
    names, labels = None, None
    if label is not None:
        declared = getattr(found.features[label], "names", None)
        names, labels = labels_of(str(folder), list(found[label]), declared)
    settings: dict[str, Any] = {"split": split, "scaled": SCALED}
    if names is not None:
        settings["classes"] = list(names)
    made = read_lazily(
        str(folder),
        Pictures(
            Cells(str(folder), len(found), lambda index: encoded[index][image]), parse_size(asked)
        ).read,
        labels,
        length=len(found),
        num_classes=None if names is None else len(names),
        settings=settings,
        lattice=LATTICE,
    )
    return replace(made, notes=notes)

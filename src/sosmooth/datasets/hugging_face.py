"""Images of a Hugging Face data set on disk."""

from __future__ import annotations

from pathlib import Path

from sosmooth._extras import needed
from sosmooth._spec_options import parse_options
from sosmooth.datasets._images import LATTICE, SCALED, SIZE_OPTIONS, Cells, Pictures, parse_size
from sosmooth.datasets.inputs import InputSet, read_lazily
from sosmooth.datasets.parquet import labels_of


def load(folder: Path, options: str = "") -> InputSet:
    """The images of a data set that `datasets.Dataset.save_to_disk` wrote: float32 (batch, channels, height, width) in [0, 1].

    Args:
        folder: of a `Dataset`, or of a `DatasetDict`.
        options: `split=NAME` (default: `test`, where there are several), `image=COLUMN` (default: `image`), `label=COLUMN`
            (default: `label`; unknown where there is none), `resize=256&crop=224` as for a folder of images.
    Raises:
        ModuleNotFoundError: no `datasets`.
        FileNotFoundError: no such folder.
        ValueError: no data set, no such split or column, images that `Pictures` refuses, labels that are no integers.
    """
    asked = parse_options(
        options, {"split": "test", "image": "COLUMN", "label": "COLUMN"} | SIZE_OPTIONS
    )
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {str(folder)!r}; give one that datasets.Dataset.save_to_disk wrote"
        )
    package = needed("datasets", extra="huggingface")
    try:
        found = package.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} is no data set that save_to_disk wrote ({' '.join(str(error).split())[:200]})"
        ) from error
    if isinstance(found, dict):
        split = asked.get("split", "test")
        if split not in found:
            raise ValueError(
                f"{folder} has no split {split!r}; it has {', '.join(found)}: write hf:{folder}?split=NAME"
            )
        found = found[split]
    image, label = asked.get("image", "image"), asked.get("label", "label")
    if image not in found.column_names or ("label" in asked and label not in found.column_names):
        raise ValueError(
            f"{folder} has the columns {', '.join(map(repr, found.column_names))}; write hf:{folder}?image=COLUMN&label=COLUMN"
        )
    encoded = found.cast_column(image, package.Image(decode=False))
    names = getattr(found.features.get(label), "names", None)
    settings = {"split": asked.get("split"), "scaled": SCALED}
    return read_lazily(
        str(folder),
        Pictures(
            Cells(str(folder), len(found), lambda index: encoded[index][image]), parse_size(asked)
        ).read,
        labels_of(str(folder), list(found[label])) if label in found.column_names else None,
        length=len(found),
        num_classes=None if names is None else len(names),
        settings=settings if names is None else settings | {"classes": names},
        lattice=LATTICE,
    )

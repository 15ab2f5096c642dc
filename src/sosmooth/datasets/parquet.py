"""Images in a Parquet file, as Hugging Face writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets._images import LATTICE, SCALED, SIZE_OPTIONS, Cells, Pictures, parse_size
from sosmooth.datasets.inputs import UNKNOWN_LABEL, InputSet, read_lazily


def load(path: Path, options: str = "") -> InputSet:
    """The encoded images of a column and the labels of another: float32 (batch, channels, height, width) in [0, 1].

    Args:
        path: the file. An image is binary, or a struct with the field `bytes`.
        options: `image=COLUMN` (default: `image`), `label=COLUMN` (default: `label`; labels are unknown where there is none),
            `resize=256&crop=224` as for a folder of images.
    Raises:
        FileNotFoundError: no such file.
        ValueError: no Parquet file, no such column, images without bytes or that `Pictures` refuses, labels that are no integers.
    """
    asked = parse_options(options, {"image": "COLUMN", "label": "COLUMN"} | SIZE_OPTIONS)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a Parquet file with the columns image and label"
        )
    image, label = asked.get("image", "image"), asked.get("label", "label")
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        names = file.schema_arrow.names
        if image not in names or ("label" in asked and label not in names):
            raise ValueError(
                f"{path} has the columns {', '.join(map(repr, names))}; name them: {path}?image=COLUMN&label=COLUMN"
            )
        if names.count(image) > 1 or names.count(label) > 1:
            raise ValueError(
                f"{path} has two columns of one name: {', '.join(map(repr, names))}; keep one of them"
            )
        table = file.read(
            columns=[name for name in (image, label) if name in names], use_threads=False
        )
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} is no whole Parquet file ({str(error).splitlines()[0]})"
        ) from error
    with _readable(path, label):
        labels = labels_of(str(path), table[label].to_pylist()) if label in names else None

    def cell(index: int) -> object:
        with _readable(path, image):
            return table[image][index].as_py()

    return read_lazily(
        str(path),
        Pictures(Cells(str(path), len(table), cell), parse_size(asked)).read,
        labels,
        length=len(table),
        num_classes=None,
        settings={"sha256": file_sha256(path), "scaled": SCALED},
        lattice=LATTICE,
    )


@contextmanager
def _readable(path: Path, column: str) -> Iterator[None]:
    """Refuse a column of a type whose values Python may not hold, as a time after the year 9999."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(
            f"{path}: the column {column!r} holds what cannot be read ({error}); name another one"
        ) from error


def labels_of(name: str, values: list[object]) -> list[int]:
    """The labels of a column, null as unknown.

    Raises:
        ValueError: a value that is no integer.
    """
    bad = [
        value
        for value in values
        if not (value is None or (isinstance(value, int) and not isinstance(value, bool)))
    ]
    if bad:
        raise ValueError(f"{name}: labels must be integers; got {bad[0]!r}")
    return [UNKNOWN_LABEL if value is None else value for value in values]  # pyright: ignore[reportReturnType]

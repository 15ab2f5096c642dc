"""Images in Parquet files, as Hugging Face writes them."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets._image_columns import chosen_columns, labels_of
from sosmooth.datasets._images import SIZE_OPTIONS, Cells, Pictures, parse_size
from sosmooth.datasets._pixels import LATTICE, SCALED
from sosmooth.datasets.inputs import InputSet, read_lazily

# Names of the files of a data set of the Hub: `test-00000-of-00002.parquet`.
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(-[0-9a-f]+)?")
_WILD = re.compile(r"[*?\[]")


def load(path: Path, options: str = "") -> InputSet:
    """The encoded images of one column and the labels of another.

    Inputs are float32 (batch, channels, height, width) in [0, 1]. An image is binary, or a struct
    with the field `bytes`.

    Args:
        path: a file, a pattern (`data/test-*.parquet`), or the folder of a data set of the Hub. The
            files of a split are read in the order of their names.
        options: `image=COLUMN` (default: `image`, or else the only column of images),
            `label=COLUMN` (default: `label`, or else the only column of classes; without one,
            labels are unknown), `split=NAME` of a folder (default: `test`, or the only split),
            `resize=256&crop=224` as for a folder of images.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no Parquet file, shards that are missing or differ, no such column or split,
            images without bytes or that `Pictures` refuses, labels that are neither integers nor
            names.
    """
    asked = parse_options(
        options, {"image": "COLUMN", "label": "COLUMN", "split": "test"} | SIZE_OPTIONS
    )
    files, split = _files(path, asked.get("split"))
    schema = _schema(files)
    features = _features(schema)
    image, label, notes = chosen_columns(
        str(path),
        schema.names,
        asked,
        images=[field.name for field in schema if _holds_images(field.type)],
        classes=[name for name, one in features.items() if one.get("_type") == "ClassLabel"],
    )
    wanted = [name for name in (image, label) if name is not None]
    table = _read(files, wanted)
    names, labels = None, None
    if label is not None:
        with _readable(path, label):
            values = table[label].to_pylist()
        names, labels = labels_of(str(path), values, _class_names(features.get(label)))

    def cell(index: int) -> object:
        with _readable(path, image):
            return table[image][index].as_py()

    settings: dict[str, Any] = {"sha256": _digest(files), "scaled": SCALED}
    if split is not None:
        settings |= {"split": split, "files": [file.name for file in files]}
    if names is not None:
        settings["classes"] = list(names)
    made = read_lazily(
        str(path),
        Pictures(Cells(str(path), len(table), cell), parse_size(asked)).read,
        labels,
        length=len(table),
        num_classes=None if names is None else len(names),
        settings=settings,
        lattice=LATTICE,
    )
    return replace(made, notes=notes)


def splits_of(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of a folder and its subfolders, by split, each in order.

    A split is named by what comes before `-00000-of-00002`, or by the folder of the files, or else
    by the name of a file.

    Args:
        folder: of a data set of the Hub.
    """
    splits: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        inside = file.parent.name if file.parent not in (folder, folder / "data") else file.stem
        shard = _SHARD.fullmatch(file.stem)
        splits.setdefault(shard[1] if shard else inside, []).append(file)
    return splits


def _files(path: Path, asked: str | None) -> tuple[list[Path], str | None]:
    """The files to read, and their split."""
    if path.is_dir():
        splits = splits_of(path)
        split = asked or (next(iter(splits)) if len(splits) == 1 else "test")
        if not splits:
            raise FileNotFoundError(f"{path} holds no Parquet files; give one, or a folder of them")
        if split not in splits:
            raise ValueError(
                f"{path} has no split {split!r}; it has {', '.join(splits)}: write"
                f" {path}?split=NAME"
            )
        _check_shards(path, splits[split])
        return splits[split], split
    if asked is not None:
        raise ValueError(f"{path} is not a folder, so it has no splits; leave split= out")
    if path.is_file():
        return [path], None
    if _WILD.search(str(path)) and (found := sorted(map(Path, glob.glob(str(path))))):
        _check_shards(path, found)
        return found, None
    raise FileNotFoundError(
        f"no file {str(path)!r}; give the path of a Parquet file with the columns image and label,"
        " or of a folder of such files"
    )


def _check_shards(path: Path, files: list[Path]) -> None:
    """Refuse a set of shards that is incomplete, by the number in their names."""
    shards = [_SHARD.fullmatch(file.stem) for file in files]
    numbers = [(int(shard[2]), int(shard[3])) for shard in shards if shard]
    if not numbers:
        return
    count = numbers[0][1]
    if len(numbers) < len(files) or numbers != [(number, count) for number in range(count)]:
        raise ValueError(
            f"{path}: there should be {count} shards, and there are {len(files)} files"
            f" ({', '.join(file.name for file in files[:5])}); all shards of one configuration are"
            " needed, each once: get the others, or give a folder or pattern that holds just these"
        )


def _digest(files: list[Path]) -> str:
    """sha256 of the file, or of the digests of several."""
    digests = [file_sha256(file) for file in files]
    return digests[0] if len(files) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _schema(files: list[Path]) -> pa.Schema:
    """The columns of the first file; those that are read must be the same in all."""
    with _whole(files[0]):
        return pq.ParquetFile(files[0], pre_buffer=False).schema_arrow


def _read(files: list[Path], columns: list[str]) -> pa.Table:
    tables = []
    for file in files:
        with _whole(file):
            opened = pq.ParquetFile(file, pre_buffer=False)
            if lacking := set(columns) - set(opened.schema_arrow.names):
                raise ValueError(f"{file} lacks the column {min(lacking)!r} of {files[0]}")
            # The metadata of pandas and datasets may differ; that of the first file is used.
            table = opened.read(columns=columns, use_threads=False).select(columns)
            tables.append(table.replace_schema_metadata())
    with _whole(files[-1]):
        return pa.concat_tables(tables)


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{file} is not a complete Parquet file ({str(error).splitlines()[0]})"
        ) from error


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What Hugging Face wrote about the columns into the file, by name; empty if it did not."""
    try:
        stored = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {
        name: one for name, one in stored.items() if isinstance(one, dict) and name in schema.names
    }


def _class_names(feature: dict[str, Any] | None) -> list[str] | None:
    names = (feature or {}).get("names")
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        return None
    return names


@contextmanager
def _readable(path: Path, column: str) -> Iterator[None]:
    """Refuse values that Python cannot hold, as a time after the year 9999."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(
            f"{path}: the column {column!r} holds values that cannot be read ({error}); name"
            " another column"
        ) from error

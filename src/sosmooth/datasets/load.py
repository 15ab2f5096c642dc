"""The one way from what a user writes to an input set.

To add a data set, write one file with `load(split)` and a row in `DATASETS`, with
`load(folder, split)` and a row in `FOLDER_DATASETS`, or with `load(path, options)` and a row in
`FILE_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sosmooth._objects import is_module, is_object_spec
from sosmooth._spec_options import split_options
from sosmooth.datasets import (
    cifar10,
    cifar100,
    factory,
    mnist,
    mnist7,
    mnist7_pca10,
    npz,
    swiss_roll,
)
from sosmooth.datasets.inputs import InputSet

#: The bundled data sets: split → inputs. Written `name` (the test split) or `name:split`.
DATASETS: dict[str, Callable[[str], InputSet]] = {
    "mnist7": mnist7.load,
    "mnist7_pca10": mnist7_pca10.load,
    "swiss_roll": swiss_roll.load,
}
#: Data sets that are read from their standard files: folder, split → inputs. Written `name:FOLDER`
#: (the test split) or `name:split:FOLDER`.
FOLDER_DATASETS: dict[str, Callable[[Path, str], InputSet]] = {
    "mnist": mnist.load,
    "cifar10": cifar10.load,
    "cifar100": cifar100.load,
}
#: Formats of files: name → module with `load(path, options)`, imported when it is needed. Written
#: `name:PATH` or `name:PATH?option=value&option=value`.
FILE_KINDS = {"csv": "table", "parquet": "parquet", "hf": "hugging_face", "text": "text"}
# Formats that the suffix of a file tells, so that their name need not be written.
_BY_SUFFIX = {".csv": "csv", ".parquet": "parquet"}
_ARRAYS = (".npz", ".npy")
_SPLITS = ("test", "train")


def load_dataset(spec: str) -> InputSet:
    """The inputs that `spec` names.

    Args:
        spec: one of the following.

            - `mnist7`, `mnist7_pca10` or `swiss_roll`, with `:train` for the other split.
            - `mnist:FOLDER`, `cifar10:FOLDER` or `cifar100:FOLDER`, with the split in front of the
              folder: `cifar10:train:FOLDER`.
            - A `.npz` or `.npy` file.
            - A folder of images, with `?resize=256&crop=224` to bring them to one size.
            - `FILE.csv`, `FILE.parquet`, or with their format `csv:FILE`, `parquet:FILE`,
              `hf:FOLDER` and `text:FILE?model=FOLDER`; their modules describe their options.
            - `package.module:factory` or `path/file.py:factory`, which run that code.

    Returns:
        An input set, with values float32 in units of sigma.

    Raises:
        FileNotFoundError: a file, folder or module does not exist.
        ValueError: `spec` names nothing that can be read, or something broken.
    """
    spec = _with_format(spec)
    name, _, rest = spec.partition(":")
    if name in DATASETS:
        return DATASETS[name](rest or "test")
    if name in FOLDER_DATASETS:
        return _load_from_folder(name, rest)
    if name in FILE_KINDS:
        place, options = split_options(rest)
        loaded = import_module(f"sosmooth.datasets.{FILE_KINDS[name]}").load(Path(place), options)
        return replace(loaded, settings=loaded.settings | {"spec": spec})
    path = Path(spec)
    place, options = split_options(spec)
    if Path(place).suffix in _ARRAYS:
        return npz.load(Path(place), options)
    if options or path.is_dir():
        from sosmooth.datasets import image_folder  # Pillow

        if path.is_dir() and _holds_a_table(path):
            raise ValueError(
                f"{spec} holds Parquet files or what save_to_disk wrote; write parquet:{spec} or"
                f" hf:{spec}"
            )
        return image_folder.load(Path(place), options)
    if _names_code(spec, name):
        return factory.load(spec)
    if path.is_file():
        raise ValueError(
            f"cannot read the file {spec!r} as data; files must be .csv, .parquet, .npz, with the"
            f" arrays inputs and labels, or .npy; for another suffix, write csv:{spec},"
            f" parquet:{spec} or text:{spec}"
        )
    raise FileNotFoundError(
        f"no data set {spec!r}; write {', '.join(DATASETS)},"
        f" {', '.join(f'{each}:FOLDER' for each in FOLDER_DATASETS)},"
        f" {', '.join(f'{each}:PATH' for each in FILE_KINDS)}, the path of a .csv, .parquet or"
        " .npz file or of a folder of images, package.module:factory or path/file.py:factory"
    )


def _with_format(spec: str) -> str:
    """`csv:FILE.csv` for `FILE.csv`, and alike, so that both name the same data."""
    place, _ = split_options(spec)
    kind = _BY_SUFFIX.get(Path(place).suffix.lower())
    known = kind is None or place.partition(":")[0] in (*FOLDER_DATASETS, *FILE_KINDS)
    return spec if known else f"{kind}:{spec}"


def _holds_a_table(folder: Path) -> bool:
    """Whether a folder is a data set of the Hub and not a folder of images."""
    saved = any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))
    return saved or any(folder.glob("*.parquet")) or any(folder.glob("data/*.parquet"))


def runs_code(spec: str) -> bool:
    """Whether loading a data set can run code of a file or module.

    Args:
        spec: as for `load_dataset`.
    """
    known = (*DATASETS, *FOLDER_DATASETS, *FILE_KINDS)
    return is_object_spec(spec) and spec.partition(":")[0] not in known


def _names_code(spec: str, source: str) -> bool:
    """Whether `spec` names an object of a Python file or module, and not an unknown format."""
    return is_object_spec(spec) and ("." in source or is_module(source))


def _load_from_folder(name: str, rest: str) -> InputSet:
    split, colon, folder = rest.partition(":")
    if not (colon and split in _SPLITS):
        split, folder = "test", rest
    if not folder:
        from sosmooth.datasets.download import SOURCES

        get = f"; sosmooth download {name} gets them" if name in SOURCES else ""
        raise FileNotFoundError(f"{name} is read from its standard files; write {name}:FOLDER{get}")
    return FOLDER_DATASETS[name](Path(folder), split)

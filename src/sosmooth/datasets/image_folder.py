"""Images in a folder: a subfolder for each class, flat with `labels.csv`, or as Tiny ImageNet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._spec_options import parse_options
from sosmooth.datasets._csv import read_csv
from sosmooth.datasets._images import SIZE_OPTIONS, Pictures, parse_size
from sosmooth.datasets._pixels import LATTICE, SCALED
from sosmooth.datasets.inputs import InputSet, read_lazily
from sosmooth.datasets.labels import listed, numbered, whole_number

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"}
#: The files of labels: of a flat folder, and of Tiny ImageNet.
LABELS, ANNOTATIONS = "labels.csv", "val_annotations.txt"
# Files and folders that systems and Python leave behind, beside the hidden ones.
_NOT_OURS = {"__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini"}


def load(folder: Path, options: str = "") -> InputSet:
    """The images of a folder, in the sorted order of their names.

    Inputs are float32 (batch, channels, height, width) in [0, 1]: one channel if all images are
    grey, else three. The folder has one of these layouts:

    - `folder/<class name>/<image>`: a class is the position of its name among the sorted names, or,
      if all names are whole numbers, that number.
    - `folder/<image>` with `folder/labels.csv` (columns `file,label`; labels are numbers, −1 =
      unknown, or names). Without that file, labels are unknown.
    - `folder/images/<image>` with `folder/val_annotations.txt`: the validation part of Tiny
      ImageNet.

    Hidden files and folders do not count. Images are read when they are needed; their sizes are
    checked at once. With a crop, images may have any size: all of them are read as colour, and each
    is checked when it is read.

    Args:
        folder: holds images (png, jpg, bmp, webp, ppm, pgm) of one size.
        options: empty, `crop=224` or `resize=256&crop=224`: the shorter side is scaled to `resize`
            pixels (bilinear, antialiased, the longer side rounded down), then the middle square of
            `crop` pixels is cut out, the usual preparation of ImageNet.

    Raises:
        FileNotFoundError: no such folder, no images, a file in `labels.csv` that does not exist.
        ValueError: a class folder without images, files that are no images, other kinds of pixels,
            several sizes, a broken `labels.csv`, other options; from `get`: an image smaller than
            the crop.
    """
    size = parse_size(parse_options(options, SIZE_OPTIONS))
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}; give one that holds images")
    files, labels, names, notes = _found(folder)
    pictures = Pictures([(str(path), path) for path in files], size)
    listing = hashlib.sha256()
    for path, label in zip(files, labels.tolist(), strict=True):
        listing.update(
            f"{path.relative_to(folder).as_posix()}\t{path.stat().st_size}\t{label}\n".encode()
        )
    settings: dict[str, Any] = {
        "spec": f"{folder}?{options}" if options else str(folder),
        "listing_sha256": listing.hexdigest(),
        "mode": pictures.mode,
        "scaled": SCALED,
    }
    if names is not None:
        settings["classes"] = list(names)
    made = read_lazily(
        str(folder),
        pictures.read,
        labels,
        length=len(files),
        num_classes=None if names is None else len(names),
        settings=settings,
        lattice=LATTICE,
    )
    return replace(made, notes=notes)


_Found = tuple[list[Path], NDArray[np.int64], tuple[str, ...] | None, tuple[str, ...]]


def _found(folder: Path) -> _Found:
    """The images, their labels, the names of the classes, and notes for the user."""
    entries = _visible(folder)
    flat = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in _SUFFIXES]
    folders = [entry for entry in entries if entry.is_dir()]
    holding = [entry for entry in folders if _images(entry)]
    if flat and holding:
        raise ValueError(
            f"{folder} holds images beside folders of images; put all images into folders, one for"
            " each class"
        )
    if (folder / ANNOTATIONS).is_file():
        place = holding[0] if len(holding) == 1 else folder
        images = _images(place)
        written = _annotations(folder / ANNOTATIONS, images)
        return images, *_numbered(folder / ANNOTATIONS, written), _not_read([place])
    if not flat and not holding:
        raise FileNotFoundError(
            f"{folder} holds no images; allowed are {', '.join(sorted(_SUFFIXES))}"
            f"{_with_reasons([folder, *folders])}"
        )
    if flat:
        written, notes = _labels_file(folder, flat)
        return flat, *_numbered(folder / LABELS, written), (*_not_read([folder]), *notes)
    if empty := [entry for entry in folders if entry not in holding]:
        raise ValueError(
            f"{folder}: the class folder {empty[0].name!r} holds no image"
            f"{_with_reasons(empty)}; without it the later classes would get other numbers:"
            " put images into it, or give labels in labels.csv"
            + (f" (so do {listed([entry.name for entry in empty[1:]])})" if empty[1:] else "")
        )
    numbers, names = _classes(folder, [entry.name for entry in holding])
    files, labels = [], []
    for number, entry in zip(numbers, holding, strict=True):
        files += _images(entry)
        labels += [number] * len(_images(entry))
    return files, np.array(labels, dtype=np.int64), names, _not_read(holding)


def _classes(folder: Path, names: list[str]) -> tuple[list[int], tuple[str, ...] | None]:
    """The number of each class folder, and the names; none where the folders are numbers."""
    if not all(name.isascii() and name.isdecimal() for name in names):
        return list(range(len(names))), tuple(names)
    numbers = [number for name in names if (number := whole_number(name)) is not None]
    if len(set(numbers)) < len(names):
        raise ValueError(
            f"{folder} has two class folders with the same number among {listed(names)}; keep one"
            " of them"
        )
    return numbers, None


def _visible(folder: Path) -> list[Path]:
    """The entries of a folder that are not hidden, sorted."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name not in _NOT_OURS
    )


def _images(folder: Path) -> list[Path]:
    return [
        path for path in _visible(folder) if path.suffix.lower() in _SUFFIXES and path.is_file()
    ]


def _suffixes_not_read(folders: list[Path]) -> list[str]:
    """The suffixes of files that are neither images nor labels."""
    return sorted(
        {
            path.suffix.lower() or path.name
            for folder in folders
            for path in _visible(folder)
            if path.is_file()
            and path.suffix.lower() not in _SUFFIXES
            and path.name not in (LABELS, ANNOTATIONS)
        }
    )


def _not_read(folders: list[Path]) -> tuple[str, ...]:
    suffixes = _suffixes_not_read(folders)
    if not suffixes:
        return ()
    return (
        f"{folders[0] if len(folders) == 1 else folders[0].parent}: files of kind"
        f" {', '.join(suffixes)} are not read; images must be {', '.join(sorted(_SUFFIXES))}",
    )


def _with_reasons(folders: list[Path]) -> str:
    """Why the folders hold no images, in brackets."""
    reasons = []
    if suffixes := _suffixes_not_read(folders):
        reasons.append(f"files of kind {', '.join(suffixes)} are not read")
    deeper = [each for folder in folders for each in _visible(folder) if each.is_dir()]
    if any(_images(each) for each in deeper):
        reasons.append("there are images one folder deeper")
    return f" ({'; '.join(reasons)})" if reasons else ""


def _numbered(
    path: Path, written: list[str | None]
) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    try:
        names, labels = numbered(written)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return labels, names


def _labels_file(folder: Path, images: list[Path]) -> tuple[list[str | None], tuple[str, ...]]:
    """The labels of a flat folder as they are written, and notes for the user."""
    path = folder / LABELS
    if not path.is_file():
        note = f"{folder} has no {LABELS} (columns file,label): labels are unknown"
        return [None] * len(images), (note,)
    table = read_csv(path, needed=["file", "label"])
    numbers = [number for number, _ in table.lines]
    lines = zip(numbers, table.column("file"), table.column("label"), strict=True)
    return _label_of_each(path, images, lines), ()


def _annotations(path: Path, images: list[Path]) -> list[str | None]:
    """The labels of Tiny ImageNet: file, class and a box in each line, separated by tabs."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return _label_of_each(
        path,
        images,
        (
            (number, line[0], line[1] if len(line) > 1 else None)
            for number, line in enumerate(lines, 1)
            if line != [""]
        ),
    )


def _label_of_each(
    path: Path, images: list[Path], lines: Iterable[tuple[int, str, str | None]]
) -> list[str | None]:
    labels: dict[str, str] = {}
    for number, file, label in lines:
        if not label:
            raise ValueError(
                f"{path}: line {number}: the label of {file!r} is missing; write −1 if it is"
                " unknown"
            )
        if file in labels:
            raise ValueError(f"{path}: line {number} lists {file!r} twice; keep one line")
        labels[file] = label
    there = {image.name for image in images}
    if missing := sorted(labels.keys() - there):
        raise FileNotFoundError(
            f"{path} names {missing[0]!r}, which is not among the folder's images"
        )
    if unlisted := sorted(there - labels.keys()):
        raise ValueError(
            f"{path} does not name {unlisted[0]!r}; add the line, with label −1 if it is unknown"
        )
    return [labels[image.name] for image in images]

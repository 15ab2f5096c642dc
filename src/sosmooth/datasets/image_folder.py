"""Images in a folder: one subfolder a class, or flat with `labels.csv`."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sosmooth.datasets.inputs import UNKNOWN_LABEL, InputSet, read_lazily

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"}
_GREY_MODES = {"1", "L"}
_COLOUR_MODES = {"RGB", "P", "CMYK", "YCbCr"}


def load(folder: Path) -> InputSet:
    """The images of a folder, in the sorted order of their names: float32 (batch, channels, height, width) in [0, 1].

    `folder/<class name>/<image>`: a class is the place of its name among the sorted names. `folder/<image>` with
    `folder/labels.csv` (columns `file,label`, −1 = unknown), or without it: labels unknown. One channel if all images are
    grey, else three. The images are read when they are asked for; their sizes are checked at once.

    Args:
        folder: holds images (png, jpg, bmp, webp, ppm, pgm) of one size.
    Raises:
        FileNotFoundError: no such folder, no images, a file of `labels.csv` that is not there.
        ValueError: files that are no images, other kinds of pixels, several sizes, a broken `labels.csv`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}; give one that holds images")
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and _images(entry))
    flat = _images(folder)
    if classes and flat:
        raise ValueError(f"{folder} holds images beside folders of images; put all of them into folders, one a class")
    if classes:
        files = [(path, label) for label, name in enumerate(classes) for path in _images(folder / name)]
    else:
        labels = _labels_file(folder, flat)
        files = [(path, labels[path.name]) for path in flat]
    if not files:
        raise FileNotFoundError(f"{folder} holds no images; allowed are {', '.join(sorted(_SUFFIXES))}")

    paths = [path for path, _ in files]
    mode = "L" if _modes(paths) <= _GREY_MODES else "RGB"
    listing = hashlib.sha256()
    for path, label in files:
        listing.update(f"{path.relative_to(folder).as_posix()}\t{path.stat().st_size}\t{label}\n".encode())
    return read_lazily(
        str(folder),
        lambda index: _read(paths[index], mode),
        [label for _, label in files],
        length=len(files),
        num_classes=len(classes) or None,
        settings={"spec": str(folder), "listing_sha256": listing.hexdigest(), "mode": mode, "scaled": "uint8 / 255"},
    )


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())


def _labels_file(folder: Path, images: list[Path]) -> dict[str, int]:
    path = folder / "labels.csv"
    if not path.is_file():
        return {image.name: UNKNOWN_LABEL for image in images}
    labels: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path}: the first line must name the columns file,label; got {rows.fieldnames}")
        for row in rows:
            try:
                label = int(row["label"])
            except (TypeError, ValueError):
                raise ValueError(f"{path}: line {rows.line_num}: the label must be an integer; got {row['label']!r}") from None
            if row["file"] in labels:
                raise ValueError(f"{path}: line {rows.line_num}: {row['file']!r} is there twice; keep one line")
            labels[row["file"]] = label
    there = {image.name for image in images}
    if missing := sorted(labels.keys() - there):
        raise FileNotFoundError(f"{path} names {missing[0]!r}, which is not among the folder's images")
    if unlisted := sorted(there - labels.keys()):
        raise ValueError(f"{path} does not name {unlisted[0]!r}; add the line, with label −1 if it is unknown")
    return labels


def _modes(paths: list[Path]) -> set[str]:
    """The kinds of pixels, from the files' headers; all sizes must be the same."""
    modes: set[str] = set()
    size = None
    for path in paths:
        with _opened(path) as image:
            if image.mode not in _GREY_MODES | _COLOUR_MODES:
                raise ValueError(f"{path}: pixels of kind {image.mode}; save it as 8-bit grey or RGB, without transparency")
            if size is not None and image.size != size:
                raise ValueError(f"{path} is {image.size} pixels, {paths[0]} {size}; bring all to one size")
            size = image.size
            modes.add(image.mode)
    return modes


def _read(path: Path, mode: str) -> NDArray[np.float32]:
    with _opened(path) as image:
        try:
            pixels = np.asarray(image.convert(mode))
        except OSError as error:
            raise ValueError(f"{path} cannot be decoded ({error}); replace it") from error
    channels_last = pixels.reshape(*pixels.shape[:2], -1)
    return channels_last.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except OSError as error:
        raise ValueError(f"{path} is no readable image ({error}); remove or replace it") from error

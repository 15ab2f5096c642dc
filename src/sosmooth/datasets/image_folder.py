"""Images in a folder: one subfolder a class, or flat with `labels.csv`."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from sosmooth._spec_options import parse_options
from sosmooth.datasets._images import LATTICE, SCALED, SIZE_OPTIONS, Pictures, parse_size
from sosmooth.datasets.inputs import UNKNOWN_LABEL, InputSet, read_lazily

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"}


def load(folder: Path, options: str = "") -> InputSet:
    """The images of a folder, in the sorted order of their names: float32 (batch, channels, height, width) in [0, 1].

    `folder/<class name>/<image>`: a class is the place of its name among the sorted names. `folder/<image>` with
    `folder/labels.csv` (columns `file,label`, −1 = unknown), or without it: labels unknown. One channel if all images are
    grey, else three. The images are read when they are asked for; their sizes are checked at once. With a crop they come out
    alike whatever their sizes: then all become colour, and each is checked when it is read.

    Args:
        folder: holds images (png, jpg, bmp, webp, ppm, pgm) of one size.
        options: empty, `crop=224` or `resize=256&crop=224`: the shorter side is scaled to `resize` pixels (bilinear, antialiased,
            the longer rounded down), then the middle square of `crop` pixels cut out, the usual preparation of ImageNet.
    Raises:
        FileNotFoundError: no such folder, no images, a file of `labels.csv` that is not there.
        ValueError: files that are no images, other kinds of pixels, several sizes, a broken `labels.csv`, other options, from
            `get`: an image smaller than the crop.
    """
    size = parse_size(parse_options(options, SIZE_OPTIONS))
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}; give one that holds images")
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and _images(entry))
    flat = _images(folder)
    if classes and flat:
        raise ValueError(
            f"{folder} holds images beside folders of images; put all of them into folders, one a class"
        )
    if classes:
        files = [
            (path, label) for label, name in enumerate(classes) for path in _images(folder / name)
        ]
    else:
        labels = _labels_file(folder, flat)
        files = [(path, labels[path.name]) for path in flat]
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no images; allowed are {', '.join(sorted(_SUFFIXES))}"
        )

    pictures = Pictures([(str(path), path) for path, _ in files], size)
    listing = hashlib.sha256()
    for path, label in files:
        listing.update(
            f"{path.relative_to(folder).as_posix()}\t{path.stat().st_size}\t{label}\n".encode()
        )
    return read_lazily(
        str(folder),
        pictures.read,
        [label for _, label in files],
        length=len(files),
        num_classes=len(classes) or None,
        settings={
            "spec": f"{folder}?{options}" if options else str(folder),
            "listing_sha256": listing.hexdigest(),
            "mode": pictures.mode,
            "scaled": SCALED,
        },
        lattice=LATTICE,
    )


def _images(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()
    )


def _labels_file(folder: Path, images: list[Path]) -> dict[str, int]:
    path = folder / "labels.csv"
    if not path.is_file():
        return {image.name: UNKNOWN_LABEL for image in images}
    labels: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            raise ValueError(
                f"{path}: the first line must name the columns file,label; got {rows.fieldnames}"
            )
        for row in rows:
            try:
                label = int(row["label"])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}: line {rows.line_num}: the label must be an integer; got {row['label']!r}"
                ) from None
            if row["file"] in labels:
                raise ValueError(
                    f"{path}: line {rows.line_num}: {row['file']!r} is there twice; keep one line"
                )
            labels[row["file"]] = label
    there = {image.name for image in images}
    if missing := sorted(labels.keys() - there):
        raise FileNotFoundError(
            f"{path} names {missing[0]!r}, which is not among the folder's images"
        )
    if unlisted := sorted(there - labels.keys()):
        raise ValueError(
            f"{path} does not name {unlisted[0]!r}; add the line, with label −1 if it is unknown"
        )
    return labels

"""The numbers of the paper's histograms, from the logs that its authors published.

`published.csv` holds one row for each histogram of Figures 2 and 5–13. The logs print radii to
three significant digits, rounded to nearest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sosmooth.report.relative_change import BINS


@dataclass(frozen=True)
class PublishedHistogram:
    """One histogram of the paper: how a method changed the radii of first order.

    Attributes:
        numbers: of the figures that show it, as "6" and "12".
        data: a key of `paper.SOURCES`.
        sigma: noise level, input units.
        n: estimation samples per image, evaluations.
        method: a key of `METHODS`.
        images: number of images, certified or not.
        counts: images in each of `BINS`; those certified by neither method are in none.
        acr_baseline: average certified radius of first order, input units.
        acr_method: average certified radius of the method, input units.
    """

    numbers: tuple[str, ...]
    data: str
    sigma: float
    n: int
    method: str
    images: int
    counts: Mapping[str, int]
    acr_baseline: float
    acr_method: float


@cache
def published_histograms() -> tuple[PublishedHistogram, ...]:
    """All histograms, in the order of the file.

    Source:
        Levine et al. 2020, Figures 2 and 5–13, and the logs published with them.
    """
    text = (
        resources.files("sosmooth.experiments")
        .joinpath("published.csv")
        .read_text(encoding="utf-8")
    )
    return tuple(
        PublishedHistogram(
            numbers=tuple(row["figure"].split(" and ")),
            data=row["dataset"],
            sigma=float(row["sigma"]),
            n=int(row["n"]),
            method=row["method"],
            images=int(row["images"]),
            counts={name: int(row[name]) for name in BINS},
            acr_baseline=float(row["acr_baseline"]),
            acr_method=float(row["acr_method"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    )

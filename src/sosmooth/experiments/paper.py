"""The table of the paper's figures: the contents, data, sigmas, n and methods of each.

To add a figure, add a row to `FIGURES`. Its sigmas, sample sizes, methods and numbers are the rows
of `published.csv` with its number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sosmooth.experiments.published import PublishedHistogram, published_histograms

#: Scales, from two minutes to weeks. With bundled data and two cores, `smoke` ends within two
#: minutes and `day` overnight.
SCALES = ("smoke", "day", "paper")
#: Selection samples and failure probability of every sampled figure.
N0, ALPHA = 100, 0.001
#: First order and each method have separate samples, as published (appendix B).
SEEDS = {"first_order": 0, "second_order": 1, "dipole": 2}


class Drawing(StrEnum):
    """How a figure is drawn."""

    POPULATION = "population"  # exact, from the theorems alone
    HISTOGRAMS = "histograms"  # relative change of the certified radius
    CURVES = "curves"  # certified accuracy against the radius
    SWISS_ROLL = "swiss_roll"  # points in the plane with their certified discs


@dataclass(frozen=True)
class Effort:
    """The size of a run that replaces a published one at some scale.

    Attributes:
        n: estimation samples per image, evaluations.
        images: number of images.
    """

    n: int
    images: int


@dataclass(frozen=True)
class Source:
    """A data set of the paper and the classifier on it.

    Attributes:
        name: as the paper writes it.
        bundled: whether the package contains data and classifiers of that key.
        classifier: the paper's, in words.
        architecture: as weights files name it; None: that of the bundled file.
        inputs: size of the test set, from which images are chosen at even distances.
        efforts: scale → published n → the run that replaces it. A published n that is missing is
            left out at that scale. The scale `paper` is what was published.
        home: where to get data and weights; empty where bundled.
    """

    name: str
    bundled: bool
    classifier: str
    architecture: str | None
    inputs: int
    efforts: Mapping[str, Mapping[int, Effort]]
    home: str = ""


_MNIST_EFFORTS = {
    "smoke": {10**5: Effort(10**5, 50)},
    "day": {
        10**5: Effort(10**5, 1000),
        10**6: Effort(10**6, 1000),
        10**7: Effort(10**7, 200),
        10**8: Effort(10**8, 20),
    },
}

SOURCES: dict[str, Source] = {
    "swiss_roll": Source(
        "Swiss roll",
        True,
        "a network of 2-10-10-2 units",
        None,
        100,
        {"smoke": {10**8: Effort(4 * 10**5, 100)}, "day": {10**8: Effort(10**7, 100)}},
    ),
    "mnist7": Source(
        "7×7 MNIST", True, "a small convolutional network", None, 10_000, _MNIST_EFFORTS
    ),
    "mnist7_pca10": Source(
        "10 PC MNIST", True, "a network of three layers", None, 10_000, _MNIST_EFFORTS
    ),
    "cifar10": Source(
        "CIFAR-10",
        False,
        "ResNet-110 of Cohen et al. 2019",
        "resnet110",
        10_000,
        {"smoke": {10**5: Effort(1000, 5)}, "day": {10**5: Effort(20_000, 20)}},
        home="get the data from https://www.cs.toronto.edu/~kriz/cifar.html (`sosmooth download"
        " cifar10 --out FOLDER`) and give data=cifar10:FOLDER; train the weights with `sosmooth"
        " train cifar10 --architecture resnet110 --sigma {sigma} --data FOLDER`",
    ),
    "imagenet": Source(
        "ImageNet",
        False,
        "ResNet-50 of Cohen et al. 2019",
        "resnet50",
        50_000,
        {"smoke": {10**5: Effort(200, 2)}, "day": {10**5: Effort(2000, 20)}},
        home="get the validation images from https://image-net.org and give data=FOLDER, with one"
        " folder a class; the weights are FILE.safetensors of a ResNet-50 trained with noise of"
        " sigma {sigma}",
    ),
}


@dataclass(frozen=True)
class Figure:
    """One figure of the paper.

    Attributes:
        shows: the contents, in words.
        drawing: how it is drawn.
        number: of its rows in `published.csv`; empty for population figures.
    """

    shows: str
    drawing: Drawing
    number: str = ""

    @property
    def published(self) -> list[PublishedHistogram]:
        """The published runs that it shows, panel after panel."""
        rows = [row for row in published_histograms() if self.number in row.numbers]
        order = list(SOURCES), list(SEEDS)
        return sorted(
            rows,
            key=lambda row: (
                order[0].index(row.data),
                row.sigma,
                row.n,
                order[1].index(row.method),
            ),
        )

    @property
    def data(self) -> list[str]:
        """Keys of `SOURCES`, in the order of its panels."""
        return list(dict.fromkeys(row.data for row in self.published))


_CHANGE = "Change of certified radii from first order:"
_ACCURACY = "Certified accuracy against the radius:"

FIGURES: dict[str, Figure] = {
    "fig1a": Figure(
        "Lower bound of p(x′) against the distance at p = 0.8, with and without the gradient",
        Drawing.POPULATION,
    ),
    "fig1b": Figure("Certified radius against p for several gradient norms", Drawing.POPULATION),
    "fig2": Figure(
        "Swiss roll: certified discs of first order and what second order adds",
        Drawing.SWISS_ROLL,
        "2",
    ),
    "fig3": Figure(
        "Worst base classifiers for the same p at three gradient norms", Drawing.POPULATION
    ),
    "fig4a": Figure(
        "Second-order radius: population, and with the bounds from 1e8 samples",
        Drawing.POPULATION,
    ),
    "fig4b": Figure("Worst base classifier for dipoles", Drawing.POPULATION),
    "fig5": Figure(f"{_CHANGE} 7×7 MNIST, sigma 0.25", Drawing.HISTOGRAMS, "5"),
    "fig6": Figure(f"{_CHANGE} CIFAR-10 and ImageNet, sigma 0.25", Drawing.HISTOGRAMS, "6"),
    "fig7": Figure(f"{_CHANGE} 7×7 MNIST, sigma 0.12", Drawing.HISTOGRAMS, "7"),
    "fig8": Figure(f"{_CHANGE} 7×7 MNIST, sigma 0.50", Drawing.HISTOGRAMS, "8"),
    "fig9": Figure(f"{_CHANGE} 10 principal components, sigma 0.12", Drawing.HISTOGRAMS, "9"),
    "fig10": Figure(f"{_CHANGE} 10 principal components, sigma 0.25", Drawing.HISTOGRAMS, "10"),
    "fig11": Figure(f"{_CHANGE} 10 principal components, sigma 0.50", Drawing.HISTOGRAMS, "11"),
    "fig12": Figure(f"{_CHANGE} CIFAR-10, four sigmas", Drawing.HISTOGRAMS, "12"),
    "fig13": Figure(f"{_CHANGE} ImageNet, three sigmas", Drawing.HISTOGRAMS, "13"),
    "fig14": Figure(f"{_ACCURACY} 7×7 MNIST, sigma 0.25", Drawing.CURVES, "5"),
    "fig15": Figure(f"{_ACCURACY} CIFAR-10 and ImageNet, sigma 0.25", Drawing.CURVES, "6"),
}


def figure_named(name: str) -> Figure:
    """The figure of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in FIGURES:
        raise ValueError(f"no figure {name!r}; there are: {', '.join(FIGURES)}")
    return FIGURES[name]


@dataclass(frozen=True)
class Panel:
    """One panel of a sampled figure.

    Attributes:
        published: the published run.
        effort: the size of the run that replaces it here.
    """

    published: PublishedHistogram
    effort: Effort


def panels_of(figure: Figure, scale: str, efforts: Sequence[Effort] | None = None) -> list[Panel]:
    """The panels of a figure at a scale.

    Args:
        figure: a sampled figure.
        scale: one of `SCALES`.
        efforts: used instead of the scale's; each replaces the published n that is nearest in
            ratio.

    Raises:
        ValueError: the scale is unknown, or two efforts replace the same published n.
    """
    if scale not in SCALES:
        raise ValueError(f"no scale {scale!r}; there are: {', '.join(SCALES)}")
    return [
        Panel(row, found[row.n])
        for row in figure.published
        if row.n
        in (found := _efforts(row, scale) if efforts is None else _standing_for(figure, efforts))
    ]


def _efforts(row: PublishedHistogram, scale: str) -> Mapping[int, Effort]:
    """Published n → the effort at this scale, for the data of this row."""
    return (
        {row.n: Effort(row.n, row.images)} if scale == "paper" else SOURCES[row.data].efforts[scale]
    )


def _standing_for(figure: Figure, efforts: Sequence[Effort]) -> dict[int, Effort]:
    """Published n → the effort that replaces it."""
    known = sorted({row.n for row in figure.published})
    found = (
        {min(known, key=lambda n: abs(math.log(n / effort.n))): effort for effort in efforts}
        if known
        else {}
    )
    if known and len(found) < len(efforts):
        raise ValueError(
            "each of the efforts must be nearest to another published n, of"
            f" {', '.join(map(str, known))}; two are nearest to the same"
        )
    return found


def chosen_images(count: int, images: int) -> list[int]:
    """Indices of images at even distances, beginning with the first.

    Args:
        count: inputs of the data set.
        images: how many to choose; all where there are fewer inputs.

    >>> chosen_images(10_000, 1000)[:3]
    [0, 10, 20]
    """
    return list(range(0, count, max(count // images, 1)))[:images]

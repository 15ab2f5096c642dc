"""The figures of a report, each with its caption, its numbers and its files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from sosmooth.report.figures import (
    accuracy_figure,
    bins_figure,
    change_figure,
    difference_figure,
    probability_figure,
)
from sosmooth.report.numbers import accuracy_csv, change_csv, difference_csv, probability_csv
from sosmooth.report.probability import Probabilities
from sosmooth.report.series import Pair, Series, accuracy_name
from sosmooth.report.style import Look, as_pdf, as_png, as_svg, inline, laid_out

# Radii in the files of numbers of a curve.
_RADII = 201


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        stem: names its files and begins its ids.
        caption: what it shows, and how to read it.
        hint: what the pointer shows in its plot.
        figure: it.
        numbers: behind it, as CSV.
    """

    stem: str
    caption: str
    hint: str
    figure: Figure
    numbers: str

    @property
    def svg(self) -> Markup:
        """An element of the page."""
        # Safe: matplotlib draws every text as outlines.
        return Markup(inline(self._svg, self.stem))

    @property
    def pdf(self) -> str:
        """A data URI."""
        return f"data:application/pdf;base64,{b64encode(self._pdf).decode()}"

    @property
    def csv(self) -> str:
        """A data URI."""
        return f"data:text/csv;base64,{b64encode(self.numbers.encode()).decode()}"

    def save(self, folder: Path) -> list[Path]:
        """Write PNG, SVG, PDF and CSV into an existing folder, and return their paths."""
        contents = {
            "png": as_png(self._laid_out),
            "svg": self._svg.encode(),
            "pdf": self._pdf,
            "csv": self.numbers.encode(),
        }
        for ending, content in contents.items():
            (folder / f"{self.stem}.{ending}").write_bytes(content)
        return [folder / f"{self.stem}.{ending}" for ending in contents]

    @cached_property
    def _laid_out(self) -> Figure:
        return laid_out(self.figure)

    @cached_property
    def _svg(self) -> str:
        return as_svg(self._laid_out)

    @cached_property
    def _pdf(self) -> bytes:
        return as_pdf(self._laid_out)


def pictures_of(
    series: Sequence[Series],
    pairs: Sequence[Pair],
    probabilities: Sequence[Probabilities],
    looks: Sequence[Look],
) -> dict[str, Picture]:
    """The figures of a report by their stems; those that nothing is known for are left out.

    Args:
        series: the runs as arrays.
        pairs: each method with its baseline.
        probabilities: p̂ of the inputs of some of the runs.
        looks: how each run is drawn.
    """
    look_of = {one.name: look for one, look in zip(series, looks, strict=True)}
    longest = max(
        float(np.max(one.right_radius, initial=0, where=np.isfinite(one.right_radius)))
        for one in series
    )
    at = np.linspace(0, longest, _RADII).tolist()
    found = [
        Picture(
            "accuracy",
            _accuracy_caption(series),
            _BANDS,
            accuracy_figure(series, looks),
            accuracy_csv(series, at),
        )
    ]
    if pairs:
        of_pairs = [look_of[pair.method.name] for pair in pairs]
        different = "".join(dict.fromkeys(_different_settings(pair) for pair in pairs))
        found += [
            Picture(
                "accuracy-difference",
                _difference_caption(pairs),
                "",
                difference_figure(pairs, of_pairs),
                difference_csv(pairs, at),
            ),
            Picture(
                "relative-change",
                _CHANGE + different,
                _OPENS,
                change_figure(pairs, of_pairs),
                change_csv(pairs),
            ),
            Picture(
                "relative-change-bins",
                _BINS + different,
                "Click a bar to see only its inputs in the table.",
                bins_figure(pairs, of_pairs),
                change_csv(pairs),
            ),
        ]
    if probabilities:
        of_runs = [look_of[one.name] for one in probabilities]
        found.append(
            Picture(
                "probability",
                _PROBABILITY,
                _OPENS,
                probability_figure(probabilities, of_runs),
                probability_csv(probabilities, series),
            )
        )
    return {picture.stem: picture for picture in found}


def _accuracy_caption(series: Sequence[Series]) -> str:
    what = accuracy_name(series)
    meaning = "with their right class" if what == "certified accuracy" else "(labels are unknown)"
    return f"The fraction of all inputs certified {meaning} at that radius or a larger one."


def _difference_caption(pairs: Sequence[Pair]) -> str:
    return (
        f"{accuracy_name([pairs[0].method]).capitalize()} of each run minus first order's, on the"
        f" inputs of both. Band: the paired 95 % interval of {pairs[0].method.name} at each radius"
        " on its own, not simultaneous over radii."
    )


_OPENS = "Click the curve to open the input."
_BANDS = (
    "Point at a run to see its 95 % Clopper–Pearson intervals over the choice of inputs, at each"
    " radius on its own, not simultaneous over radii."
)
_CHANGE = (
    "Each input's certified radius relative to first order's, the largest gain on the left, over"
    " the inputs that both certify with the right class. On average: their mean radii, compared."
    " Where the two drew different noise, part of each change is chance."
)
_BINS = (
    "The paper's bins: inputs that at least one of the two certifies with the right class, by the"
    " change of their radius. A change on the edge of two bins counts in the one nearer to no"
    " change."
)
_PROBABILITY = (
    "How many inputs have at most that p̂, the fraction of their noisy copies that the classifier"
    " gives the class: its distribution over the inputs (ECDF). The lower the curve, the better; a"
    " radius grows with its p̂. The average certified radius tells less, since it rewards easy"
    " inputs that get easier more than hard ones that become right (Sun et al. 2025)."
)


def _different_settings(pair: Pair) -> str:
    """A warning where the two runs differ in n or alpha too."""
    differing = [
        f"{name} {getattr(pair.method, name):g} and {getattr(pair.baseline, name):g}"
        for name in ("n", "alpha")
        if getattr(pair.method, name) != getattr(pair.baseline, name)
    ]
    return (
        f" {pair.method.name} and {pair.baseline.name} differ in more than the method:"
        f" {', '.join(differing)}."
        if differing
        else ""
    )

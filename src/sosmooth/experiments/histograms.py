"""Figures 5–13: how a method changes certified radii, published beside ours.

The bins are the paper's eleven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from sosmooth.experiments.comparison import counts_of, panel_title
from sosmooth.experiments.paper import Figure as PaperFigure
from sosmooth.experiments.sampled import Result
from sosmooth.report.relative_change import BINS
from sosmooth.report.style import FAINT, HIGHER, INK, LOWER, PAPER, SAME, styled

_TICKS = [
    "first order only",
    "over 25 % smaller",
    "15–25 % smaller",
    "5–15 % smaller",
    "1–5 % smaller",
    "within 1 %",
    "1–5 % larger",
    "5–15 % larger",
    "15–25 % larger",
    "over 25 % larger",
    "method only",
]
_COLOURS = [LOWER] * 5 + [SAME] + [HIGHER] * 5


def histogram_figure(paper: PaperFigure, results: Sequence[Result]) -> Figure:
    """One panel a result, two side by side as in the paper.

    Bars are fractions of the images that at least one of the two certifies, as the numbers of
    images differ.

    Args:
        paper: the figure.
        results: one a panel.
    """
    columns = min(2, len(results))
    lines = -(-len(results) // columns)
    with styled():
        figure = Figure(figsize=(5.2 * columns, 2.5 * lines + 1.6))
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axes, result in zip(grid.flat, results, strict=False):
            _draw_panel(axes, result)
        for axes in grid.flat[len(results) :]:
            axes.axis("off")
        tallest = max(
            _fractions(counts).max()
            for result in results
            for counts in (result.panel.published.counts, counts_of(result.pair))
        )
        grid[0, 0].set_ylim(0, 1.3 * max(tallest, 0.05))
        for axes in grid[:, 0]:
            axes.set_ylabel("images that one of the two certifies")
        for axes in grid[-1]:
            axes.set_xticks(
                range(len(BINS)),
                _TICKS,
                rotation=45,
                ha="right",
                rotation_mode="anchor",
                fontsize=8.5,
                color=INK,
            )
        figure.suptitle(paper.shows, x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles = [
            Patch(facecolor="none", edgecolor=FAINT, hatch="////", label="published"),
            Patch(facecolor=LOWER, label="ours: smaller"),
            Patch(facecolor=SAME, label="ours: within 1 %"),
            Patch(facecolor=HIGHER, label="ours: larger"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=9)
    return figure


def _draw_panel(axes: Axes, result: Result) -> None:
    published, ours = result.panel.published, counts_of(result.pair)
    place = np.arange(len(BINS))
    theirs, found = _fractions(published.counts), _fractions(ours)
    axes.bar(
        place - 0.21, theirs, 0.4, facecolor="none", edgecolor=FAINT, hatch="////", linewidth=0.7
    )
    bars = axes.bar(place + 0.21, found, 0.4, color=_COLOURS)
    axes.bar_label(
        bars,
        [str(count) if count else "" for count in ours.values()],
        fontsize=7.5,
        padding=1,
        color=INK,
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.grid(False)
    axes.tick_params(axis="x", length=0)
    axes.set_title(panel_title(result.panel), fontsize=9.5)
    axes.text(
        0.99,
        0.97,
        f"published: {sum(published.counts.values())} certified of {published.images}\n"
        f"ours: {sum(ours.values())} certified of {len(result.pair.method)}",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8,
        color=FAINT,
        linespacing=1.4,
        bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1},
    )


def _fractions(counts: Mapping[str, int]) -> np.ndarray:
    values = np.array([counts[name] for name in BINS], dtype=float)
    return values / max(values.sum(), 1.0)

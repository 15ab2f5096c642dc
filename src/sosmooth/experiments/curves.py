"""Figures 14 and 15: certified accuracy against the radius, a method beside first order."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sosmooth.experiments.comparison import panel_title
from sosmooth.experiments.paper import Figure as PaperFigure
from sosmooth.experiments.sampled import Result
from sosmooth.measures import floored
from sosmooth.report.figures import draw_accuracy, end_of
from sosmooth.report.style import FAINT, LOOKS, styled


def curves_figure(paper: PaperFigure, results: Sequence[Result]) -> Figure:
    """One panel a result, two side by side as in the paper.

    Only the average radii of the published curves are known; the legend has them.

    Args:
        paper: the figure.
        results: one a panel.
    """
    columns = min(2, len(results))
    lines = -(-len(results) // columns)
    with styled():
        figure = Figure(figsize=(4.8 * columns, 3.0 * lines + 0.7))
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        end = end_of([one for result in results for one in vars(result.pair).values()])
        for axes, result in zip(grid.flat, results, strict=False):
            _draw_panel(axes, result, end)
        for axes in grid.flat[len(results) :]:
            axes.axis("off")
        for axes in grid[-1]:
            axes.set_xlabel("l2 radius, input units")
        for axes in grid[:, 0]:
            axes.set_ylabel("certified accuracy")
        figure.suptitle(paper.shows, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def _draw_panel(axes: Axes, result: Result, end: float) -> None:
    published = result.panel.published
    acr = {"first_order": published.acr_baseline, published.method: published.acr_method}
    for one in (result.pair.baseline, result.pair.method):
        average = f"ACR {floored(one.average_radius())} (published {acr[one.method]:g})"
        label = f"{one.method.replace('_', ' ')}: {average}"
        draw_accuracy(axes, one, end, LOOKS[one.method], label)
    axes.set_title(panel_title(result.panel), fontsize=9.5)
    axes.legend(loc="upper right", fontsize=8.5, handlelength=2.4)
    axes.text(
        0.02,
        0.03,
        f"ours: {len(result.pair.method)} images; published: {published.images}",
        transform=axes.transAxes,
        fontsize=8,
        color=FAINT,
    )

"""Figure 2: the swiss roll, its certified discs, and what second order adds to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Wedge
from numpy.typing import NDArray

from sosmooth.experiments.comparison import counts_of, power_of_ten
from sosmooth.experiments.paper import Figure as PaperFigure
from sosmooth.experiments.sampled import Result
from sosmooth.report.style import FAINT, HIGHER, INK, LOWER, styled

_COLOURS, _PALE = (HIGHER, LOWER), ("#8fc1e3", "#f2b48c")
# The paper draws the discs of every seventh certified point of one class, and of every fifth of the
# other.
_EVERY = (7, 5)


def swiss_roll_figure(paper: PaperFigure, results: Sequence[Result]) -> Figure:
    """Points by class, with their certified discs, in the units of the plane.

    Points are black where second order certifies nothing or the wrong class. Rings show the
    first-order radius, shaded areas what second order adds.

    Args:
        paper: the figure.
        results: its one panel.
    """
    result = results[0]
    with styled():
        figure = Figure(figsize=(6.2, 7.1))
        axes = figure.subplots()
        _draw_points(axes, result)
        counts = counts_of(result.pair)
        both = sum(counts.values()) - counts["baseline_only"] - counts["method_only"]
        larger = sum(count for name, count in counts.items() if name.startswith("inc_"))
        axes.set_xlabel(
            f"n = {power_of_ten(result.panel.effort.n)}, alpha = 0.001: larger by more than 1 % on"
            f" {larger} of {both} points\n"
            f"(published at n = {power_of_ten(result.panel.published.n)}: 56 of 84)",
            linespacing=1.5,
        )
        figure.suptitle(
            "Swiss roll, σ = 0.5: certified discs",
            x=0.01,
            ha="left",
            fontsize=12,
            fontweight="bold",
        )
        figure.legend(handles=_legend(), loc="outside lower left", ncols=2, fontsize=9)
    return figure


def _draw_points(axes: Axes, result: Result) -> None:
    baseline, method = result.pair.baseline, result.pair.method
    points = result.inputs.get(method.index.tolist()).astype(float)
    first, second = baseline.right_radius, method.right_radius
    for label, (colour, pale, every) in enumerate(zip(_COLOURS, _PALE, _EVERY, strict=True)):
        certified = np.flatnonzero(method.right & (method.label == label))
        shown = certified[::every]
        for (x, y), inner, outer in zip(
            points[shown].tolist(), first[shown].tolist(), second[shown].tolist(), strict=True
        ):
            if outer > inner:
                axes.add_patch(
                    Wedge((x, y), outer, 0, 360, width=outer - inner, color=pale, linewidth=0)
                )
            axes.add_patch(Circle((x, y), inner, fill=False, color=colour, linewidth=1.1))
        _dots(axes, points[np.setdiff1d(certified, shown)], pale)
        _dots(axes, points[shown], colour)
    _dots(axes, points[~method.right], INK)
    axes.set_xlim(-2, 2)
    axes.set_ylim(-2, 2)
    axes.set_aspect("equal")


def _dots(axes: Axes, points: NDArray, colour: str) -> None:
    axes.plot(
        points[:, 0], points[:, 1], "o", color=colour, markersize=4, markeredgewidth=0, zorder=3
    )


def _legend() -> list:
    dot = {"marker": "o", "linestyle": "none", "markersize": 5}
    return [
        Line2D([], [], color=_COLOURS[0], **dot, label="class 0, certified (pale: disc not drawn)"),
        Line2D([], [], color=_COLOURS[1], **dot, label="class 1, certified (pale: disc not drawn)"),
        Line2D([], [], color=INK, **dot, label="wrong or not certified"),
        Line2D([], [], color=FAINT, label="ring: radius of first order"),
        Patch(color=_PALE[0], label="shaded: what second order adds"),
    ]

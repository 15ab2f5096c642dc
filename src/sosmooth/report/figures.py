"""The figures of a report: functions from series to a matplotlib Figure, without pyplot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.report.relative_change import BINS, relative_change_counts
from sosmooth.report.series import Pair, Series
from sosmooth.report.style import (
    FAINT,
    HIGHER,
    INK,
    LOWER,
    PAPER,
    SAME,
    blank,
    colour_of,
    dashes_of,
    in_words,
    styled,
)

# More steps than this cannot be told apart, and make the page heavy.
_MOST_STEPS = 400

# Inches; narrow, so that the letters can be read when the figure is shrunk to a phone's screen.
_WIDTH = 4.8


def accuracy_figure(series: Sequence[Series]) -> Figure:
    """Certified accuracy against the radius.

    Bands: the 95 % Clopper–Pearson interval at each radius on its own (pointwise). Where labels are
    unknown, the curve is the certified fraction.

    Args:
        series: the runs as arrays, one curve each.
    """
    with styled():
        figure, axes = blank(_WIDTH, 3.9)
        end = max(
            1.05
            * np.max(one.right_radius, initial=0.1 * one.sigma, where=np.isfinite(one.right_radius))
            for one in series
        )
        for position, one in enumerate(series):
            at = np.append(_falls(one), end)
            count = one.count_at(at)
            low, high = pointwise_interval(count, len(one))
            look = {
                "color": colour_of(one.method),
                "linestyle": dashes_of(position),
                "label": in_words(one.name),
            }
            axes.fill_between(
                at, low, high, step="pre", color=look["color"], alpha=0.14, linewidth=0
            )
            axes.plot(at, count / len(one), drawstyle="steps-pre", **look)
        axes.set_xlim(0, end)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel(
            f"{series[0].norm} radius, input units\nbands: pointwise 95 % intervals over images",
            linespacing=1.5,
        )
        axes.set_title(accuracy_name(series).capitalize())
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside lower left",
            ncols=2 if len(series) > 3 else 1,
        )
        return figure


def accuracy_name(series: Sequence[Series]) -> str:
    """The name of the fraction at a radius: accuracy only where labels are known."""
    return "certified accuracy" if all(one.labelled for one in series) else "certified fraction"


def pointwise_interval(count: NDArray, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two-sided 95 % interval of a fraction of images, at each count on its own.

    Args:
        count: images that count, any shape.
        n: number of images.

    Returns:
        Lower and upper ends, in [0, 1], of the shape of `count`.

    Source:
        Clopper, Pearson 1934.
    """
    return np.asarray(proportion_lower_bound(count, n, 0.025)), np.asarray(
        proportion_upper_bound(count, n, 0.025)
    )


def gain_figure(pairs: Sequence[Pair]) -> Figure:
    """The radii of each method relative to first order's, the images in the order of their change.

    Only images that both certify with the right class are drawn. Changes outside the range of the
    axis are drawn on its edge.

    Args:
        pairs: each method with its baseline, one curve each.
    """
    with styled():
        figure, axes = blank(1.3 * _WIDTH, 4.6)
        axes.axhline(0, color=FAINT, linewidth=0.9)
        drawn = []
        for position, pair in enumerate(pairs):
            baseline, method = pair.baseline.right_radius, pair.method.right_radius
            both = (baseline > 0) & (method > 0) & np.isfinite(baseline) & np.isfinite(method)
            change = np.sort(method[both] / baseline[both] - 1)[::-1]
            if not len(change):
                continue
            drawn.append(change)
            fraction = (np.arange(len(change)) + 0.5) / len(change)
            gained = (
                f"larger for {100 * np.mean(change > 0):.0f} %, by {100 * np.mean(change):+.1f} %"
                " on average"
            )
            look = {
                "color": colour_of(pair.method.method),
                "linestyle": dashes_of(position),
                "linewidth": 2.4,
            }
            axes.plot(fraction, change, label=f"{in_words(pair.method.name)}: {gained}", **look)
        if drawn:
            everything = np.concatenate(drawn)
            low, high = np.quantile(everything, [0.01, 0.99])
            room = max(0.08 * (high - low), 0.002)
            axes.set_ylim(min(low - room, -room), max(high + room, room))
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("images, those with the largest gain first")
        axes.set_ylabel("change of the certified radius")
        axes.set_title("Certified radius, relative to first order")
        if drawn:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
        return figure


def relative_change_figure(pair: Pair) -> Figure:
    """The paper's histogram: images by the change of their certified radius.

    Args:
        pair: a method and its baseline.
    """
    with styled():
        counts = relative_change_counts(pair.baseline.right_radius, pair.method.right_radius)
        figure, axes = blank(_WIDTH, 4.4)
        values = list(counts.values())
        middle = list(BINS).index("within_1")
        colours = [LOWER] * middle + [SAME] + [HIGHER] * middle
        rows = axes.barh(list(BINS.values()), values, color=colours, height=0.72)
        total = max(sum(values), 1)
        axes.bar_label(
            rows,
            [f"{value}  ({100 * value / total:.1f} %)" if value else "0" for value in values],
            padding=4,
            fontsize=9,
            color=INK,
        )
        axes.set_xlim(0, 1.32 * max(*values, 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.yaxis.grid(False)
        axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=9.5)
        axes.set_xlabel(f"images, of {sum(values)}")
        figure.suptitle(
            f"{in_words(pair.method.name)}: certified radius\nrelative to"
            f" {in_words(pair.baseline.name)}",
            x=0.01,
            ha="left",
            fontsize=11,
            fontweight="bold",
        )
        return figure


def radius_figure(pair: Pair) -> Figure:
    """Certified radius of the method against that of first order.

    Each image is a point. Above the diagonal, the method is better.

    Args:
        pair: a method and its baseline.
    """
    with styled():
        baseline, method = pair.baseline.right_radius, pair.method.right_radius
        shown = ((baseline > 0) | (method > 0)) & np.isfinite(baseline) & np.isfinite(method)
        baseline, method = baseline[shown], method[shown]
        figure, axes = blank(_WIDTH, 4.4)
        end = 1.04 * max(np.max(baseline, initial=0.0), np.max(method, initial=0.0), 1e-9)
        axes.plot([0, end], [0, end], color=FAINT, linewidth=0.9, zorder=1)
        groups = [
            (method > baseline, HIGHER, "^", "larger"),
            (method == baseline, SAME, "o", "equal"),
            (method < baseline, LOWER, "v", "smaller"),
        ]
        for which, colour, marker, word in groups:
            axes.scatter(
                baseline[which],
                method[which],
                s=20,
                marker=marker,
                color=colour,
                alpha=0.75,
                edgecolors=PAPER,
                linewidths=0.4,
                label=f"{word}: {np.sum(which)}",
                rasterized=len(method) > 2000,
                zorder=2,
            )
        axes.set_xlim(-0.02 * end, end)
        axes.set_ylim(-0.02 * end, end)
        axes.set_aspect("equal")
        axes.set_xlabel(f"certified radius, {in_words(pair.baseline.name)}")
        axes.set_ylabel(f"certified radius, {in_words(pair.method.name)}")
        axes.legend(loc="upper left", handletextpad=0.2)
        return figure


def _falls(series: Series) -> NDArray[np.float64]:
    """The radii where the curve falls; an even choice of them where there are too many."""
    finite = series.right_radius[np.isfinite(series.right_radius)]
    falls = np.unique(np.concatenate([[0.0], finite]))
    if len(falls) > _MOST_STEPS:
        falls = falls[np.linspace(0, len(falls) - 1, _MOST_STEPS).round().astype(int)]
    return np.append(falls, np.nextafter(falls[-1], np.inf))

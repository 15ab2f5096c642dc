"""The figures of a report: functions from series to a matplotlib Figure, without pyplot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from sosmooth.report.comparison import difference_curve
from sosmooth.report.probability import Probabilities
from sosmooth.report.relative_change import BINS, gain_of, relative_change_counts
from sosmooth.report.series import Pair, Series, accuracy_name
from sosmooth.report.style import FAINT, INK, Look, blank, in_words, line_of, styled
from sosmooth.report.summary import signed_percent

# More steps than this cannot be told apart, and make the page heavy.
_MOST_STEPS = 400

# Inches; narrow, so that the letters can be read when the figure is shrunk to a phone's screen.
_WIDTH, _HEIGHT = 4.8, 3.9

#: Relative changes that an axis may mark.
CHANGES = (
    *(-0.9, -0.75, -0.5, -0.25, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.0, 4.0, 9.0, 19.0, 49.0, 99.0),
)
# The parts of the changes below and above the axis.
_LEFT_OUT = 0.02
# Of the height of an axis, between two marks.
_APART = 0.07


def accuracy_figure(series: Sequence[Series], looks: Sequence[Look]) -> Figure:
    """Certified accuracy against the radius; the certified fraction where labels are unknown.

    Args:
        series: the runs as arrays, one curve each.
        looks: how each is drawn.
    """
    with styled():
        figure, axes = blank(_WIDTH, _HEIGHT)
        end = end_of(series)
        for one, look in zip(series, looks, strict=True):
            draw_accuracy(axes, one, end, look, in_words(one.name))
        axes.set_xlabel(f"{series[0].norm} radius, input units")
        axes.set_ylabel(accuracy_name(series))
        axes.set_title(accuracy_name(series).capitalize())
        _legend_below(figure, axes)
        return figure


def end_of(series: Sequence[Series]) -> float:
    """Where the axis of radii ends.

    Args:
        series: the runs as arrays.
    """
    return max(
        1.05
        * float(
            np.max(one.right_radius, initial=0.1 * one.sigma, where=np.isfinite(one.right_radius))
        )
        for one in series
    )


def draw_accuracy(axes: Axes, series: Series, end: float, look: Look, label: str) -> None:
    """Draw the certified accuracy of a run against the radius.

    Args:
        axes: to draw on.
        series: a run as arrays.
        end: the largest radius, as `end_of` gives it.
        look: of the curve.
        label: of the curve.
    """
    at = np.append(_falls(series), end)
    height = series.count_at(at) / len(series)
    axes.plot(at, height, drawstyle="steps-pre", label=label, **line_of(look))
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def difference_figure(pairs: Sequence[Pair], looks: Sequence[Look]) -> Figure:
    """Certified accuracy minus first order's, against the radius, on the inputs of both.

    Args:
        pairs: each method with its baseline, one curve each; the first one has a band: the paired
            95 % interval at each radius on its own.
        looks: how each is drawn.
    """
    with styled():
        figure, axes = blank(_WIDTH, _HEIGHT)
        axes.axhline(0, color=FAINT, linewidth=0.9)
        end = end_of([one for pair in pairs for one in (pair.baseline, pair.method)])
        for pair, look in zip(pairs, looks, strict=True):
            falls = np.union1d(_falls(pair.baseline), _falls(pair.method))
            at = np.append(falls[falls < end], end)
            curve = difference_curve(pair, at)
            if pair is pairs[0]:
                axes.fill_between(
                    at,
                    curve.lower,
                    curve.upper,
                    step="pre",
                    color=look.colour,
                    alpha=0.16,
                    linewidth=0,
                )
            axes.plot(
                at,
                curve.difference,
                drawstyle="steps-pre",
                label=in_words(pair.method.name),
                linewidth=1.8 if pair is pairs[0] else 1.1,
                **line_of(look),
            )
        axes.set_xlim(0, end)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _signed(y, " pp")))
        axes.set_xlabel(f"{pairs[0].method.norm} radius, input units")
        axes.set_ylabel("percentage points")
        name = accuracy_name([pairs[0].baseline]).capitalize()
        axes.set_title(f"{name}, minus first order's")
        _legend_below(figure, axes)
        return figure


def change_figure(pairs: Sequence[Pair], looks: Sequence[Look]) -> Figure:
    """The radii of each method relative to first order's, the inputs in the order of their change.

    Only inputs that both certify with the right class are drawn. The axis is logarithmic in the
    ratio of the radii.

    Args:
        pairs: each method with its baseline, one curve each.
        looks: how each is drawn.
    """
    with styled():
        figure, axes = blank(_WIDTH, _HEIGHT)
        axes.axhline(0, color=FAINT, linewidth=0.9)
        drawn = []
        for pair, look in zip(pairs, looks, strict=True):
            baseline, method = pair.baseline.right_radius, pair.method.right_radius
            both = (baseline > 0) & (method > 0) & np.isfinite(baseline) & np.isfinite(method)
            change = np.sort(method[both] / baseline[both] - 1)[::-1]
            if not len(change):
                continue
            drawn.append(change)
            fraction = (np.arange(len(change)) + 0.5) / len(change)
            axes.plot(
                fraction,
                np.log1p(change),
                label=f"{in_words(pair.method.name)}: {gain_in_words(pair)}",
                **line_of(look),
            )
        if drawn:
            low, high, marks = change_axis(np.concatenate(drawn))
            axes.set_ylim(np.log1p(low), np.log1p(high))
            axes.set_yticks(np.log1p(marks), [_signed(mark, " %") for mark in marks])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("inputs, those with the largest gain first")
        axes.set_ylabel("change of the radius")
        axes.set_title("Certified radius, relative to first order")
        if drawn:
            _legend_below(figure, axes)
        return figure


def change_axis(changes: NDArray[np.float64]) -> tuple[float, float, list[float]]:
    """The range and the marks of an axis of relative changes, logarithmic in the ratio.

    Args:
        changes: one or more, above −1.

    Returns:
        The lowest and the highest change on the axis, and its marks: some of `CHANGES`.
    """
    logs = np.log1p(np.append(changes, 0.0))
    low, high = np.quantile(logs, [_LEFT_OUT, 1 - _LEFT_OUT])
    low, high = min(low, 0.0), max(high, 0.0)
    room = max(0.06 * (high - low), 0.004)
    low, high = low - room, high + room
    marks = [0.0]
    # From 0 outwards, so that it is among them.
    for one in sorted(CHANGES, key=abs):
        at = np.log1p(one)
        far = min(abs(at - np.log1p(mark)) for mark in marks) >= _APART * (high - low)
        if low <= at <= high and far:
            marks.append(one)
    return float(np.expm1(low)), float(np.expm1(high)), sorted(marks)


def gain_in_words(pair: Pair) -> str:
    """How much larger the radii of a method are, and for how many inputs; rounded down."""
    gain = gain_of(pair)
    if not gain.both:
        return "nothing to compare"
    larger = signed_percent(gain.larger / gain.both, 0).removeprefix("+")
    return f"{signed_percent(gain.mean_change)} on average, larger for {larger}"


def bins_figure(pairs: Sequence[Pair], looks: Sequence[Look]) -> Figure:
    """The paper's histogram: inputs by the change of their certified radius.

    Args:
        pairs: each method with its baseline, one group of bars each.
        looks: how each is drawn.
    """
    with styled():
        figure, axes = blank(_WIDTH, 3.2 + 0.5 * len(pairs))
        height = 0.8 / len(pairs)
        for k, (pair, look) in enumerate(zip(pairs, looks, strict=True)):
            counts = relative_change_counts(pair.baseline.right_radius, pair.method.right_radius)
            total = max(sum(counts.values()), 1)
            place = np.arange(len(BINS)) + (0.5 * (len(pairs) - 1) - k) * height
            bars = axes.barh(
                place,
                [count / total for count in counts.values()],
                height,
                facecolor=look.colour,
                edgecolor="white",
                hatch=2 * look.hatch,
                linewidth=0.4,
                label=f"{in_words(pair.method.name)}, of {total} inputs",
            )
            axes.bar_label(
                bars,
                [str(count) if count else "" for count in counts.values()],
                padding=3,
                fontsize=7.5,
                color=INK,
            )
        axes.set_yticks(range(len(BINS)), list(BINS.values()), fontsize=9, color=INK)
        axes.set_xlim(right=1.1 * axes.get_xlim()[1])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.grid(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("inputs that one of the two certifies")
        figure.suptitle(
            "Certified radius, relative to first order",
            x=0.01,
            ha="left",
            fontsize=11,
            fontweight="bold",
        )
        _legend_below(figure, axes)
        return figure


def probability_figure(found: Sequence[Probabilities], looks: Sequence[Look]) -> Figure:
    """The distribution of p̂ over the inputs: the fraction of them with at most that p̂.

    Args:
        found: one curve each.
        looks: how each is drawn.
    """
    with styled():
        figure, axes = blank(_WIDTH, _HEIGHT)
        for one, look in zip(found, looks, strict=True):
            axes.ecdf(one.values, label=in_words(one.name), **line_of(look))
        axes.axvline(0.5, color=FAINT, linewidth=0.9)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel(f"p̂ of {found[0].of}")
        axes.set_ylabel("inputs with at most that p̂")
        axes.set_title("The classifier under noise")
        _legend_below(figure, axes)
        return figure


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 2 if len(labels) > 3 and max(map(len, labels)) < 26 else 1
    figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=columns,
        handlelength=3.0,
        fontsize=9 if max(map(len, labels)) < 52 else 8,
    )


def _signed(value: float, unit: str) -> str:
    shown = round(100 * value)
    sign = "+" if shown > 0 else "−" if shown < 0 else "±"
    return f"{sign}{abs(shown)}{unit}"


def _falls(series: Series) -> NDArray[np.float64]:
    """The radii where the curve falls; an even choice of them where there are too many."""
    finite = series.right_radius[np.isfinite(series.right_radius)]
    falls = np.unique(np.concatenate([[0.0], finite]))
    if len(falls) > _MOST_STEPS:
        falls = falls[np.linspace(0, len(falls) - 1, _MOST_STEPS).round().astype(int)]
    return np.append(falls, np.nextafter(falls[-1], np.inf))

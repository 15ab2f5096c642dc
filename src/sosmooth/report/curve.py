"""Certified accuracy as a curve on the user's own axes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from sosmooth.report.series import RunLike, series_of
from sosmooth.report.style import in_words

# Where no input is certified, the axis ends at this many sigma.
_SHORTEST = 0.1


def drawn(run: RunLike, axes: Axes | None) -> Axes:
    """Draw certified accuracy against the radius; the certified fraction where labels are unknown.

    Args:
        run: the run.
        axes: where it is drawn, as a further curve; None: a new pyplot figure.

    Returns:
        The axes.
    """
    series = series_of(run)
    if axes is None:
        from matplotlib import pyplot

        _, axes = pyplot.subplots()
    reached = series.right_radius[np.isfinite(series.right_radius)]
    end = 1.05 * np.max(reached, initial=_SHORTEST * series.sigma)
    at = np.append(np.unique([0.0, *reached]), end)
    axes.plot(at, series.share_at(at), drawstyle="steps-pre", label=in_words(series.name))
    axes.set_xlim(0, max(end, axes.get_xlim()[1] if len(axes.lines) > 1 else 0.0))
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(f"{series.norm} radius, input units")
    axes.set_ylabel("certified accuracy" if series.labelled else "certified fraction")
    axes.legend()
    return axes

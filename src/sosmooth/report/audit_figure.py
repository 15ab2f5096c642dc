"""The picture of an audit: how far outside the certified radii the class is measured to be lost."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sosmooth.report.style import FAINT, HIGHER, LOWER, PAPER, SAME, blank, styled
from sosmooth.tasks.audit import Audit

# Points above so many times the largest radius are drawn on the upper edge: at their true place
# they would flatten the rest.
_TALLEST = 3.0


def audit_figure(audit: Audit) -> Figure:
    """Distance at which the class is measured to be lost against the certified radius.

    Each input is a point. On the diagonal a certificate is tight; below it, it is broken. The
    nearest point where the class is lost lies between the diagonal and the input's point.

    Args:
        audit: of a run.
    """
    with styled():
        figure, axes = blank(4.8, 4.8)
        end = 1.08 * float(np.max(audit.radius))
        finite = np.isfinite(audit.lost)
        farthest = 1.08 * float(np.max(audit.lost, initial=0.0, where=finite))
        top = min(max(farthest, end), _TALLEST * end)
        axes.plot([0, end], [0, end], color=FAINT, linewidth=1.2, zorder=1, label="the certificate")
        heights = np.minimum(audit.lost, top)
        axes.vlines(
            audit.radius, audit.radius, heights, color=SAME, linewidth=0.7, alpha=0.5, zorder=1
        )
        along = finite & (audit.along_gradient > audit.lost) & (audit.along_gradient <= top)
        axes.scatter(
            audit.radius[along],
            audit.along_gradient[along],
            s=18,
            marker="_",
            color=SAME,
            linewidths=1.0,
            label="lost along the gradient",
            zorder=2,
        )
        open_ = audit.lost > top
        groups = [
            (~audit.fails & ~open_, HIGHER, "o", "lost along the worst direction"),
            (~audit.fails & open_, SAME, "^", "farther away than drawn, or not found"),
            (audit.fails, LOWER, "X", "lost inside: the certificate fails"),
        ]
        for which, colour, marker, word in groups:
            if not np.any(which):
                continue
            axes.scatter(
                audit.radius[which],
                heights[which],
                s=26,
                marker=marker,
                color=colour,
                edgecolors=PAPER,
                linewidths=0.4,
                label=f"{word}: {np.sum(which)}",
                clip_on=False,
                zorder=3,
            )
        axes.set_xlim(0, end)
        axes.set_ylim(0, top)
        axes.set_xlabel("certified radius, input units")
        axes.set_ylabel("distance at which the class is lost")
        axes.set_title(f"Certified: {audit.median_reached:.0%} of that distance (median)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
        return figure

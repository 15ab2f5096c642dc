"""The picture of an audit: how far outside the certified radii adversarial points were found."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sosmooth.report.style import FAINT, HIGHER, LOWER, PAPER, SAME, blank, styled
from sosmooth.tasks.audit import Audit

# Points above so many times the largest radius are drawn on the upper edge: at their true place
# they would flatten the rest.
_TALLEST = 3.0


def audit_figure(audit: Audit) -> Figure:
    """Distance of the closest adversarial point found against the certified radius.

    Each input is a point. On the diagonal a certificate is tight; below it, it is broken. The true
    distance of an input lies between the diagonal and its point.

    Args:
        audit: of a run.
    """
    with styled():
        figure, axes = blank(4.8, 4.6)
        end = 1.08 * float(np.max(audit.radius))
        top = min(
            max(
                1.08 * float(np.max(audit.closest, initial=0.0, where=np.isfinite(audit.closest))),
                end,
            ),
            _TALLEST * end,
        )
        axes.plot([0, end], [0, end], color=FAINT, linewidth=1.2, zorder=1, label="the certificate")
        axes.vlines(
            audit.radius,
            audit.radius,
            np.minimum(audit.closest, top),
            color=SAME,
            linewidth=0.7,
            alpha=0.5,
            zorder=1,
        )
        broken, open_ = audit.inside > 0, audit.closest > top
        groups = [
            (~broken & ~open_, HIGHER, "o", "adversarial point found outside"),
            (~broken & open_, SAME, "^", "further away than drawn, or none found"),
            (broken, LOWER, "X", "found inside: the certificate fails"),
        ]
        for which, colour, marker, word in groups:
            if not np.any(which):
                continue
            axes.scatter(
                audit.radius[which],
                np.minimum(audit.closest[which], top),
                s=26,
                marker=marker,
                color=colour,
                edgecolors=PAPER,
                linewidths=0.4,
                label=f"{word}: {np.sum(which)}",
                clip_on=False,
                zorder=2,
            )
        axes.set_xlim(0, end)
        axes.set_ylim(0, top)
        axes.set_xlabel("certified radius, input units")
        axes.set_ylabel("distance of the closest adversarial point found")
        axes.set_title("How tight the certificates are")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
        return figure

"""The summary of a run as text, rounded so that nothing looks better than it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import floored, in_grey_levels, linf_radius
from sosmooth.report.series import RunLike, Series, series_of_all
from sosmooth.results import COMPARED, UNKNOWN


def summary_rows(runs: Sequence[RunLike]) -> list[dict[str, str]]:
    """One row a run: column title → text, the same columns in every row.

    Certified accuracy is shown at 0 and at a few radii that are the same for all rows. Where labels
    are unknown it is the certified fraction, and the text says so. Radii and fractions are rounded
    down.

    Args:
        runs: one or more.

    Raises:
        ValueError: as for `series_of_all`.
    """
    series = series_of_all(runs)
    radii = round_radii(series)
    return [summary_row(one, radii) for one in series]


def summary_row(series: Series, radii: Sequence[str]) -> dict[str, str]:
    """The row of one series.

    Args:
        series: a run as arrays.
        radii: of its certified accuracy, decimals.
    """
    accuracy = {f"certified accuracy at {at}": _share_at(series, float(at)) for at in ["0", *radii]}
    certified = series.radius[series.certified]
    return {
        "run": series.name,
        "method": series.method,
        "compared with": COMPARED[series.classes],
        "sigma": f"{series.sigma:g}",
        "n": whole(series.n),
        "alpha": f"{series.alpha:g}",
        "images": whole(len(series))
        + (f", {whole(int(np.sum(series.missing)))} missing" if np.any(series.missing) else ""),
        "certified": whole(int(np.sum(series.certified))),
        **accuracy,
        "average certified radius": floored(series.average_radius()),
        **_median_radius(certified, series.dimension if series.norm == "l2" else None),
        "abstained": abstentions(series),
        "time per image": _time_per_image(series.seconds),
    }


def round_radii(series: Sequence[Series], most: int = 4) -> list[str]:
    """Round radii above 0, evenly spaced, that some image reaches; as decimals.

    Args:
        series: the runs as arrays.
        most: number of radii at most.
    """
    finite = np.concatenate([one.radius[np.isfinite(one.radius)] for one in series])
    largest = float(np.max(finite, initial=0.0))
    if largest <= 0:
        return []
    tenth = math.floor(math.log10(largest)) - 1
    steps = (
        Decimal(lead).scaleb(power) for power in (tenth, tenth + 1) for lead in ("1", "2.5", "5")
    )
    step = next(step for step in steps if largest < (most + 1) * step)
    return [f"{(k * step).normalize():f}" for k in range(1, int(Decimal(largest) / step) + 1)]


def share(count: int, total: int) -> str:
    """`count / total` in percent with one digit, rounded down."""
    tenths = 1000 * count // total
    return f"{tenths // 10}.{tenths % 10} %"


def whole(count: int) -> str:
    """A count with thin gaps between thousands; "—" where it is unknown."""
    return f"{count:,}".replace(",", "\u202f") if count >= 0 else UNKNOWN


def lower_median(radius: NDArray[np.float64]) -> float:
    """The largest radius that at least half of the images reach, (images,), at least one."""
    return float(np.sort(radius)[(len(radius) - 1) // 2])


def _median_radius(certified: NDArray[np.float64], dimension: int | None) -> dict[str, str]:
    """The median in input units, in grey levels from 0 to 255, and as an l∞ radius."""
    known = lower_median(certified) if len(certified) else None
    return {
        "median radius of the certified": UNKNOWN if known is None else floored(known),
        "… in units of 1/255": UNKNOWN
        if known is None
        else floored(float(in_grey_levels(known)), 1),
        "… as l∞ radius, r/√d": UNKNOWN
        if known is None or dimension is None
        else floored(float(linf_radius(known, dimension)), 4),
    }


def abstentions(series: Series) -> str:
    """How many images have no certificate, by reason."""
    reasons, counts = np.unique(series.abstain_reason[~series.certified], return_counts=True)
    words = [str(reason).replace("_", " ") or "no reason given" for reason in reasons]
    parts = [f"{count} {word}" for word, count in zip(words, counts, strict=True)]
    return ", ".join(parts) or "0"


def _share_at(series: Series, at: float) -> str:
    return share(int(series.count_at(at)), len(series)) + (
        "" if series.labelled else " (certified fraction: labels unknown)"
    )


def _time_per_image(seconds: NDArray[np.float64]) -> str:
    known = seconds[~np.isnan(seconds)]
    return f"{np.mean(known):.3g} s" if len(known) else UNKNOWN

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

_REASONS = {"": "no reason given", "imported": "abstained in the log"}


def summary_rows(
    runs: Sequence[RunLike], radii: Sequence[str] | None = None, *, most: int = 4
) -> list[dict[str, str]]:
    """One row a run: column title → text.

    Certified accuracy is shown at 0 and at radii that are the same for all rows. Where labels are
    unknown it is the certified fraction, and its title says so. Radii and fractions are rounded
    down.

    Args:
        runs: one or more.
        radii: of the certified accuracy, decimals; None: those of `round_radii`.
        most: how many of these at most.

    Raises:
        ValueError: as for `series_of_all`.
    """
    series = series_of_all(runs)
    at = round_radii(series, most) if radii is None else radii
    return [summary_row(one, at) for one in series]


def summary_row(series: Series, radii: Sequence[str]) -> dict[str, str]:
    """The row of one series.

    Args:
        series: a run as arrays.
        radii: of its certified accuracy, decimals.
    """
    certified = series.radius[series.certified]
    return {
        "run": series.name,
        "method": series.method,
        "compared with": COMPARED[series.classes],
        "sigma": f"{series.sigma:g}",
        "n": _samples(series),
        "alpha": f"{series.alpha:g}",
        "inputs": whole(len(series))
        + (f", {whole(int(np.sum(series.missing)))} missing" if np.any(series.missing) else ""),
        "certified": whole(int(np.sum(series.certified))),
        **{
            f"certified {'accuracy' if series.labelled else 'fraction'} at {at}": share(
                int(series.count_at(float(at))), len(series)
            )
            for at in ["0", *radii]
        },
        "average certified radius": floored(series.average_radius(), radius_digits(series.sigma)),
        **_median_radius(
            certified,
            series.dimension if series.norm == "l2" else None,
            radius_digits(series.sigma),
        ),
        "abstained": abstentions(series),
        "time per input": _time_per_input(series.seconds),
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


def radius_digits(sigma: float) -> int:
    """Digits after the point that show a hundredth of sigma: 3 where sigma is 0.1 or more.

    Args:
        sigma: noise level, input units, positive.
    """
    return max(3, 2 - math.floor(math.log10(sigma)))


def _median_radius(
    certified: NDArray[np.float64], dimension: int | None, digits: int
) -> dict[str, str]:
    """The median in input units, in grey levels from 0 to 255, and as an l∞ radius."""
    known = lower_median(certified) if len(certified) else None
    return {
        "median radius of the certified": UNKNOWN if known is None else floored(known, digits),
        "… in units of 1/255": UNKNOWN
        if known is None
        else floored(float(in_grey_levels(known)), 1),
        "… as l∞ radius, r/√d": UNKNOWN
        if known is None or dimension is None
        else floored(float(linf_radius(known, dimension)), digits + 1),
    }


def abstentions(series: Series) -> str:
    """How many images have no certificate, by reason."""
    reasons, counts = np.unique(series.abstain_reason[~series.certified], return_counts=True)
    words = [_REASONS.get(str(reason), str(reason).replace("_", " ")) for reason in reasons]
    parts = [f"{count} {word}" for word, count in zip(words, counts, strict=True)]
    return ", ".join(parts) or "0"


def _samples(series: Series) -> str:
    """The samples of each input; their mean, rounded up, where a rule stopped the drawing."""
    most = series.settings.get("n") or series.n
    if series.mean_n >= most:
        return whole(series.n)
    return f"{whole(math.ceil(series.mean_n))} on average, at most {whole(most)}"


def _time_per_input(seconds: NDArray[np.float64]) -> str:
    known = seconds[~np.isnan(seconds)]
    return f"{np.mean(known):.3g} s" if len(known) else UNKNOWN

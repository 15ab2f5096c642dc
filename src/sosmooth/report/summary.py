"""The summary of a run as text, rounded so that nothing looks better than it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import floored, in_grey_levels, linf_radius
from sosmooth.report.series import RunLike, Series, accuracy_name, series_of_all
from sosmooth.results import COMPARED, UNKNOWN

_REASONS = {"": "no reason given", "imported": "abstained in the log"}
_MEDIAN = "median radius of the certified"


def summary_rows(
    runs: Sequence[RunLike], radii: Sequence[str] | None = None, *, most: int = 4
) -> list[dict[str, str]]:
    """One row a run: column title → text, settings first.

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
    return [{"run": one.name} | settings_row(one) | _all_figures(one, at) for one in series]


def _all_figures(series: Series, radii: Sequence[str]) -> dict[str, str]:
    """The figures, with the median's other units below it."""
    found = {}
    for title, text in figures_row(series, radii).items():
        found[title] = text
        if title == _MEDIAN:
            found |= other_units_row(series)
    return found


def settings_row(series: Series) -> dict[str, str]:
    """What a run was asked for: title → text.

    Args:
        series: a run as arrays.
    """
    missing = int(np.sum(series.missing))
    return {
        "method": series.method,
        "compared with": COMPARED[series.classes],
        "sigma": f"{series.sigma:g}",
        "n": _samples(series),
        "alpha": f"{series.alpha:g}",
        "inputs": whole(len(series)) + (f", {whole(missing)} missing" if missing else ""),
    }


def figures_row(series: Series, radii: Sequence[str]) -> dict[str, str]:
    """What a run found: title → text.

    Args:
        series: a run as arrays.
        radii: of its certified accuracy, decimals.
    """
    certified, sigma = series.radius[series.certified], series.sigma
    return {
        "certified": whole(int(np.sum(series.certified))),
        **{f"{accuracy_name([series])} at {at}": _share_at(series, at) for at in ["0", *radii]},
        "average certified radius": radius_text(series.average_radius(), sigma),
        _MEDIAN: radius_text(lower_median(certified), sigma) if len(certified) else UNKNOWN,
        "abstained": abstentions(series),
        "time per input": _time_per_input(series.seconds),
    }


def round_radii(series: Sequence[Series], most: int = 4) -> list[str]:
    """Round radii above 0, evenly spaced, that some input reaches; as decimals.

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
    """The largest radius that at least half of the inputs reach, (inputs,), at least one."""
    return float(np.sort(radius)[(len(radius) - 1) // 2])


def radius_digits(sigma: float) -> int:
    """Digits after the point that show a hundredth of sigma: 3 where sigma is 0.1 or more.

    Args:
        sigma: noise level, input units, positive.
    """
    return max(3, 2 - math.floor(math.log10(sigma)))


def radius_text(radius: float, sigma: float) -> str:
    """A radius rounded down to `radius_digits`; one that would become 0 keeps two figures.

    Args:
        radius: input units.
        sigma: as for `radius_digits`.
    """
    digits = radius_digits(sigma)
    if 0 < radius < 10.0**-digits:
        digits = 1 - math.floor(math.log10(radius))
    return floored(radius, digits)


def other_units_row(series: Series) -> dict[str, str]:
    """The median radius of the certified inputs in other units: title → text.

    Grey levels are for images in [0, 1], and left out for tables and texts. The l∞ radius is that
    which the l2 radius implies.

    Args:
        series: a run as arrays.
    """
    certified = series.radius[series.certified]
    dimension = series.dimension if series.norm == "l2" else None
    in_grey = in_linf = UNKNOWN
    if len(certified):
        known = lower_median(certified)
        in_grey = floored(float(in_grey_levels(known)), 1)
        if dimension is not None:
            in_linf = radius_text(float(linf_radius(known, dimension)), series.sigma / 10)
    grey = {"… in units of 1/255": in_grey} if series.may_be_of_images else {}
    return grey | {"… as l∞ radius, r/√d": in_linf}


def signed_percent(fraction: float, digits: int = 1) -> str:
    """A relative change in percent with its sign, rounded down, so in favour of first order."""
    # 1e-9 is more than the rounding error of a quotient, and less than what is printed.
    text = floored(100 * fraction + 1e-9, digits)
    return f"{text.replace('-', '−') if text.startswith('-') else f'+{text}'} %"


def abstentions(series: Series) -> str:
    """How many inputs have no certificate, by reason."""
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


def _share_at(series: Series, at: str) -> str:
    return share(int(series.count_at(float(at))), len(series))


def _time_per_input(seconds: NDArray[np.float64]) -> str:
    known = seconds[~np.isnan(seconds)]
    return f"{np.mean(known):.3g} s" if len(known) else UNKNOWN

"""Finding where a log contradicts the settings it is read with, as a mistyped sigma, n or alpha."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.proportion import proportion_lower_bound
from sosmooth.interchange.log_settings import LogSettings
from sosmooth.methods import method_named
from sosmooth.tally import Design, Tally

# Logs print to nearest or down, and other programs' bounds differ in their last digits.
_UNITS = 2
_EXPORTED = 1e-6  # `export` prints six digits after the point


def largest_radius(method: str, *, n: int, alpha: float, sigma: float) -> float:
    """The largest radius that a certificate of n evaluations can have.

    First order: `σ Φ⁻¹(alpha^(1/n))`, its radius where all evaluations are right. Other methods:
    the radius of a slab of probability `alpha^(1/n)` (for n/2 pairs, `alpha^(2/n)`). If the slab is
    the classifier, all evaluations are right with probability alpha, so a larger radius would be
    wrong too often.

    Args:
        method: a key of `METHODS`.
        n: estimation samples, evaluations, at least 1.
        alpha: failure probability, in (0, 1).
        sigma: input units, positive.

    Returns:
        Input units.
    """
    pairs = method_named(method).design is Design.ANTITHETIC
    log = np.log(alpha) / (n // 2 if pairs else n)
    if method == "first_order":
        return float(first_order_radius(error=-np.expm1(log), sigma=sigma))
    return float(dipole_radius(np.exp(log), 0.0, sigma=sigma))


def printed_unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One unit of the last digit that a column is printed with, for each of its values.

    Programs drop zeros at the end, so the column is taken to have as many digits, or as many
    decimals, as its longest number: at least two of each, and at most six decimals.

    Args:
        values: the column (rows,).

    Returns:
        Float64 (rows,).
    """
    digits = decimals = 2
    for value in np.unique(values[np.isfinite(values) & (values != 0)]).tolist():
        printed = Decimal(repr(value)).normalize().as_tuple()
        digits = max(digits, len(printed.digits))
        decimals = max(decimals, -int(printed.exponent))
    with np.errstate(divide="ignore"):
        power = np.floor(np.log10(np.abs(values)))
    return np.maximum(np.maximum(10.0**-decimals, 10.0 ** (power - digits + 1)), _EXPORTED)


def rounding(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the printed numbers of a log may be from the exact ones, (rows,)."""
    return _UNITS * printed_unit(values)


@dataclass(frozen=True)
class Contradiction:
    """Rows that are wrong, and the message for one of them.

    Attributes:
        wrong: which rows are wrong, (rows,).
        message: gives the message for a row.
    """

    wrong: NDArray[np.bool_]
    message: Callable[[int], str]


def contradictions(
    settings: LogSettings,
    tally: Tally,
    radius: NDArray[np.float64],
    printed: dict[str, NDArray[np.float64]],
) -> Iterator[Contradiction]:
    """Values in the certified rows of a log that the settings cannot give.

    Args:
        settings: with which the log is read.
        tally: its counts, if it has any.
        radius: as printed, 0 where the log abstained.
        printed: the bounds beside the counts and `raw_grad_norm`, by column.

    Yields:
        Each kind of contradiction, with the rows where it occurs.
    """
    certified = radius > 0
    method, n, sigma, alpha = settings.method, settings.n, settings.sigma, settings.alpha
    given = f"sigma = {sigma:g}, n = {n} and alpha = {alpha:g}"
    most = largest_radius(method, n=n, alpha=alpha, sigma=sigma)
    yield Contradiction(
        radius > most * (1 + 1e-9) + printed_unit(radius) / 2,
        lambda row: (
            f"radius is {radius[row]:g}, but with {given} no {method} radius is above"
            f" {most:.6g}; check sigma, n and alpha, and whether the radii are l2"
        ),
    )
    if tally.arrays().keys() == {"n"}:
        return
    bounds, _ = method_named(method).certify(tally, alpha, sigma)
    for name, expected in _bounds_by_column(tally, bounds, alpha).items():
        if name in printed:
            yield Contradiction(
                certified & (np.abs(printed[name] - expected) > rounding(printed[name])),
                lambda row, name=name, expected=expected: (
                    f"{name} is {printed[name][row]:g}, but the counts give {expected[row]:.6g}"
                    f" with {given}; check n and alpha"
                ),
            )
    low, high = _between(method, tally, printed, alpha, sigma)
    slack = rounding(radius)
    yield Contradiction(
        certified & ((radius < low - slack) | (radius > high + slack)),
        lambda row: (
            f"radius is {radius[row]:g}, but the counts give {high[row]:.6g} with {given};"
            " check sigma, n and alpha"
        ),
    )


def _bounds_by_column(tally: Tally, bounds: Bounds, alpha: float) -> dict[str, NDArray[np.float64]]:
    if tally.pair_both is None or tally.pair_plus_only is None:
        return {"p_A_bar": bounds.required("p_lower")}
    # The second bound as estimated: `bounds` may have lowered it further.
    one = proportion_lower_bound(tally.pair_plus_only, tally.n // 2, alpha / 2)
    return {"p_A_symmetric_bar": bounds.required("c_s_lower"), "p_A_asymmetric_bar": one}


def _between(
    method: str,
    tally: Tally,
    printed: dict[str, NDArray[np.float64]],
    alpha: float,
    sigma: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smallest and largest radii that the counts give, as the gradient's root is rounded."""
    row = method_named(method)
    tallies = [tally]
    if (root := printed.get("raw_grad_norm")) is not None:
        ends = (root - rounding(root), root + rounding(root))
        tallies = [replace(tally, gradient_sq_estimate=np.sign(end) * end**2) for end in ends]
    radii = [row.certify(one, alpha, sigma)[1] for one in tallies]
    return np.minimum.reduce(radii), np.maximum.reduce(radii)

"""Figures of radii: accuracy and mean radius, other units, and radii as text, rounded down."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Context, Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The prediction of an input for which nothing is certified.
ABSTAINED = -1


def certified_accuracy(prediction, label, radius, at) -> NDArray[np.float64]:
    """Share of the inputs certified with their label at a radius of at least `at`.

    Args:
        prediction, label: integers (batch,). radius: input units (batch,). at: radii, any shape.
    Returns:
        Float64 of the shape of `at`, in [0, 1].
    """
    right = np.where(np.asarray(prediction) == np.asarray(label), radius, -1.0)
    right = np.where(np.asarray(prediction) == ABSTAINED, -1.0, right)
    return np.mean(right >= np.asarray(at)[..., None], axis=-1)[()]


def average_certified_radius(prediction, label, radius) -> float:
    """Mean over all inputs of the radius, counted 0 where the prediction is not the label. Input units."""
    return float(np.mean(np.where(np.asarray(prediction) == np.asarray(label), radius, 0.0)))


def in_grey_levels(radius: ArrayLike) -> NDArray[np.float64]:
    """The radius of images in [0, 1] as it is for pixels from 0 to 255: `255 · radius`.

    Args:
        radius: l2 radius, input units, any shape.
    Returns:
        Float64 of that shape, in units of 1/255 of the input unit, rounded down.

    >>> floored(float(in_grey_levels(0.5)))
    '127.499'
    """
    return (np.asarray(radius, np.float64) * (255.0 * _DOWN))[()]


def linf_radius(radius: ArrayLike, dimension: int) -> NDArray[np.float64]:
    """The l∞ radius that an l2 radius implies: `radius / √d`, as `‖δ‖₂ ≤ √d ‖δ‖∞`.

    It is what Gaussian noise can promise, and little: certificates made for l∞ reach further in high dimension.

    Args:
        radius: l2 radius, input units, any shape. dimension: d, the features of one input, at least 1.
    Returns:
        Float64 of that shape, input units, rounded down.
    Raises:
        ValueError: a dimension below 1.

    >>> floored(float(linf_radius(0.5, 49)), 4)
    '0.0714'
    """
    if dimension < 1:
        raise ValueError(
            f"the dimension must be at least 1, the features of one input; got {dimension}"
        )
    return (np.asarray(radius, np.float64) * _DOWN / np.sqrt(float(dimension)))[()]


# Less than one by more than the rounding errors of the two operations and the root.
_DOWN = 1 - 2.0**-50


def floored(radius: float, digits: int = 3) -> str:
    """The radius as text with `digits` digits after the point, rounded down: `⌊radius · 10^digits⌋ / 10^digits`.

    Exact: the digits are those of the binary number itself, so that the decimal printed never exceeds it.

    Args:
        radius: any number but NaN; input units. digits: 0 or more.
    Returns:
        A decimal without exponent; `inf` or `-inf` for these.
    Raises:
        ValueError: NaN, or a negative number of digits.
    Guarantee:
        `Decimal(floored(r, k)) ≤ Decimal(r)`, and it is short of it by less than one unit of the last digit.

    >>> floored(0.7899999)
    '0.789'
    """
    if math.isnan(radius) or digits < 0:
        raise ValueError(
            f"a radius that is a number and digits of at least 0 are needed; got {radius!r} and {digits!r}"
        )
    if math.isinf(radius):
        return str(float(radius))
    exact = Decimal(float(radius)).quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    return f"{exact:f}"


# A float64 has at most 309 digits before the point and 1074 behind it.
_EXACT = Context(prec=1400, rounding=ROUND_FLOOR)

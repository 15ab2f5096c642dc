"""Figures of radii: accuracy and mean radius, other units, and radii as text, rounded down."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Context, Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The prediction of an input for which nothing is certified.
ABSTAINED = -1


def certified_accuracy(prediction, label, radius, at) -> NDArray[np.float64]:
    """Fraction of the inputs that are certified with their label at a radius of at least `at`.

    Args:
        prediction: certified classes, −1 where abstained, integers (batch,).
        label: true classes, integers (batch,).
        radius: certified radii, input units (batch,).
        at: radii to evaluate at, input units, any shape.

    Returns:
        Float64 of the shape of `at`, in [0, 1].
    """
    right = np.where(np.asarray(prediction) == np.asarray(label), radius, -1.0)
    right = np.where(np.asarray(prediction) == ABSTAINED, -1.0, right)
    return np.mean(right >= np.asarray(at)[..., None], axis=-1)[()]


def average_certified_radius(prediction, label, radius) -> float:
    """Mean radius over all inputs, where an input without the right prediction counts as 0.

    Args:
        prediction: certified classes, integers (batch,).
        label: true classes, integers (batch,).
        radius: certified radii, input units (batch,).

    Returns:
        The mean, input units.
    """
    return float(np.mean(np.where(np.asarray(prediction) == np.asarray(label), radius, 0.0)))


def in_grey_levels(radius: ArrayLike) -> NDArray[np.float64]:
    """The radius of images in [0, 1] on the scale of pixels from 0 to 255: `255 · radius`.

    Args:
        radius: l2 radius, input units, any shape.

    Returns:
        Float64 of that shape, in units of 1/255 of the input unit, rounded down.

    >>> floored(float(in_grey_levels(0.5)))
    '127.499'
    """
    return (np.asarray(radius, np.float64) * (255.0 * _DOWN))[()]


def linf_radius(radius: ArrayLike, dimension: int) -> NDArray[np.float64]:
    """The l∞ radius that an l2 radius implies: `radius / √d`, since `‖δ‖₂ ≤ √d ‖δ‖∞`.

    It is small: in high dimension, certificates made for l∞ reach further than Gaussian noise can.

    Args:
        radius: l2 radius, input units, any shape.
        dimension: d, the features of one input, at least 1.

    Returns:
        Float64 of that shape, input units, rounded down.

    Raises:
        ValueError: the dimension is below 1.

    >>> floored(float(linf_radius(0.5, 49)), 4)
    '0.0714'
    """
    if dimension < 1:
        raise ValueError(
            f"dimension must be the number of features of one input, at least 1; got {dimension}"
        )
    return (np.asarray(radius, np.float64) * _DOWN / np.sqrt(float(dimension)))[()]


# Below 1 by more than the rounding errors of the two operations and the root.
_DOWN = 1 - 2.0**-50


def floored(radius: float, digits: int = 3) -> str:
    """The radius as text, rounded down: `⌊radius · 10^digits⌋ / 10^digits`.

    The digits are exactly those of the binary number, so the printed decimal never exceeds it.

    Args:
        radius: any number except NaN; input units.
        digits: digits after the point, 0 or more.

    Returns:
        A decimal without exponent; `inf` or `-inf` for these.

    Raises:
        ValueError: radius is NaN, or digits is negative.

    Guarantee:
        `Decimal(floored(r, k)) ≤ Decimal(r)`, and the difference is less than one unit of the last
        digit.

    >>> floored(0.7899999)
    '0.789'
    """
    if math.isnan(radius) or digits < 0:
        raise ValueError(
            "radius must be a number, not NaN, and digits at least 0; got"
            f" radius={radius!r} and digits={digits!r}"
        )
    if math.isinf(radius):
        return str(float(radius))
    exact = Decimal(float(radius)).quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    return f"{exact:f}"


# A float64 has at most 309 digits before the point and 1074 behind it.
_EXACT = Context(prec=1400, rounding=ROUND_FLOOR)

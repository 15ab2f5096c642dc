"""Figures of radii: accuracy and mean radius, other units, and radii as text, rounded down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The prediction of an input for which nothing is certified.
ABSTAINED = -1
#: The label of an input whose true class is not known.
UNKNOWN_LABEL = -1


def certified_accuracy(prediction, label, radius, at) -> NDArray[np.float64]:
    """Fraction of the inputs certified with their label at a radius of at least `at`.

    Args:
        prediction: classes, integers (batch,); −1 = abstained.
        label: classes, integers (batch,).
        radius: input units (batch,).
        at: radii, input units, any shape.

    Returns:
        Float64 of the shape of `at`, in [0, 1]; NaN where there are no inputs.
    """
    reached, total = certified_count(prediction, label, radius, at), np.size(prediction)
    return (reached / total if total else np.full(np.shape(at), math.nan))[()]


def certified_count(prediction, label, radius, at) -> NDArray[np.int64]:
    """How many inputs are certified with their label at a radius of at least `at`.

    Args:
        prediction: classes, integers (batch,); −1 = abstained.
        label: classes, integers (batch,).
        radius: input units (batch,).
        at: radii, input units, any shape.

    Returns:
        Int64 of the shape of `at`.
    """
    reached = np.sort(np.asarray(radius)[_right(prediction, label)])
    return np.asarray(len(reached) - np.searchsorted(reached, np.asarray(at)))


def average_certified_radius(prediction, label, radius) -> float:
    """Mean over all inputs of the radius, counted 0 where the prediction is not the label.

    Args:
        prediction: classes, integers (batch,); −1 = abstained.
        label: classes, integers (batch,).
        radius: input units (batch,).

    Returns:
        Input units; NaN where there are no inputs.
    """
    total = np.size(prediction)
    kept = np.where(_right(prediction, label), radius, 0.0)
    return float(np.sum(kept) / total) if total else math.nan


def _right(prediction, label) -> NDArray[np.bool_]:
    return (np.asarray(prediction) == np.asarray(label)) & (np.asarray(prediction) != ABSTAINED)


#: A distribution of p̂ is summed up by the fractions of the inputs above each of these.
LEVELS = ("0.5", "0.7", "0.9", "0.99", "0.999")


def fractions_above(p_estimate: ArrayLike) -> dict[str, str]:
    """A distribution of p̂ in a few figures: each of `LEVELS` → percentage of the inputs above it.

    Args:
        p_estimate: in [0, 1], (inputs,), at least one.

    Returns:
        Percentages as text, rounded down.
    """
    values = np.asarray(p_estimate, np.float64)
    found = {}
    for level in LEVELS:
        tenths = 1000 * int(np.sum(values > float(level))) // len(values)
        found[level] = f"{tenths // 10}.{tenths % 10} %"
    return found


def norm_of(settings: Mapping[str, Any]) -> str:
    """What the radii of a run with these settings are measured in.

    It is l2 unless another norm was asked for, or a log of other code says so.
    """
    return settings.get("norm", "l2")


def class_called(number: int, names: Sequence[str] | None) -> str:
    """The name of a class, or its number where it has none.

    Args:
        number: of the class.
        names: of the classes; None: none is known.
    """
    names = names or ()
    return names[number] if 0 <= number < len(names) else str(number)


def with_norm(settings: Mapping[str, Any], norm: str) -> dict[str, Any]:
    """The settings of a run whose radii have this norm; l2 is not written down.

    Args:
        settings: of a run.
        norm: of its radii.
    """
    others = {name: value for name, value in settings.items() if name != "norm"}
    return others if norm == "l2" else others | {"norm": norm}


def most_by_guessing(num_classes: int) -> float:
    """The accuracy up to which answers are hardly better than guesses.

    Guesses among K classes are right with probability 1/K; the limit is by half as much larger for
    many classes, and 0.625 for two.

    Args:
        num_classes: K, at least 1.
    """
    return (1.5 - 0.5 / num_classes) / num_classes


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

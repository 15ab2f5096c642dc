"""Bounds for balls of other norms than l2, from the bounds for l2.

Statement and proof: docs/theory/other_norms.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sosmooth._numbers import EPS, Floats
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.direction_bounds import slope_shortfall
from sosmooth.confidence.pair_gradient import SUM_ERROR
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.tally import Tally

#: Norms of radii.
NORMS = ("l2", "l1", "linf")
#: l2 changes of an image within some of its frequencies alone: a shift of each colour, or the K
#: lowest along each side.
COLOR, LOW_FREQUENCY = "color", "low_frequency"
# What the slope along the nearest change gets of alpha, and its parts: for the slope, and for the
# probability that the two sides of a pair differ. It is small, because where the slope helps
# nowhere the counts have to pay for it (docs/theory/other_norms.md, "What is spent").
_SHARE, _SLOPE, _PROBABILITY = 0.002, 0.9, 0.1
# By norm, the end of the field that holds the dual norm of a mean of h z.
_DUAL = {"l1": "largest", "linf": "total"}


def checked_norm(norm: str) -> str:
    """The norm of radii, as it is stored.

    Args:
        norm: one of `NORMS`, "color", or "low_frequency:K".

    Raises:
        ValueError: it is none of them.
    """
    if norm in NORMS or frequencies(norm) is not None:
        return norm
    raise ValueError(
        f"norm must be one of {', '.join(NORMS)}, {COLOR} or {LOW_FREQUENCY}:K; got {norm!r}"
    )


def frequencies(norm: str) -> int | None:
    """How many frequencies along each side of an image may change; None: all.

    Args:
        norm: as for `checked_norm`.

    Raises:
        ValueError: the number is none.
    """
    if norm == COLOR:
        return 1
    name, _, number = norm.partition(":")
    if name != LOW_FREQUENCY:
        return None
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise ValueError(
            f"{LOW_FREQUENCY}:K needs a whole number K of at least 1, the frequencies along each"
            f" side; got {norm!r}"
        )
    return int(number)


def largest_l2_length(norm: str, dimension: int | None) -> float:
    """The largest l2 length of a vector that has length 1 in the norm.

    Args:
        norm: as for `checked_norm`.
        dimension: features of an input; None: unknown.

    Raises:
        LookupError: the dimension is needed and unknown.
    """
    if norm != "linf":
        return 1.0
    if dimension is None:
        raise LookupError("the dimension of the inputs, which the log did not hold")
    return math.sqrt(dimension)


def steepest_in_norm(tally: Tally, norm: str, mean: str) -> Floats:
    """The largest slope of a mean of h z over the unit vectors that matter: its dual norm over K.

    For frequencies that were not counted it is that over the next ones that were.

    Args:
        tally: of antithetic pairs.
        norm: of the radii, not "l2".
        mean: "direction", that over the first pairs, or "curvature", that over all of them.

    Returns:
        Float64 (batch,), units of the noise, rounded up.

    Raises:
        LookupError: the tally lacks what is needed (the message names it).

    Source:
        docs/theory/other_norms.md.
    """
    number = frequencies(norm)
    name = f"{mean}_{_DUAL[norm] if number is None else 'low'}"
    dual = tally.required(name)
    if number is not None:
        place, kept = (number - 1).bit_length(), dual.shape[1]
        if place >= kept:
            most = f"{LOW_FREQUENCY}:{2 ** (kept - 1)} is the last"
            raise LookupError(
                f"the frequencies of {norm}: of inputs of this shape "
                + (most if kept else "none were kept, they are no images")
            )
        dual = dual[:, place]
    if np.any(np.isnan(dual)):
        raise LookupError(f"{name}, which earlier versions of sosmooth did not store")
    return dual / largest_l2_length(norm, tally.dimension) * (1 + 4 * EPS)


def corners_in_norm(
    tally: Tally,
    alpha: float,
    sigma: float,
    *,
    norm: str,
    corners: Callable[[Tally, float, float], Bounds],
) -> Bounds:
    """The corners of `corners`, with the slope that a change of that norm can have at most.

    Args:
        tally: of antithetic pairs.
        alpha: failure probability, in (0, 1).
        sigma: noise level, input units.
        norm: of the radii, not "l2".
        corners: of the l2 certificate; it bounds the gradient norm.

    Returns:
        Bounds as `corners` returns them. `gradient_norm_upper` is an upper bound of the slope
        downwards along the nearest change that matters, not of the gradient norm.

    Raises:
        LookupError: the tally lacks what is needed (the message names it).

    Guarantee:
        With probability at least 1 − alpha, for each input by itself: the l2 distance D that
        follows from the bounds is at most K times the distance, in the norm, of the nearest input
        at which the class is lost, with K = `largest_l2_length`.

    Source:
        docs/theory/other_norms.md.
    """
    bounds = corners(tally, (1 - _SHARE) * alpha, sigma)
    pairs = tally.required("direction_pairs")
    one = tally.required("pair_plus_only") + tally.required("pair_minus_only")
    one_upper = proportion_upper_bound(one, tally.n // 2, _PROBABILITY * _SHARE * alpha)
    short = slope_shortfall(one_upper, np.maximum(pairs, 1), _SLOPE * _SHARE * alpha)
    steepest = steepest_in_norm(tally, norm, "direction")
    slope = (steepest + short + SUM_ERROR) * (1 + 8 * EPS) / sigma
    slope = np.where(pairs > 0, slope, np.inf)
    return replace(
        bounds, gradient_norm_upper=np.minimum(bounds.required("gradient_norm_upper"), slope)
    )

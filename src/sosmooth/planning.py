"""What other numbers of samples would give, from the tallies of a pilot: estimates for planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth.confidence.pair_mean import ACROSS_AXIS, OF_GRADIENT
from sosmooth.methods import bounds_and_radii
from sosmooth.tally import Design, Tally

#: More evaluations of one input than anybody plans for.
MOST = 10**9
_OF_OTHER_NORMS = tuple(
    f"{mean}_{part}" for mean in ("direction", "curvature") for part in ("largest", "total", "low")
)
# Numbers of evaluations that `samples_for_radius` considers: a fifth apart.
_GRID = np.unique(2 * np.round(np.geomspace(1, MOST / 2, 111)).astype(np.int64))


def scaled(tally: Tally, n: ArrayLike) -> Tally:
    """The tally that n evaluations would give if every fraction stayed as observed.

    The length of the gradient's mean consists of the gradient and of chance,
    `‖X̄‖² ≈ γ² + d p_E / (4 n₁)`; only the second part falls with more pairs. Likewise chance
    spreads the eigenvalues of the curvature by `2 √(d v / n₁)`, with `v = E (u − c)²`. Where no
    curvature was drawn none is expected, though with more samples it may be.

    Args:
        tally: of a pilot, (batch,).
        n: evaluations, even for pairs; a number, or (batch,).
    """
    n = np.broadcast_to(np.asarray(n, dtype=np.int64), (len(tally),)).copy()
    arrays = tally.arrays()
    classes = _scaled_classes(tally, n)
    if tally.design is not Design.ANTITHETIC:
        return replace(tally, n=n, count_top=_whole(arrays["count_top"] * (n / tally.n)), **classes)
    pairs, factor = n // 2, n / tally.n
    plus, minus, none = (
        _whole(arrays[name] * factor) for name in ("pair_plus_only", "pair_minus_only", "pair_none")
    )
    both = np.maximum(pairs - plus - minus - none, 0)
    counts = {
        "pair_both": both,
        "pair_plus_only": plus,
        "pair_minus_only": minus,
        "pair_none": pairs - both - plus - minus,
    }
    if tally.direction_pairs is not None:
        counts |= _scaled_mean(tally, factor, "direction_one", OF_GRADIENT)
    if tally.axis_pairs is not None:
        counts |= _scaled_mean(tally, factor, "across_one", ACROSS_AXIS)
        # All of them, though each of the two numbers of pairs was rounded.
        counts["axis_pairs"] = counts["across_pairs"] + counts["across_slope_pairs"]
    if tally.curvature_center is not None:
        counts |= _scaled_curvature(tally, factor)
    # Plans are for l2 radii: what other norms need is not scaled, so it is left out.
    counts |= dict.fromkeys(_OF_OTHER_NORMS)
    return replace(tally, n=n, count_top=2 * both + plus + minus, **counts, **classes)


def expected_radius(
    method: str, tally: Tally, n: ArrayLike, *, alpha: float, sigma: float, classes: str = "top"
) -> NDArray[np.float64]:
    """The radius that n evaluations would certify if every fraction stayed as observed.

    Args:
        method: a key of `METHODS`.
        tally: of a pilot, (batch,).
        n: evaluations, even for pairs; a number, or (batch,).
        alpha: failure probability, in (0, 1).
        sigma: noise level, input units.
        classes: what the class is compared with, one of `CLASSES`.

    Returns:
        Float64 (batch,), input units. An estimate: it has no guarantee.

    Raises:
        ValueError: unknown method.
        LookupError: the tally lacks what the method needs.
    """
    return bounds_and_radii(method, scaled(tally, n), alpha=alpha, sigma=sigma, classes=classes)[1]


def samples_for_radius(
    method: str, tally: Tally, radius: float, *, alpha: float, sigma: float, classes: str = "top"
) -> NDArray[np.int64]:
    """How many evaluations would certify a radius if every fraction stayed as observed.

    Args:
        method: as for `expected_radius`.
        tally: as for `expected_radius`.
        radius: input units.
        alpha: as for `expected_radius`.
        sigma: as for `expected_radius`.
        classes: as for `expected_radius`.

    Returns:
        int64 (batch,), to within a fifth; −1 where more than 1e9 would be needed, or no number is
        enough.

    Raises:
        ValueError: as for `expected_radius`.
        LookupError: as for `expected_radius`.
    """
    low, high = np.zeros(len(tally), dtype=np.int64), np.full(len(tally), len(_GRID))
    while np.any(low < high):
        middle = np.minimum((low + high) // 2, len(_GRID) - 1)
        expected = expected_radius(
            method, tally, _GRID[middle], alpha=alpha, sigma=sigma, classes=classes
        )
        enough = expected >= radius
        going = low < high
        low, high = (
            np.where(going & ~enough, middle + 1, low),
            np.where(going & enough, middle, high),
        )
    return np.where(low < len(_GRID), _GRID[np.minimum(low, len(_GRID) - 1)], -1)


def _scaled_classes(tally: Tally, n: NDArray[np.int64]) -> dict[str, NDArray]:
    if not tally.counts_classes:
        return {}
    assert tally.class_same is not None
    factor = (n / tally.n)[:, None]
    same = _whole(tally.class_same * factor)
    if tally.class_one is None:
        return {"class_same": same}
    one = np.minimum(_whole(tally.class_one * factor), (n // 2)[:, None] - same)
    return {"class_same": same, "class_one": one}


def _scaled_mean(
    tally: Tally, factor: NDArray[np.float64], one_name: str, names: Sequence[str]
) -> dict[str, NDArray]:
    """A mean over pairs, of which so many disagree, and the slope along it; by their names."""
    arrays = tally.arrays()
    one = arrays[one_name]
    norm, pairs, slope_pairs, total, total_sq = (arrays[name] for name in names)
    new_pairs = _whole(pairs * factor)
    noise = 0.25 * (tally.dimension or 1) * one / np.maximum(pairs, 1)
    of_gradient = np.maximum(norm**2 - noise / np.maximum(pairs, 1), 0.0)
    new_norm = np.sqrt(of_gradient + noise / np.maximum(new_pairs, 1))
    turned = np.divide(norm, new_norm, out=np.ones(len(norm)), where=new_norm > 0)
    scaled_ = (
        new_norm,
        new_pairs,
        _whole(slope_pairs * factor),
        total * factor * turned,
        total_sq * factor,
    )
    new_one = np.minimum(_whole(one * factor), new_pairs)
    return {one_name: new_one, **dict(zip(names, scaled_, strict=True))}


def _scaled_curvature(tally: Tally, factor: NDArray[np.float64]) -> dict[str, NDArray]:
    found, dimension = tally.arrays(), tally.dimension or 1
    theta, squares = found["curvature_eigenvalues"], found["curvature_squares"]
    center, pairs = found["curvature_center"], tally.n / 2
    one = found["pair_plus_only"] + found["pair_minus_only"]
    weights = ((found["pair_both"], 0.0), (one, 0.5), (found["pair_none"], 1.0))
    variance = sum(count * (wrong - center) ** 2 for count, wrong in weights) / pairs
    spread = 2 * np.sqrt(dimension * variance / pairs)
    middle = 0.5 * (theta[:, :1] + theta[:, -1:])
    half = 0.5 * (theta[:, -1] - theta[:, 0])
    eigenvalues = middle + (theta - middle) * _without_chance(half, spread, factor)[:, None]
    length = np.sqrt(squares.sum(axis=1))
    chance = np.sqrt(0.25 * dimension * one) / pairs
    shrunk = squares * _without_chance(length, chance, factor)[:, None] ** 2
    return {"curvature_eigenvalues": eigenvalues, "curvature_squares": shrunk}


def _without_chance(
    observed: NDArray[np.float64], chance: NDArray[np.float64], factor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What remains of a length, as a share, where its part of chance falls with more pairs."""
    of_truth = np.maximum(observed**2 - chance**2, 0.0)
    scaled = np.sqrt(of_truth + np.minimum(chance, observed) ** 2 / factor)
    return np.divide(scaled, observed, out=np.ones(len(observed)), where=observed > 0)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(values).astype(np.int64)

"""What other numbers of samples would give, from the tallies of a pilot: estimates for planning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth.methods import bounds_and_radii
from sosmooth.tally import Design, Tally

#: More evaluations of one input than anybody plans for.
MOST = 10**9
# Numbers of evaluations that `samples_for_radius` considers: a fifth apart.
_GRID = np.unique(2 * np.round(np.geomspace(1, MOST / 2, 111)).astype(np.int64))


def scaled(tally: Tally, n: ArrayLike) -> Tally:
    """The tally that n evaluations would give if every fraction stayed as observed.

    The length of the gradient's mean consists of the gradient and of chance,
    `‖X̄‖² ≈ γ² + d p_E / (4 n₁)`; only the second part falls with more pairs. Slope and curvature
    along every direction stay as observed: more pairs would take chance out of them too.

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
        counts |= _scaled_gradient(tally, factor)
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


def _scaled_gradient(tally: Tally, factor: NDArray[np.float64]) -> dict[str, NDArray]:
    found = tally.arrays()
    pairs, norm = found["direction_pairs"], found["direction_norm"]
    new_pairs = _whole(pairs * factor)
    noise = 0.25 * (tally.dimension or 1) * found["direction_one"] / np.maximum(pairs, 1)
    of_gradient = np.maximum(norm**2 - noise / np.maximum(pairs, 1), 0.0)
    new_norm = np.sqrt(of_gradient + noise / np.maximum(new_pairs, 1))
    turned = np.divide(norm, new_norm, out=np.ones(len(norm)), where=new_norm > 0)
    return {
        "direction_pairs": new_pairs,
        "direction_one": np.minimum(_whole(found["direction_one"] * factor), new_pairs),
        "direction_norm": new_norm,
        # Plans are for l2 radii.
        "direction_largest": np.full(len(norm), np.inf),
        "direction_total": np.full(len(norm), np.inf),
        "slope_pairs": _whole(found["slope_pairs"] * factor),
        "slope_sum": found["slope_sum"] * factor * turned,
        "slope_sq_sum": found["slope_sq_sum"] * factor,
    }


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(values).astype(np.int64)

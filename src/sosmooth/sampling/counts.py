"""What sampling adds up: whole numbers only, so that no order or division of work changes a sum.

Sums of floats are rounded upward to multiples of 2^−30 (of 2^−20 for products of noise) block by
block. So the parts of one input's samples, counted anywhere and added in any order, give the tally
to the bit. Upward, because the methods bound the gradient from above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.curvature import moments
from sosmooth.sampling.low_frequencies import kept, lengths
from sosmooth.sampling.noise import block_vectors
from sosmooth.sampling.spectrum import shortened, spectrum
from sosmooth.tally import CURVATURE_KEPT, NO_CLASS, Design, Tally

_SUM_BITS = 30
_PRODUCT_BITS = 20  # products over all features are larger
# The sums that are kept for each class that was returned.
_OF_CLASSES = ("class_ids", "class_same", "class_one")


@dataclass(frozen=True)
class Estimation:
    """What is counted from the estimation samples of one input.

    Attributes:
        index: of the input: with the seed it determines the noise.
        design: how the noise is drawn.
        n: evaluations (a pair is two).
        selected: the class that is counted as right.
        dimension: features of the input.
        direction_share: of antithetic pairs, the share that gives the direction of the gradient; 0:
            no gradient is drawn; None: the gradient is no part of the tally.
        gradient_share: of alpha, for the gradient norm; for the record.
        curvature_center: by which the curvature of antithetic pairs is centred; NaN: no curvature
            is drawn; None: it is no part of the tally.
        curvature_share: of alpha, for slope and curvature; for the record.
        axis_center: by which the curvature along an axis is centred; NaN: nothing is drawn along
            one; None: it is no part of the tally.
        axis_share: of alpha, for all but the counts where there is an axis; for the record.
        axis: û, float64 (features,), fixed without the pairs; None: the first half of them gives
            it.
        num_classes: of the classifier; for the record.
        runner_up: the class that came second in the selection, −1 for none; for the record.
        image: channels, height and width of the input; None: it is no image.
    """

    index: int
    design: Design
    n: int
    selected: int
    dimension: int
    direction_share: float | None = None
    gradient_share: float = 0.0
    curvature_center: float | None = None
    curvature_share: float = 0.0
    axis_center: float | None = None
    axis_share: float = 0.0
    axis: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    num_classes: int | None = None
    runner_up: int = NO_CLASS
    image: tuple[int, int, int] | None = None

    @property
    def sides(self) -> int:
        """Evaluations of one noise vector."""
        return sides_of(self.design)

    @property
    def vectors(self) -> int:
        """Noise vectors."""
        return self.n // self.sides

    @property
    def direction_pairs(self) -> int:
        """The first pairs, which give the direction of the gradient."""
        return int(self.vectors * (self.direction_share or 0.0))

    @property
    def draws_curvature(self) -> bool:
        """Whether the curvature is drawn."""
        return self.curvature_center is not None and not math.isnan(self.curvature_center)

    @property
    def draws_axis(self) -> bool:
        """Whether slope and curvature along an axis are drawn."""
        return self.axis_center is not None and not math.isnan(self.axis_center)

    @property
    def axis_first_pairs(self) -> int:
        """The first pairs, which give the axis, or the direction of the gradient across it."""
        if self.axis is not None or 0 < self.direction_pairs < self.vectors:
            return self.direction_pairs
        # Whole blocks: one that belongs to both halves would be evaluated twice by workers.
        half, block = self.vectors // 2, block_vectors(self.dimension)
        return half - half % block if half > block else half

    @property
    def first_pairs(self) -> int:
        """The pairs that must be added up before the others: these need directions from them."""
        if not self.draws_axis:
            return self.direction_pairs
        return min(self.direction_pairs, self.axis_first_pairs)


@dataclass(frozen=True)
class Counts:
    """Sums over some of the noise vectors of one input.

    Attributes:
        sums: int64 arrays by name; what is not counted is absent. `right` (3,): on both sides, on
            the first, on the last. `invalid`: evaluations that were no vote. `class_ids` (seen,):
            the classes that were returned, ascending, with `class_same` and, of pairs, `class_one`,
            as in `Tally`. `products`. `direction` (features,), `direction_one`, `slopes` (2,): of y
            and of y². `curvature_mean`, `curvature`: as `PairCurvature.sums` gives them.
            `axis_along` (2,): of `h t` and of `−(u − c)(t² − 1)`. `axis_means` (2, features): of
            `h (z − t û)` over the first pairs (of `h z` where these give û) and over the rest; with
            `axis_one` (2,). `axis_slopes` (2,): of y and of y².
        why: what was no vote, in words.
    """

    sums: dict[str, NDArray[np.int64]]
    why: str = ""

    def __add__(self, other: Counts) -> Counts:
        """The sums over both."""
        names = [name for name in self.sums | other.sums if name not in _OF_CLASSES]
        sums = {
            name: np.asarray(self.sums.get(name, 0) + other.sums.get(name, 0)) for name in names
        }
        return Counts(sums | _merged(self.sums, other.sums), self.why or other.why)

    @property
    def invalid(self) -> int:
        """Evaluations that were no vote."""
        return int(self.sums["invalid"])

    def tally(self, estimation: Estimation, sigma: float) -> Tally:
        """The tally, of length 1, of all the vectors of `estimation`.

        Args:
            estimation: what was counted.
            sigma: noise level, input units.
        """
        of, sums = estimation, {name: value[None] for name, value in self.sums.items()}
        fields = counted(of.design, of.vectors, sums["right"])
        if of.design is Design.DISJOINT_PAIRS:
            fields["gradient_sq_estimate"] = (
                _from_fixed(sums["products"], _PRODUCT_BITS) / (of.n // 2) / sigma**2
            )
        if of.direction_share == 0:
            fields |= no_gradient(1, of.image)
        elif of.direction_share is not None:
            slopes = _from_fixed(sums["slopes"], _SUM_BITS)
            fields |= {
                "direction_pairs": np.array([of.direction_pairs]),
                "direction_one": sums["direction_one"],
                "direction_norm": np.array([self.direction(of)[1]]),
                **_sizes("direction", self._mean(of), of.image),
                "slope_pairs": np.array([of.vectors - of.direction_pairs]),
                "slope_sum": slopes[:, 0],
                "slope_sq_sum": slopes[:, 1],
                "gradient_share": np.array([of.gradient_share]),
            }
        if of.draws_curvature:
            fields |= self._curvature(of)
        elif of.curvature_center is not None:
            fields |= no_curvature(1, of.dimension, of.image)
        if of.draws_axis:
            fields |= self._axis(of)
        elif of.axis_center is not None:
            fields |= no_axis(1)
        others = self.sums["class_ids"] != of.selected
        fields |= {name: sums[name][:, others] for name in _OF_CLASSES if name in sums}
        return Tally(
            of.design,
            np.array([of.n]),
            dimension=of.dimension,
            num_classes=of.num_classes,
            runner_up=np.array([of.runner_up]),
            **fields,
        )

    def _curvature(self, of: Estimation) -> dict[str, Any]:
        """The fields of the tally that say how slope and curvature vary."""
        assert of.curvature_center is not None
        _, plus, minus = self.sums["right"].tolist()
        wrong = of.vectors - 0.5 * (plus + minus)
        mean, hessian = moments(
            self.sums["curvature_mean"],
            self.sums["curvature"],
            pairs=of.vectors,
            weight=wrong - of.curvature_center * of.vectors,
        )
        eigenvalues, squares = shortened(*spectrum(mean, hessian))
        return {
            "curvature_center": np.array([of.curvature_center]),
            "curvature_eigenvalues": eigenvalues[None],
            "curvature_squares": squares[None],
            **_sizes("curvature", mean, of.image),
            "curvature_share": np.array([of.curvature_share]),
        }

    def _axis(self, of: Estimation) -> dict[str, Any]:
        """The fields of the tally that say what is along an axis and across it."""
        first, rest = of.axis_first_pairs, of.vectors - of.axis_first_pairs
        # Where the first pairs gave the axis, only the rest says something along it.
        seen, across = (of.vectors, (0, first)) if of.axis is not None else (rest, (1, rest))
        which, pairs = across
        slope, curvature = _from_fixed(self.sums["axis_along"], _SUM_BITS) / seen
        slopes = _from_fixed(self.sums["axis_slopes"], _SUM_BITS)
        _, norm = _unit_and_norm(self.sums["axis_means"][which], pairs, of.dimension)
        counts = {
            "axis_pairs": seen,
            "across_pairs": pairs,
            "across_one": int(self.sums["axis_one"][which]),
            "across_slope_pairs": seen - pairs,
        }
        numbers = {
            "axis_center": of.axis_center,
            "axis_slope": slope,
            "axis_curvature": curvature,
            "across_norm": norm,
            "across_slope_sum": slopes[0],
            "across_slope_sq_sum": slopes[1],
            "axis_share": of.axis_share,
        }
        return {name: np.array([value]) for name, value in (counts | numbers).items()}

    def _mean(self, estimation: Estimation) -> NDArray[np.float64]:
        """The mean of `h z` over the pairs that give the direction, (features,)."""
        pairs = max(estimation.direction_pairs, 1)
        return _from_fixed(self.sums["direction"], _SUM_BITS) / pairs

    def direction(self, estimation: Estimation) -> tuple[NDArray[np.float64], float]:
        """The direction of the gradient, and an upper bound of the norm of the mean it is made of.

        Args:
            estimation: what was counted; only its first pairs enter.

        Returns:
            A vector (features,) of length 1, or of length 0 where no pair disagreed; and the norm,
            raised by what rounding the sums may have added to each coordinate.
        """
        of = estimation
        return _unit_and_norm(self.sums["direction"], of.direction_pairs, of.dimension)

    def axis_direction(self, estimation: Estimation) -> tuple[NDArray[np.float64], float]:
        """The direction that the pairs after the first ones need along an axis, and likewise.

        Args:
            estimation: what was counted; only its first pairs enter.

        Returns:
            The axis, or where it is given the direction of the gradient across it.
        """
        of = estimation
        return _unit_and_norm(self.sums["axis_means"][0], of.axis_first_pairs, of.dimension)


def _unit_and_norm(
    total: NDArray[np.int64], pairs: int, dimension: int
) -> tuple[NDArray[np.float64], float]:
    """A mean over pairs, from its sum, as a vector of length 1 and a length, rounded up."""
    pairs = max(pairs, 1)
    mean = _from_fixed(total, _SUM_BITS) / pairs
    # fsum is exact: the same direction on every machine.
    norm = math.sqrt(math.fsum(np.square(mean)))
    rounding = 2**-_SUM_BITS * math.ceil(pairs / block_vectors(dimension)) / pairs
    direction = mean / norm if norm else mean
    return direction, norm + math.sqrt(dimension) * rounding if norm else 0.0


def sides_of(design: Design) -> int:
    """Evaluations of one noise vector."""
    return 2 if design is Design.ANTITHETIC else 1


def sparse_classes(
    votes: NDArray[np.int64], without: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """`class_ids`, `class_same` and, of pairs, `class_one` of `Tally` from votes for every class.

    Args:
        votes: of independent evaluations, int64 (batch, 1, classes); of pairs for `x + ε`, for `x −
            ε` and on both sides, int64 (batch, 3, classes).
        without: a class of each input that is left out, int64 (batch,); None: all are listed.
    """
    seen = np.asarray(votes.any(axis=1))
    if without is not None:
        seen[np.arange(len(seen)), without] = False
    row, ids = np.nonzero(seen)
    length = seen.sum(axis=1)
    place = np.arange(len(row)) - (np.cumsum(length) - length)[row]
    of_class = votes[row, :, ids].T
    found = {"class_ids": ids, "class_same": of_class[-1]}
    if len(of_class) == 3:
        plus, minus, both = of_class
        found["class_one"] = plus + minus - 2 * both
    result = {}
    for name, values in found.items():
        fill = NO_CLASS if name == "class_ids" else 0
        result[name] = np.full((len(seen), length.max(initial=0)), fill, dtype=np.int64)
        result[name][row, place] = values
    return result


def _merged(
    one: dict[str, NDArray[np.int64]], other: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """The sums for each class over both; none where neither has any."""
    parts = [part for part in (one, other) if "class_ids" in part]
    if not parts:
        return {}
    ids, place = np.unique(
        np.concatenate([part["class_ids"] for part in parts]), return_inverse=True
    )
    merged = {"class_ids": ids}
    for name in _OF_CLASSES[1:]:
        if name in parts[0]:
            merged[name] = np.zeros(len(ids), dtype=np.int64)
            np.add.at(merged[name], place, np.concatenate([part[name] for part in parts]))
    return merged


def counted(design: Design, vectors: int, right: NDArray[np.int64]) -> dict[str, Any]:
    """The counts of a tally from `right`, (batch, 3).

    Args:
        design: how the noise was drawn.
        vectors: noise vectors of each input.
        right: those right on both sides, on the first, on the last, int64 (batch, 3).
    """
    both, plus, minus = right.T
    if design is not Design.ANTITHETIC:
        return {"count_top": plus}
    return {
        "count_top": plus + minus,
        "pair_both": both,
        "pair_plus_only": plus - both,
        "pair_minus_only": minus - both,
        "pair_none": vectors - plus - minus + both,
    }


def _sizes(
    of: str, mean: NDArray[np.float64], image: tuple[int, int, int] | None
) -> dict[str, Any]:
    """What other balls than those of l2 need of a mean; fsum adds up exactly."""
    size = np.abs(mean)
    return {
        f"{of}_largest": np.array([size.max(initial=0.0)]),
        f"{of}_total": np.array([math.fsum(size)]),
        f"{of}_low": lengths(mean, image)[None],
    }


def no_gradient(batch: int = 1, image: tuple[int, int, int] | None = None) -> dict[str, Any]:
    """The fields of a tally for which no gradient was drawn."""
    counts = {
        name: np.zeros(batch, dtype=np.int64)
        for name in ("direction_pairs", "direction_one", "slope_pairs")
    }
    return (
        counts
        | {
            name: np.zeros(batch)
            for name in (
                "direction_norm",
                "direction_largest",
                "direction_total",
                "slope_sum",
                "slope_sq_sum",
                "gradient_share",
            )
        }
        | {"direction_low": np.zeros((batch, kept(image)))}
    )


def no_curvature(
    batch: int, dimension: int, image: tuple[int, int, int] | None = None
) -> dict[str, Any]:
    """The fields of a tally for which no curvature was drawn."""
    nothing = np.full((batch, min(dimension, CURVATURE_KEPT)), np.nan)
    return {
        "curvature_center": np.full(batch, np.nan),
        "curvature_eigenvalues": nothing,
        "curvature_squares": nothing,
        "curvature_largest": np.full(batch, np.nan),
        "curvature_total": np.full(batch, np.nan),
        "curvature_low": np.zeros((batch, kept(image))),
        "curvature_share": np.zeros(batch),
    }


def no_axis(batch: int) -> dict[str, Any]:
    """The fields of a tally for which nothing was drawn along an axis."""
    counts = ("axis_pairs", "across_pairs", "across_one", "across_slope_pairs")
    sums = ("across_norm", "across_slope_sum", "across_slope_sq_sum", "axis_share")
    unknown = ("axis_center", "axis_slope", "axis_curvature")
    return (
        {name: np.zeros(batch, dtype=np.int64) for name in counts}
        | {name: np.zeros(batch) for name in sums}
        | {name: np.full(batch, np.nan) for name in unknown}
    )


def fixed_sum(block_sums: torch.Tensor) -> torch.Tensor:
    """Sums over a block as multiples of 2^−30, int64, rounded up."""
    return _to_fixed(block_sums, _SUM_BITS)


def fixed_products(block_sums: torch.Tensor) -> torch.Tensor:
    """Sums of products of noise vectors as multiples of 2^−20, int64, rounded up."""
    return _to_fixed(block_sums, _PRODUCT_BITS)


def _to_fixed(sums: torch.Tensor, bits: int) -> torch.Tensor:
    # A sum of 10^10 samples stays below 2^63: each is a normal deviate, or √dimension of them.
    return (sums * 2.0**bits).ceil().to(torch.int64)


def _from_fixed(sums: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
    return np.asarray(sums / 2.0**bits, dtype=np.float64)

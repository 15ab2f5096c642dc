"""What sampling adds up: whole numbers only, so that no order and no division of the work can change a sum.

Sums of floats are rounded upward to multiples of 2^−30 (of 2^−20 for products of noise) block by block. So the parts of one
input's samples, counted anywhere and added in any order, give the tally to the bit. Upward, because the methods bound the
gradient from above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.noise import block_vectors
from sosmooth.tally import Design, Tally

_SUM_BITS = 30
_PRODUCT_BITS = 20  # products over all features are larger


@dataclass(frozen=True)
class Estimation:
    """What is counted from the estimation samples of one input.

    Attributes:
        index: of the input: with the seed it determines the noise. selected: the class counted as right.
        n: evaluations (a pair is two). dimension: features of the input.
        direction_share: of antithetic pairs, the share that gives the direction of the gradient; 0: no gradient is drawn;
            None: the gradient is no part of the tally.
        gradient_share: of alpha, for the gradient norm; for the record.
        num_classes: count all of them; None: only the selected one.
    """

    index: int
    design: Design
    n: int
    selected: int
    dimension: int
    direction_share: float | None = None
    gradient_share: float = 0.0
    num_classes: int | None = None

    @property
    def sides(self) -> int:
        """Evaluations of one noise vector."""
        return 2 if self.design is Design.ANTITHETIC else 1

    @property
    def vectors(self) -> int:
        """Noise vectors."""
        return self.n // self.sides

    @property
    def direction_pairs(self) -> int:
        """The first pairs, which give the direction of the gradient."""
        return int(self.vectors * (self.direction_share or 0.0))


@dataclass(frozen=True)
class Counts:
    """Sums over some of the noise vectors of one input, int64; what is not counted is absent.

    `right`: on both sides, on the first, on the last; `invalid`; `products`; `class_same`, `class_one`; `direction` (features,),
    `direction_one`; `slopes`: of y and y². `why`: what was no vote, in words.
    """

    sums: dict[str, NDArray[np.int64]]
    why: str = ""

    def __add__(self, other: Counts) -> Counts:
        """The sums over both."""
        names = self.sums.keys() | other.sums.keys()
        return Counts(
            {name: np.asarray(self.sums.get(name, 0) + other.sums.get(name, 0)) for name in names},
            self.why or other.why,
        )

    @property
    def invalid(self) -> int:
        """Evaluations that were no vote."""
        return int(self.sums["invalid"])

    def tally(self, estimation: Estimation, sigma: float) -> Tally:
        """The tally, of length 1, of all the vectors of `estimation`."""
        of, sums = estimation, {name: value[None] for name, value in self.sums.items()}
        fields = counted(of.design, of.vectors, sums["right"])
        if of.design is Design.DISJOINT_PAIRS:
            fields["gradient_sq_estimate"] = (
                _from_fixed(sums["products"], _PRODUCT_BITS) / (of.n // 2) / sigma**2
            )
        if of.direction_share == 0:
            fields |= no_gradient()
        elif of.direction_share is not None:
            slopes = _from_fixed(sums["slopes"], _SUM_BITS)
            fields |= {
                "direction_pairs": np.array([of.direction_pairs]),
                "direction_one": sums["direction_one"],
                "direction_norm": np.array([self.direction(of)[1]]),
                "slope_pairs": np.array([of.vectors - of.direction_pairs]),
                "slope_sum": slopes[:, 0],
                "slope_sq_sum": slopes[:, 1],
                "gradient_share": np.array([of.gradient_share]),
            }
        if of.num_classes is not None:
            names = (
                {"class_same": "class_both", "class_one": "class_one"}
                if of.sides == 2
                else {"class_same": "class_counts"}
            )
            fields |= {field: sums[name] for name, field in names.items()}
        return Tally(of.design, np.array([of.n]), dimension=of.dimension, **fields)

    def direction(self, estimation: Estimation) -> tuple[NDArray[np.float64], float]:
        """The direction of the gradient, a vector of length 1 (of length 0 where no pair disagreed), and the norm of the mean.

        The norm is an upper bound of the exact mean's, by what rounding the sums may have added to each coordinate.
        """
        pairs = max(estimation.direction_pairs, 1)
        mean = _from_fixed(self.sums["direction"], _SUM_BITS) / pairs
        # fsum is exact: the same direction on every machine.
        norm = math.sqrt(math.fsum(np.square(mean)))
        rounding = 2**-_SUM_BITS * math.ceil(pairs / block_vectors(estimation.dimension)) / pairs
        direction = mean / norm if norm else mean
        return direction, norm + math.sqrt(estimation.dimension) * rounding if norm else 0.0


def counted(design: Design, vectors: int, right: NDArray[np.int64]) -> dict[str, Any]:
    """The counts of a tally from `right`, (batch, 3)."""
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


def no_gradient(batch: int = 1) -> dict[str, Any]:
    """The fields of a tally for which no gradient was drawn."""
    counts = {
        name: np.zeros(batch, dtype=np.int64)
        for name in ("direction_pairs", "direction_one", "slope_pairs")
    }
    return counts | {
        name: np.zeros(batch)
        for name in ("direction_norm", "slope_sum", "slope_sq_sum", "gradient_share")
    }


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

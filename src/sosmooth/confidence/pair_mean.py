"""The mean of `h z` over some pairs, the slope along it from others, and how long the truth can be.

Statements and proofs: docs/theory/gradient_from_pairs.md, docs/theory/running_direction.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import Floats
from sosmooth.confidence.pair_gradient import pair_gradient_norm_upper_bound
from sosmooth.confidence.running_direction import running_gradient_norm_upper_bound
from sosmooth.tally import Tally

#: The fields of a tally that hold a `PairMean`, in the order of its attributes.
OF_GRADIENT = ("direction_norm", "direction_pairs", "slope_pairs", "slope_sum", "slope_sq_sum")
ACROSS_AXIS = (
    "across_norm",
    "across_pairs",
    "across_slope_pairs",
    "across_slope_sum",
    "across_slope_sq_sum",
)


@dataclass(frozen=True)
class PairMean:
    """A mean over pairs, and the slope along it from other pairs; each array is (batch,).

    Of `h z`, or of `h z` less its part along a vector that was fixed before these pairs.

    Attributes:
        direction_norm: length of the mean.
        direction_pairs: pairs in the mean; which they are was fixed before they were drawn.
        slope_pairs: other pairs; 0: the mean is over all.
        slope_sum: sum over them of `y = min(h v·z, SLOPE_CAP)`, v along the mean, of length 1.
        slope_sq_sum: sum over them of `y²`.
    """

    direction_norm: Floats
    direction_pairs: NDArray[np.int64]
    slope_pairs: NDArray[np.int64]
    slope_sum: Floats
    slope_sq_sum: Floats

    @classmethod
    def of_gradient(cls, tally: Tally) -> PairMean:
        """The mean of `h z` of a tally that has a gradient for every input.

        Args:
            tally: of antithetic pairs.

        Raises:
            LookupError: it has none.
        """
        return cls(*(tally.required(name) for name in OF_GRADIENT))

    @classmethod
    def across_axis(cls, tally: Tally) -> PairMean:
        """The mean of `h (z − t û)` of a tally that has an axis for every input.

        Args:
            tally: of antithetic pairs.

        Raises:
            LookupError: it has none.
        """
        return cls(*(tally.required(name) for name in ACROSS_AXIS))

    def norm_upper_bound(
        self,
        pair_one: NDArray[np.int64],
        pairs: NDArray[np.int64],
        alpha: float,
        *,
        dimension: int,
    ) -> Floats:
        """Upper bound of the length of the mean's expectation, units of the noise, (batch,).

        Where there are slopes, by one bet on both; else by the length of the mean.

        Args:
            pair_one: pairs right on exactly one side, of all.
            pairs: all pairs.
            alpha: failure probability of each bound.
            dimension: features of one input. It only tunes: any number gives a valid bound.

        Raises:
            ValueError: alpha is outside (0, 1), or a count is out of range.

        Guarantee:
            For each input alone, for every base classifier with values in {0, 1}.
        """
        shape = np.broadcast_shapes(*(np.shape(value) for value in vars(self).values()))
        mean = PairMean(*(np.broadcast_to(value, shape) for value in vars(self).values()))
        one, all_pairs = np.broadcast_to(pair_one, shape), np.broadcast_to(pairs, shape)
        bound = np.empty(shape)
        blocks = np.stack([mean.direction_pairs, mean.slope_pairs], axis=-1)
        for first, rest in np.unique(blocks, axis=0).tolist():
            rows = (mean.direction_pairs == first) & (mean.slope_pairs == rest)
            own = {name: values[rows] for name, values in vars(mean).items()}
            if first and rest:
                bound[rows] = running_gradient_norm_upper_bound(
                    block_pairs=(first, rest),
                    direction_norms=own["direction_norm"][:, None],
                    slope_sums=own["slope_sum"][:, None],
                    slope_sq_sums=own["slope_sq_sum"][:, None],
                    pair_one=one[rows],
                    pairs=all_pairs[rows],
                    dimension=dimension,
                    sigma=1.0,
                    alpha=alpha,
                )
            else:
                bound[rows] = pair_gradient_norm_upper_bound(
                    direction_norm=own["direction_norm"],
                    direction_pairs=first,
                    pair_one=one[rows],
                    pairs=all_pairs[rows],
                    sigma=1.0,
                    alpha=alpha,
                )
        return bound

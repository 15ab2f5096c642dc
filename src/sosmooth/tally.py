"""What was counted: the sufficient statistics of a batch of inputs, one array element each.

A tally says nothing about probabilities (that is `confidence/`) and knows no classifier (that is `sampling/`). It is what a
run stores, so that any method needing no more than what was counted can be computed later, at another failure probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Design(StrEnum):
    """How the noise of the estimation samples is drawn."""

    INDEPENDENT = "independent"  # n independent vectors
    DISJOINT_PAIRS = (
        "disjoint_pairs"  # the same, and products over the pairs (1, 2), (3, 4), … (Theorem 2)
    )
    ANTITHETIC = "antithetic"  # n/2 independent vectors, each evaluated at x + ε and x − ε


#: Slopes `h û·z`, |h| ≤ 1/2, are cut off above this: |û·z| > 5 has probability 6e-7.
SLOPE_CAP = 2.5


@dataclass(frozen=True)
class Tally:
    """Counts of `batch` inputs. What the design did not count is None.

    Two tallies of one input are never added up: those of one seed would count the same samples
    twice, and a sum whose parts were looked at has no fixed n. Sample once, with the larger n.

    Attributes:
        design: how the noise was drawn.
        dimension: number of features of one input; None where it is unknown (some imported logs).
        n: evaluations of the classifier (a pair is two), int64 (batch,).
        count_top: evaluations that returned the selected class, int64 (batch,).
        pair_both: antithetic pairs right at `x + ε` and at `x − ε`, int64 (batch,).
        pair_plus_only: right at `x + ε` only. pair_minus_only: right at `x − ε` only. pair_none: wrong at both.
        gradient_sq_estimate: Theorem 2's unbiased estimate of `‖∇p‖₂²`, per squared input unit, may be negative,
            float64 (batch,).
        direction_pairs: the first pairs, which give the direction of the gradient, int64 (batch,); 0 where none was drawn.
            direction_one: those of them right on exactly one side.
        direction_norm: norm of `X̄`, the mean over them of `h z`, `h = (f(x + ε) − f(x − ε))/2`, `z = ε/σ`, float64 (batch,).
        slope_pairs: the other pairs, int64 (batch,). slope_sum, slope_sq_sum: sums over them of `y = min(h û·z, 2.5)`,
            `û = X̄/‖X̄‖`, and of `y²`, float64 (batch,).
        gradient_share: of alpha, for the gradient norm, fixed before the pairs were drawn, float64 (batch,);
            0 where none was drawn.
        class_counts: independent evaluations that returned each class, int64 (batch, classes); counted on request.
        class_both: pairs of which both sides returned each class. class_one: exactly one side; int64 (batch, classes), likewise.
        stopped_by: how n came about: None where it was fixed before drawing, else the rule that
            stopped the drawing, as its `repr`. Bounds for a fixed n do not hold for such counts:
            `confidence.published.required` refuses them.
    """

    design: Design
    n: NDArray[np.int64]
    dimension: int | None = None
    count_top: NDArray[np.int64] | None = None
    pair_both: NDArray[np.int64] | None = None
    pair_plus_only: NDArray[np.int64] | None = None
    pair_minus_only: NDArray[np.int64] | None = None
    pair_none: NDArray[np.int64] | None = None
    gradient_sq_estimate: NDArray[np.float64] | None = None
    direction_pairs: NDArray[np.int64] | None = None
    direction_one: NDArray[np.int64] | None = None
    direction_norm: NDArray[np.float64] | None = None
    slope_pairs: NDArray[np.int64] | None = None
    slope_sum: NDArray[np.float64] | None = None
    slope_sq_sum: NDArray[np.float64] | None = None
    gradient_share: NDArray[np.float64] | None = None
    class_counts: NDArray[np.int64] | None = None
    class_both: NDArray[np.int64] | None = None
    class_one: NDArray[np.int64] | None = None
    stopped_by: str | None = None

    def __len__(self) -> int:
        return len(self.n)

    def __getitem__(self, which: slice | NDArray) -> Tally:
        """The tally of some of the inputs."""
        return replace(self, **{name: values[which] for name, values in self.arrays().items()})

    def arrays(self) -> dict[str, NDArray]:
        """The per-input arrays that were counted, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def p_estimate(self) -> NDArray[np.float64]:
        """The observed share of right evaluations, float64 (batch,); NaN where no counts are known."""
        if self.count_top is not None:
            return self.count_top / self.n
        if self.pair_both is not None and self.pair_plus_only is not None:
            return (self.pair_both + self.pair_plus_only) / (
                self.n / 2
            )  # one side alone: the other was not logged
        return np.full(len(self), np.nan)

    def class_votes(self) -> NDArray[np.int64]:
        """Evaluations that returned each class, (batch, classes).

        Raises:
            LookupError: the classes were not counted.
        """
        if self.class_counts is not None:
            return self.class_counts
        if self.class_both is not None and self.class_one is not None:
            return 2 * self.class_both + self.class_one
        raise LookupError(
            'the counts of all classes, which this tally does not hold; sample with classes="all"'
        )


def concatenate(tallies: Sequence[Tally]) -> Tally:
    """One tally of all the inputs of several, which share design, dimension and what they counted.

    Raises:
        ValueError: not all of them were stopped by the same rule, or by none.
    """
    first = tallies[0]
    if any(tally.stopped_by != first.stopped_by for tally in tallies):
        raise ValueError(
            "tallies that different rules stopped cannot be put together; keep each rule's apart"
        )
    names = first.arrays().keys()
    return replace(
        first,
        **{name: np.concatenate([getattr(tally, name) for tally in tallies]) for name in names},
    )

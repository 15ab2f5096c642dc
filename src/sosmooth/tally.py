"""What was counted: the sufficient statistics of a batch of inputs, one array element an input.

A tally says nothing about probabilities (that is `confidence/`) and knows no classifier (that is
`sampling/`). A run stores it, so that any method that needs no more than these counts can be
computed later, at another failure probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sosmooth._equal import same_values


class Design(StrEnum):
    """How the noise of the estimation samples is drawn."""

    #: n independent vectors.
    INDEPENDENT = "independent"
    #: The same, and products over the pairs (1, 2), (3, 4), … (Theorem 2).
    DISJOINT_PAIRS = "disjoint_pairs"
    #: n/2 independent vectors ε, each evaluated at x + ε and at x − ε.
    ANTITHETIC = "antithetic"


#: Slopes `h û·z`, |h| ≤ 1/2, are cut off above this: |û·z| > 5 has probability 6e-7.
SLOPE_CAP = 2.5

#: For the curvature, z is rounded to multiples of this, so that its sums are exact.
CURVATURE_STEP = 2.0**-16
#: The number by which it is centred is a multiple of this, for the same reason.
CURVATURE_CENTER_STEP = 1 / 32
#: Eigenvalues of the curvature that a tally holds at most, and as many squares.
CURVATURE_KEPT = 64

#: In `runner_up` and `class_ids`: there is no such class.
NO_CLASS = -1

# What fills the rows of arrays (batch, seen) up to a common width.
_FILL = {"class_ids": NO_CLASS, "class_same": 0, "class_one": 0}


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts of `batch` inputs. What the design did not count is None.

    `tally[…]` picks inputs, by a slice, a mask or positions; an attribute is one count of all
    inputs, and `required(name)` the same where it may be missing. `Bounds` works likewise.

    Never add up two tallies of one input: those of one seed would count the same samples twice,
    and a sum whose parts were looked at has no fixed n. Sample once, with the larger n.

    The classes other than the selected one are counted sparsely: row i of `class_ids` lists those
    that were returned at least once for input i, and the arrays have the width `seen` of the
    longest list. So a hundred thousand classes take no more room than those that occur.

    Attributes:
        design: how the noise was drawn.
        n: evaluations of the classifier (a pair is two), int64 (batch,).
        dimension: number of features of one input; None where unknown (some imported logs).
        count_top: evaluations that returned the selected class, int64 (batch,).
        pair_both: antithetic pairs right at `x + ε` and at `x − ε`, int64 (batch,).
        pair_plus_only: pairs right at `x + ε` only, int64 (batch,).
        pair_minus_only: pairs right at `x − ε` only, int64 (batch,).
        pair_none: pairs wrong at both, int64 (batch,).
        gradient_sq_estimate: Theorem 2's unbiased estimate of `‖∇p‖₂²`, per squared input unit, may
            be negative, float64 (batch,).
        direction_pairs: the first pairs, which give the direction of the gradient, int64 (batch,);
            0 where none was drawn.
        direction_one: those of them right on exactly one side, int64 (batch,).
        direction_norm: norm of `X̄`, the mean over them of `h z`, `h = (f(x + ε) − f(x − ε))/2`, `z
            = ε/σ`, float64 (batch,).
        direction_largest: the largest absolute value in `X̄`, float64 (batch,); None in runs of
            earlier versions.
        direction_total: the sum of the absolute values in `X̄`, likewise.
        direction_low: length of the projection of `X̄` on the 1, 2, 4, … lowest frequencies of an
            image, float64 (batch, numbers); none of other inputs.
        slope_pairs: the other pairs, int64 (batch,).
        slope_sum: sum over them of `y = min(h û·z, 2.5)`, `û = X̄/‖X̄‖`, float64 (batch,).
        slope_sq_sum: sum over them of `y²`, float64 (batch,).
        gradient_share: of alpha, for the gradient norm, fixed before the pairs were drawn, float64
            (batch,); 0 where none was drawn.
        curvature_center: c, by which the curvature was centred, fixed before the pairs were drawn,
            float64 (batch,); this and the next ones are NaN where no curvature was drawn.
        curvature_eigenvalues: of `Ĥ`, the mean over all pairs of `−(u − c)(z zᵀ − I)`, u the wrong
            share of a pair (0, 1/2 or 1); ascending, float64 (batch, kept), at most
            `CURVATURE_KEPT` of them, with the lowest and the highest; rounded down.
        curvature_squares: squared coefficients of `X̂`, the mean over all pairs of `h z`, in the
            eigenvectors, float64 (batch, kept); the square of an eigenvalue that was not kept is
            shared out between its neighbours; rounded up.
        curvature_largest: the largest absolute value in that `X̂`, float64 (batch,).
        curvature_total: the sum of the absolute values in it, likewise.
        curvature_low: of that `X̂` as `direction_low` is of `X̄`.
        curvature_share: of alpha, for slope and curvature together, fixed before the pairs were
            drawn, float64 (batch,); 0 where none was drawn.
        axis_center: c of the curvature along an axis û, fixed before the pairs were drawn, float64
            (batch,); this, `axis_slope` and `axis_curvature` are NaN where nothing was drawn along
            an axis. With `t = û·z`:
        axis_pairs: the pairs that û does not depend on, int64 (batch,); 0 where none was drawn.
        axis_slope: mean over them of `h t`, float64 (batch,).
        axis_curvature: mean over them of `−(u − c)(t² − 1)`, float64 (batch,).
        across_norm: norm of `X̄`, the mean over some of them of `h (z − t û)`, float64 (batch,).
        across_pairs: how many, int64 (batch,).
        across_one: those of them right on exactly one side, int64 (batch,).
        across_slope_pairs: the others of the `axis_pairs`, int64 (batch,).
        across_slope_sum: sum over those of `y = min(h v·z, 2.5)`, `v = X̄/‖X̄‖`, float64 (batch,).
        across_slope_sq_sum: sum over them of `y²`, float64 (batch,).
        axis_share: of alpha, for all but the pair counts, fixed before the pairs were drawn,
            float64 (batch,); 0 where nothing was drawn along an axis.
        num_classes: number of classes of the classifier; None where unknown.
        runner_up: the class that came second in the selection samples, int64 (batch,); −1 where
            they returned the selected class only.
        class_ids: the other classes that the estimation samples returned, ascending, filled up with
            −1, int64 (batch, seen).
        class_same: pairs of which both sides returned that class, or, without pairs, evaluations
            that did; filled up with 0, int64 (batch, seen).
        class_one: pairs of which exactly one side returned it, int64 (batch, seen); None without
            pairs.
        stopped_by: None where n was fixed before drawing, else the `repr` of the rule that stopped
            the drawing. Bounds for a fixed n do not hold for such counts: `required` refuses them.
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
    direction_largest: NDArray[np.float64] | None = None
    direction_total: NDArray[np.float64] | None = None
    direction_low: NDArray[np.float64] | None = None
    slope_pairs: NDArray[np.int64] | None = None
    slope_sum: NDArray[np.float64] | None = None
    slope_sq_sum: NDArray[np.float64] | None = None
    gradient_share: NDArray[np.float64] | None = None
    curvature_center: NDArray[np.float64] | None = None
    curvature_eigenvalues: NDArray[np.float64] | None = None
    curvature_squares: NDArray[np.float64] | None = None
    curvature_largest: NDArray[np.float64] | None = None
    curvature_total: NDArray[np.float64] | None = None
    curvature_low: NDArray[np.float64] | None = None
    curvature_share: NDArray[np.float64] | None = None
    axis_center: NDArray[np.float64] | None = None
    axis_pairs: NDArray[np.int64] | None = None
    axis_slope: NDArray[np.float64] | None = None
    axis_curvature: NDArray[np.float64] | None = None
    across_norm: NDArray[np.float64] | None = None
    across_pairs: NDArray[np.int64] | None = None
    across_one: NDArray[np.int64] | None = None
    across_slope_pairs: NDArray[np.int64] | None = None
    across_slope_sum: NDArray[np.float64] | None = None
    across_slope_sq_sum: NDArray[np.float64] | None = None
    axis_share: NDArray[np.float64] | None = None
    num_classes: int | None = None
    runner_up: NDArray[np.int64] | None = None
    class_ids: NDArray[np.int64] | None = None
    class_same: NDArray[np.int64] | None = None
    class_one: NDArray[np.int64] | None = None
    stopped_by: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and same_values(self.trimmed(), other.trimmed())

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # arrays can change

    def __len__(self) -> int:
        return len(self.n)

    def __getitem__(self, which: slice | NDArray) -> Tally:
        """The tally of some of the inputs.

        Args:
            which: a slice, a mask (batch,), or positions, integers (inputs,).

        Raises:
            TypeError: anything else, for example a name.
        """
        check_picks_inputs(which)
        return replace(self, **{name: values[which] for name, values in self.arrays().items()})

    def required(self, name: str) -> NDArray:
        """The array of that name; every bound for a fixed n gets its counts here.

        Args:
            name: of an attribute.

        Raises:
            ValueError: a stopping rule decided how many samples were drawn.
            LookupError: the design did not count it; the message names what is missing.
        """
        if self.stopped_by is not None:
            raise ValueError(
                f"these counts were drawn until {self.stopped_by} stopped, and bounds for a fixed"
                " number of samples do not hold for them; certify the inputs with a fixed n instead"
            )
        value = getattr(self, name)
        if value is None:
            raise LookupError(
                f"{name}, which {self.design} samples do not count or the log did not hold"
            )
        return value

    def arrays(self) -> dict[str, NDArray]:
        """The arrays that were counted, by name; the first axis of each is the batch."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def trimmed(self) -> Tally:
        """The tally with as few columns for the other classes as it needs."""
        if self.class_ids is None:
            return self
        width = int(np.sum(self.class_ids != NO_CLASS, axis=1).max(initial=0))
        lists = {name: array[:, :width] for name, array in self.arrays().items() if name in _FILL}
        return replace(self, **lists)

    def p_estimate(self) -> NDArray[np.float64]:
        """The share of right evaluations, float64 (batch,); NaN where no counts are known."""
        if self.count_top is not None:
            return self.count_top / self.n
        if self.pair_both is not None and self.pair_plus_only is not None:
            # One side alone: the other was not logged.
            return (self.pair_both + self.pair_plus_only) / (self.n / 2)
        return np.full(len(self), np.nan)

    @property
    def counts_classes(self) -> bool:
        """Whether the other classes were counted."""
        needed = (self.num_classes, self.runner_up, self.class_ids, self.class_same)
        return all(value is not None for value in needed)

    def class_votes(self) -> NDArray[np.int64]:
        """Evaluations that returned each class of `class_ids`, int64 (batch, seen).

        Raises:
            LookupError: the classes were not counted.
        """
        if not self.counts_classes:
            raise LookupError(
                "the counts of the other classes (class_ids), which earlier versions of sosmooth"
                " and the logs of other code do not hold"
            )
        assert self.class_same is not None
        return self.class_same if self.class_one is None else 2 * self.class_same + self.class_one


def check_picks_inputs(which: object) -> None:
    """Refuse what does not pick inputs of a batch, such as the name of a column.

    Args:
        which: a slice, a mask (batch,), or positions, integers (inputs,).

    Raises:
        TypeError: anything else.
    """
    if isinstance(which, slice) or (isinstance(which, np.ndarray) and which.ndim == 1):
        return
    raise TypeError(
        "[…] picks inputs: give a slice, a mask or an array of positions; got"
        f" {which!r}. What was counted or bounded is an attribute"
    )


def concatenate(tallies: Sequence[Tally]) -> Tally:
    """One tally of all the inputs of several.

    Args:
        tallies: at least one; they share design, dimension, classes and what they counted.

    Raises:
        ValueError: not all of them were stopped by the same rule, or by none.
    """
    first = tallies[0]
    if any(tally.stopped_by != first.stopped_by for tally in tallies):
        raise ValueError(
            "tallies that different rules stopped cannot be put together; keep each rule's apart"
        )
    return replace(
        first,
        **{
            name: stacked([getattr(tally, name) for tally in tallies], _FILL.get(name, 0))
            for name in first.arrays()
        },
    )


def stacked(arrays: Sequence[NDArray], fill: float) -> NDArray:
    """Arrays (batch,) or (batch, any width) one after the other, rows filled up to one width."""
    if arrays[0].ndim == 1:
        return np.concatenate(arrays)
    width = max(array.shape[1] for array in arrays)
    return np.concatenate(
        [
            np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=fill)
            for array in arrays
        ]
    )

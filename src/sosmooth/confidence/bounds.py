"""What the truth can be, given the counts: the bounds that a certificate is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import Floats
from sosmooth.tally import stacked

#: In `limiting_class`: one half ends the radius, not another class.
ONE_HALF = -1
#: In `limiting_class`: a class that no estimation sample returned ends the radius.
UNSEEN = -2


@dataclass(frozen=True)
class Bounds:
    """Bounds that hold simultaneously with probability at least `1 − alpha`, for each input alone.

    From the joint region of the pair counts, `error_upper`, `p_lower`, `c_s_lower`, `c_n_lower` are
    those of its worst corner: the radius there is certified, each alone is no bound. What a method
    does not bound is None. Arrays are float64 (batch,), or (corners, batch) before the worst corner
    was chosen; (rows, batch) where they are of the complements `1 − f_c` of other classes.

    Attributes:
        n_used: evaluations that entered, int64 (batch,): fewer than were drawn where only one side
            of the pairs serves.
        p_lower: lower bound of the probability of the selected class.
        error_upper: one minus it, exact in the tail.
        c_s_lower: lower bound of the probability that both of a pair are right.
        c_n_lower: lower bound of the probability that `x + ε` is right and `x − ε` wrong.
        gradient_norm_upper: upper bound of `‖∇p‖₂`, per input unit.
        slope_lower: lower bound of the slope along the worst direction, per input unit; NaN where
            the curvature was not drawn. None in methods without it.
        curvature_lower: lower bound of `vᵀ∇²p v` along it, per squared input unit; likewise.
        other_upper: upper bounds of the probabilities of the classes in `Tally.class_ids`, (batch,
            seen); NaN where the tally has −1, and where two classes leave nothing to bound. None
            unless the class was compared with all others.
        unseen_upper: upper bound of the probability of each class that no estimation sample
            returned, (batch,); NaN where there is none. None likewise.
        limiting_class: the class that ends the radius, or −1: one half ends it, or −2: the classes
            that were never returned end it; int64 (batch,). None likewise.
    """

    n_used: NDArray[np.int64]
    p_lower: Floats | None = None
    error_upper: Floats | None = None
    c_s_lower: Floats | None = None
    c_n_lower: Floats | None = None
    gradient_norm_upper: Floats | None = None
    slope_lower: Floats | None = None
    curvature_lower: Floats | None = None
    other_upper: Floats | None = None
    unseen_upper: Floats | None = None
    limiting_class: NDArray[np.int64] | None = None

    def __getitem__(self, name: str) -> Floats:
        """The bound of that name; `LookupError` where this method has none."""
        value = getattr(self, name)
        if value is None:
            raise LookupError(f"{name} is not bounded here")
        return value

    def rows(self, which: slice | NDArray) -> Bounds:
        """The bounds of some of the inputs, where the first axis is that of the inputs.

        Args:
            which: a slice, indices, or a mask (batch,).
        """
        known = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value[which] for name, value in known.items()})

    def at(self, corner: NDArray[np.intp]) -> Bounds:
        """The bounds at one corner of each input, (batch,).

        Args:
            corner: which corner, int (batch,).
        """
        chosen = {
            name: value
            for name, value in vars(self).items()
            if value is not None and value.ndim == 2
        }
        return replace(
            self,
            **{
                name: np.take_along_axis(value, corner[None], axis=0)[0]
                for name, value in chosen.items()
            },
        )


def concatenate(bounds: Sequence[Bounds]) -> Bounds:
    """The bounds of all the inputs of several, which bound the same."""
    names = [name for name, value in vars(bounds[0]).items() if value is not None]
    return Bounds(
        **{name: stacked([getattr(part, name) for part in bounds], np.nan) for name in names}
    )

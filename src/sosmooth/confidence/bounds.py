"""What the truth can be, given the counts: the bounds that a certificate is computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._equal import same_values
from sosmooth._numbers import Floats
from sosmooth.tally import check_picks_inputs, stacked

#: In `limiting_class`: one half ends the radius, not another class.
ONE_HALF = -1
#: In `limiting_class`: a class that no estimation sample returned ends the radius.
UNSEEN = -2


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds that hold simultaneously with probability at least `1 − alpha`, for each input alone.

    From the joint region of the pair counts, `error_upper`, `p_lower`, `c_s_lower`, `c_n_lower` are
    those of its worst corner: the radius there is certified, each alone is no bound. What a method
    does not bound is None. Arrays are float64 (batch,), or (corners, batch) before the worst corner
    was chosen; (rows, batch) where they are of the complements `1 − f_c` of other classes.

    `bounds[…]` picks inputs, by a slice, a mask or positions; an attribute is one bound of all
    inputs, and `required(name)` the same where it may be missing. `Tally` works likewise.

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
    # Runs do not store these two: they follow from the counts.
    other_upper: Floats | None = field(default=None, compare=False)
    unseen_upper: Floats | None = field(default=None, compare=False)
    limiting_class: NDArray[np.int64] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bounds) and same_values(self, other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # arrays can change

    def __len__(self) -> int:
        return len(self.n_used)

    def __getitem__(self, which: slice | NDArray) -> Bounds:
        """The bounds of some of the inputs.

        Args:
            which: a slice, a mask (batch,), or positions, integers (inputs,).

        Raises:
            TypeError: anything else, for example a name.
        """
        check_picks_inputs(which)
        known = {name: value for name, value in vars(self).items() if value is not None}
        return replace(
            self,
            **{
                # The batch is the last axis of all others: before it there are corners, or rows.
                name: value[which] if name == "other_upper" else value[..., which]
                for name, value in known.items()
            },
        )

    def required(self, name: str) -> Floats:
        """The bound of that name.

        Args:
            name: of an attribute.

        Raises:
            LookupError: it was not bounded.
        """
        value = getattr(self, name)
        if value is None:
            raise LookupError(f"{name} is not bounded here")
        return value

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


def in_groups(
    groups: NDArray[Any], certify: Callable[[Any, NDArray[np.intp]], tuple[Bounds, Floats]]
) -> tuple[Bounds, Floats]:
    """What certifying inputs group by group finds, in the order of the inputs.

    Args:
        groups: of each input, (batch,).
        certify: from a group and the positions of its inputs to their bounds and radii.

    Returns:
        Bounds and radii, (batch,).
    """
    # Without any input, what an empty group finds.
    values = np.unique(groups).tolist() or [groups.dtype.type(0)]
    order = [np.flatnonzero(groups == value) for value in values]
    found = [certify(value, i) for value, i in zip(values, order, strict=True)]
    return in_order(order, found)


def in_order(
    order: Sequence[NDArray[np.intp]], found: Sequence[tuple[Bounds, Floats]]
) -> tuple[Bounds, Floats]:
    """Bounds and radii of parts of a batch, put back in the order of the inputs.

    Args:
        order: positions of the inputs of each part.
        found: their bounds and radii, part by part.
    """
    back = np.argsort(np.concatenate(order))
    bounds = concatenate([bounds for bounds, _ in found])[back]
    return bounds, np.concatenate([radius for _, radius in found])[back]

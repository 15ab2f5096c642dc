"""What the truth can be, given the counts: the bounds that a certificate is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """Bounds that hold simultaneously with probability at least `1 − alpha`, for each input on its own.

    From the joint region of the pair counts, `error_upper`, `p_lower`, `c_s_lower`, `c_n_lower` are those of its worst corner:
    the radius there is certified, each for itself is no bound. What a method does not bound is None.
    All arrays are float64 (batch,).

    Attributes:
        n_used: evaluations that entered, int64 (batch,): fewer than were drawn where only one side of the pairs serves.
        p_lower: lower bound of the probability of the selected class; error_upper: one minus it, exact in the tail.
        c_s_lower: lower bound of the probability that both of a pair are right.
        c_n_lower: lower bound of the probability that `x + ε` is right and `x − ε` wrong.
        gradient_norm_upper: upper bound of `‖∇p‖₂`, per input unit.
    """

    n_used: NDArray[np.int64]
    p_lower: Floats | None = None
    error_upper: Floats | None = None
    c_s_lower: Floats | None = None
    c_n_lower: Floats | None = None
    gradient_norm_upper: Floats | None = None

    def __getitem__(self, name: str) -> Floats:
        """The bound of that name; `LookupError` where this method has none."""
        value = getattr(self, name)
        if value is None:
            raise LookupError(f"{name} is not bounded here")
        return value

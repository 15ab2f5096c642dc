"""What a log does not contain, and has to be said where it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sosmooth._numbers import checked_alpha, checked_sigma
from sosmooth.confidence.other_norms import NORMS
from sosmooth.measures import with_norm
from sosmooth.methods import check_evaluations, method_named


@dataclass(frozen=True)
class LogSettings:
    """The settings that a log does not contain; the meanings are those of `import_log`."""

    method: str
    sigma: float
    n: int
    alpha: float
    dimension: int | None = None
    n0: int = 100
    columns: dict[str, str] = field(default_factory=dict)
    norm: str = "l2"

    def __post_init__(self) -> None:
        method_named(self.method)  # or ValueError
        checked_sigma(self.sigma)
        for name in ("n", "n0", "dimension"):
            value = getattr(self, name)
            if value is None:
                continue
            if not (1 <= value <= 2**53 and value == math.floor(value)):
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")
            object.__setattr__(self, name, int(value))
        check_evaluations(self.method, self.n)
        checked_alpha(self.alpha)
        if self.norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {self.norm!r}")
        if self.method == "second_order" and self.dimension is None:
            raise ValueError(
                "second_order needs the dimension of the inputs (Theorem 2); give dimension=…"
            )

    def stored(self) -> dict[str, object]:
        """The settings of the run."""
        names = ("method", "sigma", "n", "n0", "alpha", "dimension")
        stored: dict[str, object] = {name: getattr(self, name) for name in names}
        if self.columns:
            stored["columns"] = self.columns
        return with_norm(stored | {"seed": None}, self.norm)

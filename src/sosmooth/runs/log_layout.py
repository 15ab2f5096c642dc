"""The columns of the logs that research code publishes: those of every log around those of one method.

The names and meanings are those of the certification programs of Cohen et al. 2019 (no counts) and Levine et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

BEFORE = ("idx", "label", "predict", "radius")
AFTER = ("correct", "time")


@dataclass(frozen=True)
class Layout:
    """What a method's log has between `BEFORE` and `AFTER`.

    Attributes:
        columns: their names, in order.
        counts: those that are counts → the array of the tally that they are; of pairs or of evaluations.
    """

    columns: tuple[str, ...]
    counts: dict[str, str]

    def needed(self) -> list[str]:
        """The columns that a tally is made of; the bounds beside them are computed again."""
        return [name for name in self.columns if name in self.counts or name == "raw_grad_norm"]


LAYOUTS: dict[str, Layout] = {
    "first_order": Layout(("raw_count", "p_A_bar"), {"raw_count": "count_top"}),
    "second_order": Layout(
        ("raw_count", "p_A_bar", "raw_grad_norm", "grad_norm_bound", "grad_norm_bound_nonvacuous"),
        {"raw_count": "count_top"},
    ),
    "dipole": Layout(
        ("raw_count_symmetric", "raw_count_asymmetric", "p_A_symmetric_bar", "p_A_asymmetric_bar"),
        {"raw_count_symmetric": "pair_both", "raw_count_asymmetric": "pair_plus_only"},
    ),
}
NO_COUNTS = Layout((), {})


def layout_of(columns: list[str]) -> str | None:
    """The method whose log has these columns; None where there are no counts among them."""
    fitting = [name for name, layout in LAYOUTS.items() if set(layout.needed()) <= set(columns)]
    return max(fitting, key=lambda name: len(LAYOUTS[name].needed()), default=None)

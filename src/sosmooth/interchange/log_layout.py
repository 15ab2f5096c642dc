"""The columns of the logs that research code publishes: those of every log, and of each method.

The names and meanings are those of the certification programs of Cohen et al. 2019 (no counts) and
Levine et al. 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BEFORE = ("idx", "label", "predict", "radius")
AFTER = ("correct", "time")
#: Without idx the rows are numbered, without label the classes are unknown; others are not used.
NEEDED = ("predict", "radius")
#: The rule that stopped the drawing, in the logs of such runs: they have no counts.
STOPPED_BY = "stopped_by"


@dataclass(frozen=True)
class Layout:
    """The columns of a method's log between `BEFORE` and `AFTER`.

    Attributes:
        columns: their names, in order.
        counts: name of each column of counts (of pairs or of evaluations) → name of the tally's
            array.
    """

    columns: tuple[str, ...]
    counts: dict[str, str]

    def needed(self) -> list[str]:
        """The columns that make a tally; the bounds beside them are computed again."""
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


def column_names(text: str) -> dict[str, str]:
    """`count=raw_count,radius=radius_cohen` as a dictionary.

    Raises:
        ValueError: it is not of that form.
    """
    names: dict[str, str] = {}
    for pair in text.split(","):
        left, _, right = (part.strip() for part in pair.partition("="))
        if not left or not right or "=" in right:
            raise ValueError(
                "columns must be pairs of names, as in count=raw_count,radius=radius_cohen; got"
                f" {text[:80]!r}"
            )
        names[left] = right
    return names


def name_columns(header: list[str], method: str, names: Mapping[str, str]) -> list[str]:
    """The header with the names that logs have by `BEFORE`, `AFTER` and `LAYOUTS`.

    Args:
        header: the names in the log.
        method: a key of `METHODS`; `count` means the method's count.
        names: pairs of a name here and a name in the log, in either order.

    Raises:
        ValueError: neither name of a pair is in the log, or neither is one that is read.
    """
    layout = LAYOUTS.get(method, NO_COUNTS)
    ours = {*BEFORE, *AFTER, *layout.columns}
    result = list(header)
    for left, right in names.items():
        name, theirs = (
            (left, right) if right in header and left in {*ours, "count"} else (right, left)
        )
        if name == "count" and len(layout.counts) == 1:
            [name] = layout.counts
        if theirs not in header or name not in ours:
            raise ValueError(
                f"columns says {left}={right}, which must be a name that is read"
                f" ({', '.join((*BEFORE, *layout.columns, *AFTER))}) and one of the log"
                f" ({', '.join(header)[:200]})"
            )
        result = ["" if old == name else old for old in result]  # a column that had the name
        result[header.index(theirs)] = name
    return result

"""The command that lists the methods."""

from __future__ import annotations

import re

from sosmooth.cli._options import Json
from sosmooth.cli._output import (
    Column,
    for_people,
    print_aligned,
    print_json,
    print_rows,
    print_wrapped,
)

_SAMPLES = {
    "independent": "independent samples",
    "disjoint_pairs": "independent samples, in pairs",
    "antithetic": "pairs of samples x ± ε",
}


def methods(*, json: Json = False) -> int:
    """List the methods."""
    from sosmooth.methods import DEFAULT_METHOD, METHODS
    from sosmooth.results import COMPARED

    rows = [
        {
            "method": name,
            "design": method.design.value,
            "classes": method.classes,
            "source": method.source,
        }
        for name, method in METHODS.items()
    ]
    if json:
        print_json({row.pop("method"): row for row in rows})
        return 0
    if not for_people():
        print_rows([Column(name, name) for name in rows[0]], rows)
        return 0
    print_aligned(
        ["", ""],
        [
            [
                row["method"],
                f"{_SAMPLES[row['design']]}; compared with {COMPARED[row['classes']]}\n"
                + _in_words(row["source"]),
            ]
            for row in rows
        ],
        left=[0, 1],
    )
    print_wrapped(f"The default is {DEFAULT_METHOD}.")
    return 0


def _in_words(source: str) -> str:
    """The source without the path of a page, which is not installed."""
    return re.sub(r"docs/([\w/]+)\.md", r"documentation, \1", source)

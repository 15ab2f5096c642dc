"""The columns of a run: one table that everything else reads.

A method that counts or bounds more adds a row here.

A column is filled from the field of that name in `Certificates`, `Tally` or `Bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 1
_VERSION_KEY = b"sosmooth_schema"
_SETTINGS_KEY = b"sosmooth_settings"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the column, and of the field it is filled from.
        type: Arrow's.
        meaning: one line, with the unit.
        nullable: null where it does not apply or is unknown.
        optional: files that lack it are read, as if it were null.
        unknown: the value that stands for "unknown" in arrays, stored as null.
        fill: of a list, what fills the rows of its array up to a common width; not stored. NaN: a
            list is as wide as the array, or empty.
        partly: some rows may be null, those that an earlier version wrote: it is then unknown for
            all of the run.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = True
    optional: bool = False
    unknown: float | None = None
    fill: float = 0
    partly: bool = False


_INT, _FLOAT, _TEXT = pa.int64(), pa.float64(), pa.string()
_INTS, _FLOATS = pa.list_(_INT), pa.list_(_FLOAT)

COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column(
            "index",
            _INT,
            "the input's index in its data set; the noise follows from it",
            nullable=False,
        ),
        Column("label", _INT, "true class", unknown=-1),
        Column("prediction", _INT, "certified class, −1 = abstained", nullable=False),
        Column(
            "radius",
            _FLOAT,
            "certified radius, l2 unless the settings name another norm, input units; 0 exactly"
            " where abstained",
            nullable=False,
        ),
        Column(
            "abstain_reason", _TEXT, "empty, or a key of results.ABSTAIN_REASONS", nullable=False
        ),
        Column("sigma", _FLOAT, "noise level, input units", nullable=False),
        Column("n0", _INT, "selection samples"),
        Column(
            "n", _INT, "estimation samples, classifier evaluations (a pair is two)", nullable=False
        ),
        Column("n_used", _INT, "those of them that entered the certificate"),
        Column("alpha", _FLOAT, "failure probability of the certificate", nullable=False),
        Column("method", _TEXT, "a key of METHODS", nullable=False),
        Column("seed", pa.uint64(), "seed of the noise"),
        Column("seconds", _FLOAT, "time spent on the input"),
        Column("count_top", _INT, "evaluations that returned the selected class"),
        Column("pair_both", _INT, "antithetic pairs right at x + ε and at x − ε"),
        Column("pair_plus_only", _INT, "pairs right at x + ε only"),
        Column("pair_minus_only", _INT, "pairs right at x − ε only"),
        Column("pair_none", _INT, "pairs wrong at both"),
        Column(
            "gradient_sq_estimate",
            _FLOAT,
            "unbiased estimate of ‖∇p‖₂², per squared input unit, may be negative",
        ),
        Column(
            "direction_pairs",
            _INT,
            "first pairs, which gave the direction of the gradient; 0: none drawn",
            optional=True,
        ),
        Column("direction_one", _INT, "of those, right on exactly one side", optional=True),
        Column(
            "direction_norm",
            _FLOAT,
            "norm of the mean of h z over them, h = (f(x + ε) − f(x − ε))/2, z = ε/σ",
            optional=True,
        ),
        Column(
            "direction_largest",
            _FLOAT,
            "largest absolute value in that mean, for l1 radii",
            optional=True,
            partly=True,
        ),
        Column(
            "direction_total",
            _FLOAT,
            "sum of the absolute values in that mean, for l∞ radii",
            optional=True,
            partly=True,
        ),
        Column(
            "direction_low",
            _FLOATS,
            "length of that mean's projection on the 1, 2, 4, … lowest frequencies of an image",
            optional=True,
            fill=nan,
        ),
        Column(
            "slope_pairs",
            _INT,
            "the other pairs, which gave the slope along that direction û",
            optional=True,
        ),
        Column("slope_sum", _FLOAT, "sum over them of y = min(h û·z, 2.5)", optional=True),
        Column("slope_sq_sum", _FLOAT, "sum over them of y²", optional=True),
        Column(
            "gradient_share",
            _FLOAT,
            "share of alpha for the gradient norm, fixed before the pairs were drawn",
            optional=True,
        ),
        Column(
            "curvature_center",
            _FLOAT,
            "c, fixed before the pairs were drawn; null where no curvature was drawn",
            optional=True,
            unknown=nan,
        ),
        Column(
            "curvature_eigenvalues",
            _FLOATS,
            "of the mean over all pairs of −(u − c)(z zᵀ − I), u the wrong share of a pair: at most"
            " 64 of them, ascending, rounded down; empty: none drawn",
            optional=True,
            fill=nan,
        ),
        Column(
            "curvature_squares",
            _FLOATS,
            "squared coefficients of the mean of h z in the eigenvectors, those of others shared"
            " out between neighbours, rounded up",
            optional=True,
            fill=nan,
        ),
        Column(
            "curvature_largest",
            _FLOAT,
            "largest absolute value in that mean, for l1 radii",
            optional=True,
            unknown=nan,
        ),
        Column(
            "curvature_total",
            _FLOAT,
            "sum of the absolute values in that mean, for l∞ radii",
            optional=True,
            unknown=nan,
        ),
        Column(
            "curvature_low",
            _FLOATS,
            "length of that mean's projection on the 1, 2, 4, … lowest frequencies of an image",
            optional=True,
            fill=nan,
        ),
        Column(
            "curvature_share",
            _FLOAT,
            "share of alpha for slope and curvature, fixed before the pairs were drawn",
            optional=True,
        ),
        Column(
            "axis_center",
            _FLOAT,
            "c along an axis û, fixed before the pairs were drawn; null where there is no axis",
            optional=True,
            unknown=nan,
        ),
        Column("axis_pairs", _INT, "the pairs that û does not depend on", optional=True),
        Column(
            "axis_slope",
            _FLOAT,
            "mean over them of h t, t = û·z",
            optional=True,
            unknown=nan,
        ),
        Column(
            "axis_curvature",
            _FLOAT,
            "mean over them of −(u − c)(t² − 1), u the wrong share of a pair",
            optional=True,
            unknown=nan,
        ),
        Column(
            "across_norm",
            _FLOAT,
            "norm of the mean of h (z − t û) over some of them",
            optional=True,
        ),
        Column("across_pairs", _INT, "how many pairs are in that mean", optional=True),
        Column("across_one", _INT, "those of them right on exactly one side", optional=True),
        Column(
            "across_slope_pairs",
            _INT,
            "the others, which gave the slope along that mean's direction v",
            optional=True,
        ),
        Column("across_slope_sum", _FLOAT, "sum over them of y = min(h v·z, 2.5)", optional=True),
        Column("across_slope_sq_sum", _FLOAT, "sum over them of y²", optional=True),
        Column(
            "axis_share",
            _FLOAT,
            "share of alpha for all but the pair counts, fixed before the pairs were drawn",
            optional=True,
        ),
        Column("p_lower", _FLOAT, "lower bound of the probability of the selected class"),
        Column("c_s_lower", _FLOAT, "lower bound of the probability that both of a pair are right"),
        Column(
            "c_n_lower",
            _FLOAT,
            "lower bound of the probability that x + ε is right and x − ε wrong",
        ),
        Column(
            "gradient_norm_upper",
            _FLOAT,
            "upper bound of ‖∇p‖₂, per input unit; in other norms than l2, of the slope downwards"
            " along the nearest change that matters",
        ),
        Column(
            "slope_lower",
            _FLOAT,
            "lower bound of the slope along the worst direction, per input unit; null where no"
            " curvature was drawn",
            optional=True,
            unknown=nan,
        ),
        Column(
            "curvature_lower",
            _FLOAT,
            "the same of the curvature along it, per squared input unit",
            optional=True,
            unknown=nan,
        ),
        Column("error_upper", _FLOAT, "1 − p_lower, exact in the tail", optional=True),
        Column(
            "selected",
            _INT,
            "class that led the selection samples, certified or not",
            optional=True,
            unknown=-1,
        ),
        Column("selection_margin", _INT, "votes by which it led", optional=True, unknown=-1),
        Column(
            "runner_up",
            _INT,
            "class that came second there, −1 where no other class was returned",
            optional=True,
            partly=True,
        ),
        Column(
            "class_ids",
            _INTS,
            "the other classes that the estimation samples returned, ascending",
            optional=True,
            fill=-1,
            partly=True,
        ),
        Column(
            "class_same",
            _INTS,
            "for each of them: pairs of which both sides returned it, or evaluations without pairs",
            optional=True,
            partly=True,
        ),
        Column(
            "class_one",
            _INTS,
            "for each of them: pairs of which exactly one side returned it",
            optional=True,
            partly=True,
        ),
        Column(
            "limiting_class",
            _INT,
            "class that ends the radius, −1: one half does, −2: those never returned do",
            optional=True,
        ),
    )
}

SCHEMA = pa.schema(
    [pa.field(column.name, column.type, column.nullable) for column in COLUMNS.values()],
    metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()},
)


def version_of(schema: pa.Schema) -> int | None:
    """The version of the schema that a file says it has; None where it says nothing."""
    version = (schema.metadata or {}).get(_VERSION_KEY, b"").decode(errors="replace")
    return int(version) if version.isdecimal() else None


def with_settings(table: pa.Table, digest: str) -> pa.Table:
    """The table, which says what its rows were made with: `Manifest.settings_digest`."""
    metadata = dict(SCHEMA.metadata) | {_SETTINGS_KEY: digest.encode()}
    return table.replace_schema_metadata(metadata)


def settings_of(table: pa.Table) -> str | None:
    """The digest of the settings that a table was made with; None in files of earlier versions."""
    found = (table.schema.metadata or {}).get(_SETTINGS_KEY)
    return None if found is None else found.decode(errors="replace")


def check_row(row: dict[str, Any]) -> None:
    """Refuse a row, read back from text, that the table cannot hold as it is.

    Raises:
        ValueError: a column is missing or unknown, or a value is of another type or null where none
            may be.
    """
    if unknown := row.keys() - COLUMNS.keys():
        raise ValueError(f"the column {min(unknown)!r} is unknown")
    for name, column in COLUMNS.items():
        value = row.get(name)
        if name not in row and not column.optional:
            raise ValueError(f"the column {name} is missing")
        if value is None:
            right = column.nullable
        elif pa.types.is_integer(column.type):
            right = type(value) is int
        elif pa.types.is_list(column.type):
            kinds = (int,) if pa.types.is_integer(column.type.value_type) else (int, float)
            right = isinstance(value, list) and all(type(one) in kinds for one in value)
        elif pa.types.is_floating(column.type):
            right = type(value) in (int, float)
        else:
            right = isinstance(value, str)
        if not right:
            raise ValueError(f"{name} is {value!r}")

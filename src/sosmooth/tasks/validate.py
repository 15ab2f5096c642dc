"""Whether a stored run is consistent with itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sosmooth.interchange.log_checks import rounding
from sosmooth.measures import ABSTAINED
from sosmooth.methods import METHODS, certify_tally
from sosmooth.results import ABSTAIN_REASONS, Certificates
from sosmooth.runs.files import RunError
from sosmooth.runs.run import Run, load_run
from sosmooth.runs.table import rule_of
from sosmooth.tally import NO_CLASS, Tally


def validate_run(path: str | Path) -> list[str]:
    """Everything that is wrong with a run, one line each; the empty list where nothing is.

    Checks the schema, the digest of the table, that indices are distinct and as many as the
    manifest says, the settings against the columns, the counts against `n`, that the prediction is
    −1 exactly where the radius is 0, and the radii against the counts.

    Args:
        path: the folder of the run; it is not changed.

    Returns:
        The findings, in words.
    """
    try:
        run = load_run(path)
        findings = _row_findings(run.certificates())
        # Counts that contradict each other have no radius to compare with.
        return _manifest_findings(run) + (findings or _radius_findings(run))
    except RunError as error:
        return [str(error)]


def _manifest_findings(run: Run) -> list[str]:
    manifest, findings = run.manifest, []
    if (
        manifest.table_digest is not None
        and run.complete
        and manifest.table_digest != run.table_digest
    ):
        findings.append(
            "the table is not the one whose digest the manifest records: it was changed or damaged"
        )
    index = run["index"]
    if len(np.unique(index)) < len(index):
        findings.append(f"{len(index) - len(np.unique(index))} indices occur more than once")
    return findings


def _row_findings(certificates: Certificates) -> list[str]:
    """Contradictions within single rows."""
    tally, n = certificates.tally, certificates.tally.n
    prediction, radius, selected = (
        certificates.prediction,
        certificates.radius,
        certificates.selected,
    )
    checks = {
        "n is below 1": n < 1,
        "radius is negative or not a number": ~(radius >= 0),
        "prediction is −1 but the radius is not 0, or the reverse": (prediction == ABSTAINED)
        != (radius == 0),
        "prediction is another class than the selected one": (prediction != ABSTAINED)
        & (prediction != selected),
        "prediction or label is below −1": prediction < ABSTAINED,
        "abstain_reason is unknown": ~np.isin(certificates.abstain_reason, list(ABSTAIN_REASONS)),
        "abstain_reason is given for a certified input, or missing": (
            certificates.abstain_reason == ""
        )
        != (radius > 0),
        "n_used is outside [0, n]": (certificates.bounds.n_used < 0)
        | (certificates.bounds.n_used > n),
    }
    if tally.count_top is not None:
        checks["count_top is outside [0, n]"] = (tally.count_top < 0) | (tally.count_top > n)
    pairs = {name: values for name, values in tally.arrays().items() if name.startswith("pair_")}
    if pairs:
        total = np.sum(list(pairs.values()), axis=0)
        whole = len(pairs) == 4
        checks["a pair count is negative"] = np.min(list(pairs.values()), axis=0) < 0
        checks["the pair counts do not add up to n / 2"] = (
            (total != n / 2) if whole else (total > n / 2)
        )
        if whole and tally.count_top is not None:
            right = 2 * pairs["pair_both"] + pairs["pair_plus_only"] + pairs["pair_minus_only"]
            checks["count_top is not what the pair counts say"] = tally.count_top != right
    checks |= _class_checks(certificates) | _curvature_checks(tally) | _axis_checks(tally)
    return [
        f"{what} in {np.sum(wrong)} rows, the first of index"
        f" {certificates.input_index[np.argmax(wrong)]}"
        for what, wrong in checks.items()
        if np.any(wrong)
    ]


def _class_checks(certificates: Certificates) -> dict[str, NDArray[np.bool_]]:
    """Contradictions in the counts of the other classes, by name; none where none were counted."""
    tally = certificates.tally
    if not tally.counts_classes or tally.count_top is None:
        return {}
    ids, same, runner_up = tally.class_ids, tally.class_same, tally.runner_up
    one = np.zeros_like(same) if tally.class_one is None else tally.class_one
    assert ids is not None
    assert same is not None
    assert runner_up is not None
    assert tally.num_classes is not None
    listed, selected = ids != NO_CLASS, certificates.selected
    votes = tally.class_votes().sum(axis=1)
    outside = (ids < NO_CLASS) | (ids >= tally.num_classes)
    unordered = listed[:, 1:] & (np.diff(ids, axis=1) <= 0)
    return {
        "class_ids holds a class that does not exist, or the selected one": np.any(
            outside | (listed & (ids == selected[:, None])), axis=1
        ),
        "class_ids is not ascending": np.any(unordered, axis=1),
        "runner_up is a class that does not exist, or the selected one": (runner_up < NO_CLASS)
        | (runner_up >= tally.num_classes)
        | (runner_up == selected),
        "a class is listed that no sample returned": np.any(
            np.where(listed, (same < 0) | (one < 0) | (same + one == 0), (same != 0) | (one != 0)),
            axis=1,
        ),
        "the votes of all classes do not add up to n": tally.count_top + votes != tally.n,
    }


def _curvature_checks(tally: Tally) -> dict[str, NDArray[np.bool_]]:
    """Contradictions in the curvature, by name; none where none belongs to the run."""
    center, share = tally.curvature_center, tally.curvature_share
    theta, squares = tally.curvature_eigenvalues, tally.curvature_squares
    if center is None or share is None or theta is None or squares is None:
        return {}
    drawn = ~np.isnan(center)
    return {
        "curvature_center is outside [0, 1/2]": drawn & ~((center >= 0) & (center <= 0.5)),
        "curvature_share is not in (0, 1), or not 0 where none was drawn": np.where(
            drawn, ~((share > 0) & (share < 1)), share != 0
        ),
        "the curvature is given where none was drawn, or missing": drawn
        != np.isfinite(theta).all(axis=1),
        "curvature_eigenvalues is not ascending": np.any(np.diff(theta, axis=1) < 0, axis=1),
        "a number in curvature_squares is negative": np.any(squares < 0, axis=1),
    }


def _axis_checks(tally: Tally) -> dict[str, NDArray[np.bool_]]:
    """Contradictions in what is along an axis, by name; none where none belongs to the run."""
    center, share, pairs = tally.axis_center, tally.axis_share, tally.axis_pairs
    if center is None or share is None or pairs is None:
        return {}
    drawn, found = pairs > 0, tally.arrays()
    return {
        "axis_center is outside [0, 1/2], or not null where there is no axis": np.where(
            drawn, ~((center >= 0) & (center <= 0.5)), ~np.isnan(center)
        ),
        "axis_share is not in (0, 1), or not 0 where there is no axis": np.where(
            drawn, ~((share > 0) & (share < 1)), share != 0
        ),
        "axis_pairs is outside [0, n / 2]": (pairs < 0) | (pairs > tally.n // 2),
        "across_pairs and across_slope_pairs do not add up to axis_pairs": (
            found["across_pairs"] + found["across_slope_pairs"] != pairs
        ),
    }


def _radius_findings(run: Run) -> list[str]:
    """Radii that do not follow from the counts; none where there are no counts."""
    stored = run.certificates()
    if stored.method not in METHODS:
        return [
            f"the method {stored.method!r} is unknown to this version; it knows"
            f" {', '.join(METHODS)}"
        ]
    try:
        computed = _computed_again(run, stored).radius
    except LookupError:
        return []
    except ValueError as error:
        return [f"the radii cannot be computed again: {error}"]
    if "log" in (run.manifest.derived_from or {}).get("kind", ""):
        tolerance = rounding(stored.radius)
    else:
        tolerance = 1e-9 * np.maximum(computed, stored.sigma)
    with np.errstate(invalid="ignore"):
        wrong = (np.abs(stored.radius - computed) > tolerance) & (stored.radius != computed)
    if not np.any(wrong):
        return []
    first = int(np.argmax(wrong))
    return [
        f"the radius is not what the counts give in {np.sum(wrong)} rows, the first of index"
        f" {stored.input_index[first]}: {stored.radius[first]:.6g} is stored, {computed[first]:.6g}"
        " is computed"
    ]


def _computed_again(run: Run, stored: Certificates) -> Certificates:
    """The certificates that the stored tallies give under the run's own settings."""
    rule = rule_of(run.manifest.settings)
    if rule is None:
        return recomputed(stored, stored.method, stored.alpha, stored.classes, stored.norm)
    return rule.certify(
        stored.tally,
        selected=stored.selected,
        selection_margin=stored.selection_margin,
        index=stored.input_index,
        n0=stored.n0,
        seed=stored.seed,
    )


def recomputed(
    stored: Certificates, method: str, alpha: float, classes: str, norm: str
) -> Certificates:
    """The certificates that stored tallies give.

    Args:
        stored: the certificates of a run.
        method: as for `recertify`.
        alpha: as for `recertify`.
        classes: as for `recertify`.
        norm: as for `recertify`.
    """
    return certify_tally(
        method,
        stored.tally,
        selected=stored.selected,
        selection_margin=stored.selection_margin,
        index=stored.input_index,
        sigma=stored.sigma,
        alpha=alpha,
        n0=stored.n0,
        seed=stored.seed,
        classes=classes,
        norm=norm,
    )

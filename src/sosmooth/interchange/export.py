"""Writing runs as the tab-separated logs that analysis scripts of published code read."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from sosmooth._files import write_atomically
from sosmooth.certificates.region import pdf, quantile_from_tail
from sosmooth.confidence.bounds import Bounds
from sosmooth.interchange.log_layout import AFTER, BEFORE, LAYOUTS, NO_COUNTS, STOPPED_BY
from sosmooth.methods import method_named
from sosmooth.results import Certificates
from sosmooth.runs.files import unwritable
from sosmooth.runs.run import Run, load_run
from sosmooth.tally import Design

_LAST_DIGIT = Decimal("1e-6")


def export_tsv(run: Run | str | Path, file: TextIO | str | Path) -> None:
    """Write a run as a log that `import_log` and analysis scripts of published code read.

    Columns: `idx label predict radius`, the counts and bounds of the method (`log_layout`),
    `correct time`. There are no counts and bounds where the run has no counts, or where its radii
    compare the class with each other class: they do not follow from the counts of one class. An
    unknown label is −1, an unknown time 0:00:00. Where a rule stopped the drawing, there are no
    counts, only the column `stopped_by`: the radii hold, but no method that assumes a fixed n may
    use the counts. Inputs that failed or were not reached are written last, as abstentions without
    a vote.

    Args:
        run: a run or its folder.
        file: a path, written atomically, or an open text file.

    Raises:
        RunError: the run cannot be read, or the file cannot be written.

    Guarantee:
        Printed radii and lower bounds are never larger than the stored ones, upper bounds never
        smaller. Radii are floored to six digits after the point (those below 1e−6 to six
        significant digits, so that none becomes 0). Import the log with `n` = `n_used` where fewer
        samples entered than were drawn.
    """
    run = run if isinstance(run, Run) else load_run(run)
    # A log does not say which inputs it lacks.
    written, label = run.with_missing(), run.with_missing().label
    seconds = np.append(np.nan_to_num(run["seconds"]), np.zeros(len(run.missing)))
    names, counted = _counted(written)
    lines = ["\t".join((*BEFORE, *names, *AFTER))]
    columns = (
        written.input_index.tolist(),
        label.tolist(),
        written.prediction.tolist(),
        [_printed(radius) for radius in written.radius.tolist()],
        *counted,
        ((label == written.prediction) & (written.radius > 0)).astype(int).tolist(),
        [str(timedelta(seconds=one)) for one in seconds.tolist()],
    )
    lines += ["\t".join(map(str, row)) for row in zip(*columns, strict=True)]
    text = "\n".join(lines) + "\n"
    path = file if isinstance(file, str | os.PathLike) else getattr(file, "name", "the output")
    try:
        if isinstance(file, str | os.PathLike):
            write_atomically(Path(file), text.encode())
        else:
            file.write(text)
            file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(Path(path), error) from error


def _counted(stored: Certificates) -> tuple[tuple[str, ...], list[list]]:
    """The columns of the counts: names and printed values."""
    if stored.tally.stopped_by is not None:
        return (STOPPED_BY,), [[stored.tally.stopped_by] * len(stored)]
    layout = LAYOUTS.get(stored.method, NO_COUNTS)
    if not layout.columns or stored.classes == "all":
        return (), []
    try:
        bounds, _ = method_named(stored.method).certify(stored.tally, stored.alpha, stored.sigma)
    except LookupError:
        return (), []
    values = {"first_order": _first_order, "second_order": _second_order, "dipole": _dipole}[
        stored.method
    ](stored, bounds)
    return layout.columns, values


def _first_order(stored: Certificates, bounds: Bounds) -> list[list]:
    tally = stored.tally
    if tally.design is Design.ANTITHETIC:  # of the pairs, only the side x + ε entered
        counts = [
            both + plus
            for both, plus in zip(
                _whole(tally.pair_both), _whole(tally.pair_plus_only), strict=True
            )
        ]
        return [counts, _down(bounds.p_lower)]
    return [_whole(tally.count_top), _down(bounds.p_lower)]


def _second_order(stored: Certificates, bounds: Bounds) -> list[list]:
    estimate, gradient, error = (
        stored.tally.gradient_sq_estimate,
        bounds.gradient_norm_upper,
        bounds.error_upper,
    )
    assert estimate is not None
    assert gradient is not None
    assert error is not None
    root = np.sign(estimate) * np.sqrt(np.abs(estimate))
    return [
        _whole(stored.tally.count_top),
        _down(bounds.p_lower),
        [repr(value) for value in root.tolist()],  # every digit: the estimate is read back from it
        [_printed(value, up=True) for value in gradient.tolist()],
        (gradient * stored.sigma < pdf(quantile_from_tail(error))).astype(int).tolist(),
    ]


def _dipole(stored: Certificates, bounds: Bounds) -> list[list]:
    tally = stored.tally
    return [
        _whole(tally.pair_both),
        _whole(tally.pair_plus_only),
        _down(bounds.c_s_lower),
        _down(bounds.c_n_lower),
    ]


def _whole(values: NDArray | None) -> list[int]:
    assert values is not None
    return values.tolist()


def _down(values: NDArray | None) -> list[str]:
    assert values is not None
    return [_printed(value) for value in values.tolist()]


def _printed(value: float, *, up: bool = False) -> str:
    """Six digits after the point, or six significant ones where those would be zero.

    The decimal rounding is exact and outward.
    """
    exact, rounding = Decimal(value), ROUND_CEILING if up else ROUND_FLOOR
    if not exact.is_finite():
        return str(value)
    if 0 < exact < _LAST_DIGIT:
        return f"{Context(prec=6, rounding=rounding).plus(exact):e}"
    return f"{exact.quantize(_LAST_DIGIT, context=Context(prec=400, rounding=rounding)):f}"

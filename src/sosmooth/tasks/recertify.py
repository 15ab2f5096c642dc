"""Certifying a stored run again, by another method or failure probability, without sampling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sosmooth.measures import with_norm
from sosmooth.methods import classes_of
from sosmooth.runs.files import RunError
from sosmooth.runs.manifest import describe_environment, timestamp
from sosmooth.runs.run import Run, load_run
from sosmooth.runs.saving import saved
from sosmooth.runs.table import digest, parquet_bytes, table_of
from sosmooth.tasks.validate import recomputed


def recertify(
    run: str | Path,
    out: str | Path,
    *,
    method: str | None = None,
    alpha: float | None = None,
    classes: str | None = None,
    norm: str | None = None,
) -> Run:
    """Compute the certificates of a stored run again, under a method and a failure probability.

    Choose method, alpha, `classes` and norm before looking at the results: keeping the best of
    several readings of one tally gives no certificate.

    Args:
        run: folder of the run that is read; it is never changed.
        out: folder of the run that is written. The same call again is fine; one with other settings
            is refused.
        method: a key of `METHODS` that needs no more than the run counted; None: that of `run`,
            compared with what the run compares.
        alpha: failure probability of each input's certificate, in (0, 1); None: that of `run`.
        classes: "top" or "all", as for `SmoothedClassifier.certify`; None: the method's default,
            but "top" where the run did not count the classes.
        norm: of the radii, as for `SmoothedClassifier.certify`; None: that of `run`.

    Returns:
        The run in `out`, complete where `run` is; its manifest names what it was derived from.

    Raises:
        ValueError: the method, `classes` or norm is unknown, alpha is outside (0, 1), or the method
            does not certify the norm.
        RunError: the tallies lack what the method needs (the message names it), or a folder cannot
            be read or written.

    Guarantee:
        That of `certify_tally`, for one method, alpha, `classes` and norm chosen without looking
        at this run. Inputs whose selected class is unknown (abstentions of imported logs) stay
        abstained.
    """
    if Path(out).resolve() == Path(run).resolve():
        raise RunError(
            f"{out} is the run that is read, and a run is never changed; give another folder"
        )
    source = load_run(run)
    again = recertified(source, method=method, alpha=alpha, classes=classes, norm=norm)
    return saved(again, out)


def recertified(
    source: Run,
    *,
    method: str | None = None,
    alpha: float | None = None,
    classes: str | None = None,
    norm: str | None = None,
) -> Run:
    """As `recertify`, in memory.

    Args:
        source: the run that is read.
        method: as for `recertify`.
        alpha: as for `recertify`.
        classes: as for `recertify`.
        norm: as for `recertify`.
    """
    manifest, settings = source.manifest, source.manifest.settings
    if method is None:
        method, classes = str(settings["method"]), classes or settings.get("classes", "top")
    compared, norm = classes_of(method, classes), norm or source.norm
    alpha = float(settings["alpha"]) if alpha is None else alpha
    if source.stops:
        raise RunError(
            f"{source.path} stopped drawing when its question was decided, so its counts cannot"
            " answer another one; certify the inputs instead"
        )
    if not len(source):
        raise RunError(f"{source.path} holds no certificates yet; certify its inputs first")
    stored = source.certificates()
    if stored.tally.arrays().keys() == {"n"}:
        raise RunError(
            f"{source.path} holds {source.norm} radii but no counts (logs of other code may print"
            " none), so it cannot be certified again; certify the inputs instead"
        )
    if classes is None and not stored.tally.counts_classes:
        compared = "top"
    try:
        certificates = recomputed(stored, method, alpha, compared, norm)
    except LookupError as error:
        raise RunError(
            f"{source.path} cannot be certified with {method}, classes {compared!r} and norm"
            f" {norm!r}: it lacks {error.args[0]}"
        ) from None
    table = table_of(certificates, source["label"], source["seconds"])
    derived_from = {
        "kind": "run",
        "path": str(source.path),
        "method": settings["method"],
        "alpha": settings["alpha"],
        "digest": source.table_digest or digest(parquet_bytes(source.table)),
    }
    changed = replace(
        manifest,
        settings=with_norm(
            settings | {"method": method, "alpha": alpha, "classes": compared}, norm
        ),
        environment=describe_environment(),
        created=timestamp(),
        batch_size=None,
        finished=None,
        derived_from=derived_from,
        table_digest=None,
    )
    return Run(Path(f"{source.path}, {method}"), changed, table, table_digest="")

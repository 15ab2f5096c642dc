"""Certificates as a run that is not stored, for everything that reads runs."""

from __future__ import annotations

from pathlib import Path

from sosmooth.measures import with_norm
from sosmooth.results import Certificates
from sosmooth.runs.manifest import Manifest, describe_environment, described, timestamp
from sosmooth.runs.run import Run
from sosmooth.runs.table import table_of
from sosmooth.stopping import rule_of_text


def run_of(certificates: Certificates) -> Run:
    """The certificates as a run in memory, named after their method.

    Its manifest knows neither classifier nor data.

    Args:
        certificates: of a batch.
    """
    tally, indices = certificates.tally, certificates.input_index.tolist()
    settings = {
        name: getattr(certificates, name)
        for name in ("sigma", "method", "n0", "alpha", "seed", "classes")
    }
    settings["n"] = int(tally.n.max(initial=0))
    if tally.stopped_by is not None:
        rule = rule_of_text(tally.stopped_by)
        settings |= {"n": rule.n, **rule.asked()}
    settings = with_norm(settings, certificates.norm)
    names = certificates.class_names
    manifest = Manifest(
        settings=settings,
        environment=describe_environment(),
        inputs=len(indices),
        created=timestamp(),
        indices=described(indices),
        dimension=tally.dimension,
        num_classes=tally.num_classes,
        class_names=None if names is None else list(names),
        complete=True,
    )
    path = Path(f"{certificates.method} in memory")
    return Run(path, manifest, table_of(certificates, None, None), table_digest="")

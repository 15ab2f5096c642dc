"""Storing a run that is in memory, or elsewhere, in a folder."""

from __future__ import annotations

from pathlib import Path

from sosmooth.runs.files import RunError
from sosmooth.runs.run import Run
from sosmooth.runs.writer import RunWriter


def saved(run: Run, path: str | Path) -> Run:
    """Write a run into a folder.

    Args:
        run: it is not changed.
        path: the folder. The same call again is fine; a folder that holds a run with other settings
            is refused.

    Returns:
        The run in the folder, complete where `run` is.

    Raises:
        RunError: the folder is the one of `run`, holds something else, or cannot be written.
    """
    if Path(path).resolve() == run.path.resolve():
        raise RunError(
            f"{path} is the run that is read, and a run is never changed; give another folder"
        )
    manifest = run.manifest
    with RunWriter.open(
        path,
        settings=manifest.settings,
        indices=manifest.asked() or run["index"].tolist(),
        digests=manifest.digests,
        dimension=manifest.dimension,
        num_classes=manifest.num_classes,
        class_names=manifest.class_names,
        choice=manifest.choice,
        environment=manifest.environment,
        derived_from=manifest.derived_from,
    ) as writer:
        writer.batch_size = manifest.batch_size
        if manifest.answers is not None:  # of the same classifier
            writer.record(answers=manifest.answers, environments=manifest.environments)
        writer.replace(run.table)
        return writer.finish() if run.complete else writer.pause()

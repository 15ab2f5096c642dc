"""Runs: certificates on disk, resumable, with what they were counted from.

A run is a folder: `manifest.json` (settings, versions, digests), `results.parquet` (one row an
input, `schema.COLUMNS`), and while it is written a journal and a lock. This package stores and
reads; `sosmooth.tasks` certifies into a run, certifies it again, checks it and attacks it. Names
are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sosmooth.runs.files import RunError
    from sosmooth.runs.run import Run, load_run
    from sosmooth.runs.writer import RunWriter

_HOMES = {"Run": "run", "RunError": "files", "RunWriter": "writer", "load_run": "run"}

__all__ = ["Run", "RunError", "RunWriter", "load_run"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

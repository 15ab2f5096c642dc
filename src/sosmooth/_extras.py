"""Packages that only some users need, and that extras of sosmooth install."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def needed(module: str, *, extra: str) -> Any:
    """The module, imported when it is needed.

    Args:
        module: its name.
        extra: the extra of sosmooth that installs it.

    Raises:
        ModuleNotFoundError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # it is installed, but a package that it needs is not
        raise ModuleNotFoundError(
            f"{error.name} is not installed; install it, in a clone of sosmooth, with"
            f' pip install -c constraints.txt ".[{extra}]"',
            name=error.name,
        ) from None


@contextmanager
def without_bars(transformers: Any) -> Iterator[None]:
    """Within it, transformers shows no progress bars for files that are read in a moment.

    Args:
        transformers: the package.
    """
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()

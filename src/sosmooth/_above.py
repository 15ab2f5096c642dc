"""Functions of upper layers, loaded when they are used.

Results and classifiers offer as methods what upper layers do with them: drawing, storing,
certifying again. Nothing of that is imported before it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def from_above(module: str, name: str) -> Any:
    """The function `sosmooth.<module>.<name>`.

    Args:
        module: its path below the package.
        name: of the function.
    """
    return getattr(import_module(f"sosmooth.{module}"), name)

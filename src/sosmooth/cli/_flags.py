"""Arguments that the library names in its messages, as options of the command line."""

from __future__ import annotations

import re

_ARGUMENTS = re.compile(
    r"\b(output(?==…)|class_names(?==…)|single_score(?==['…])|batch_size(?= 1\b)"
    r"|(?<=a smaller )batch_size|(?:workers|engine|address)(?= must be)|engine(?=='ray'))"
)


def with_flags(message: str) -> str:
    """The message with `--single-score=…` where it says `single_score=…`, and alike."""
    return _ARGUMENTS.sub(lambda match: f"--{match[0].replace('_', '-')}", message)

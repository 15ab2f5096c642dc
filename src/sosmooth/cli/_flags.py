"""Python arguments in the library's messages, written as options of the command line."""

from __future__ import annotations

import re

_ARGUMENTS = re.compile(
    r"\b((?:output|class_names|num_classes|dimension|batch_timeout|columns|data|weights)(?==…)"
    r"|data(?==(?:cifar10:)?FOLDER)|architecture(?==')|single_score(?==['…])"
    r"|batch_size(?= 1\b)|(?<=a smaller )batch_size"
    r"|(?:workers|engine|address|num_classes|columns)(?= must be)|engine(?=='ray')"
    r"|device(?=='cpu')|resume=True|accept_other_environment=True|(?<=each of )the efforts)"
)
# Options that have another name than the argument.
_NAMES = {
    "accept_other_environment=True": "accept_other_environment",
    "batch_timeout": "timeout",
    "resume=True": "resume",
    "the efforts": "runs",
}


def with_flags(message: str) -> str:
    """The message with `--single-score=…` where it says `single_score=…`, and alike."""

    def flag(match: re.Match[str]) -> str:
        return "--" + _NAMES.get(match[0], match[0]).replace("_", "-")

    return _ARGUMENTS.sub(flag, message)

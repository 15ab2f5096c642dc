"""Standard output of the commands, where `--json` asks for JSON and nothing else."""

from __future__ import annotations

import json


def print_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2))

"""Write what the commands print into docs/commands.md: `python scripts/command_outputs.py`.

It runs the `sh` block above each `text` block, one after another, in an empty folder.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "commands.md"
INSIDE = r"((?:(?!```).)*)"
BLOCKS = re.compile(rf"(```sh\n{INSIDE}```\n{INSIDE}```text\n){INSIDE}(```)", re.DOTALL)
WIDTH, LINES = 100, 24


def printed(commands: str, folder: str) -> str:
    """What the commands print on standard output, without its long lines and its end."""
    lines = []
    for command in commands.replace("\\\n", " ").splitlines():
        program = [sys.executable, "-m", "sosmooth", *shlex.split(command)[1:]]
        environment = os.environ | {"COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            program, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        lines += done.stdout.splitlines()
        if "export" in command:
            lines += Path(folder, program[-1]).read_text(encoding="utf-8").splitlines()[:4]
    lines = [line.rstrip() for line in lines]
    lines = [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = PAGE.read_text(encoding="utf-8")
        page = BLOCKS.sub(lambda found: found[1] + printed(found[2], folder) + found[5], page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()

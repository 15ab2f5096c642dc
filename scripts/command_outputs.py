"""Write what the commands print into docs/commands.md: `python scripts/command_outputs.py`.

It runs the `sh` block above each `text` block, one after another, in an empty folder and in a
terminal of 80 columns.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "commands.md"
INSIDE = r"((?:(?!```).)*)"
BLOCKS = re.compile(rf"(```sh\n{INSIDE}```\n{INSIDE}```text\n){INSIDE}(```)", re.DOTALL)
WIDTH, LINES = 80, 60
STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ADVICE = ("hint:", "next:")


def in_terminal(program: list[str], folder: str) -> list[str]:
    """The lines that a program prints in a terminal, and its advice; no colours and no progress."""
    screen, terminal = os.openpty()
    environment = os.environ | {"COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT / "src")}
    parts = []
    with subprocess.Popen(
        program, cwd=folder, env=environment, stdout=terminal, stderr=subprocess.PIPE, text=True
    ) as running:
        os.close(terminal)
        errors = running.stderr
        assert errors is not None
        reader = threading.Thread(target=lambda: parts.append(errors.read()))
        reader.start()
        shown = b""
        try:
            while block := os.read(screen, 2**16):
                shown += block
        except OSError:  # the program has closed its end
            pass
        reader.join()
    os.close(screen)
    if running.returncode:
        raise RuntimeError(f"{program} failed: {parts[0]}")
    lines = STYLES.sub("", shown.decode()).replace("\r", "").splitlines()
    return lines + [line for line in parts[0].splitlines() if line.startswith(ADVICE)]


def printed(commands: str, folder: str) -> str:
    """What the commands print, without its end."""
    lines = []
    for command in commands.replace("\\\n", " ").splitlines():
        program = [sys.executable, "-m", "sosmooth", *shlex.split(command)[1:]]
        lines += in_terminal(program, folder)
        if "export" in command:
            lines += Path(folder, program[-1]).read_text(encoding="utf-8").splitlines()[:4]
    lines = [line.rstrip().replace(f"{Path(folder).resolve()}/", "") for line in lines]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = PAGE.read_text(encoding="utf-8")
        page = BLOCKS.sub(lambda found: found[1] + printed(found[2], folder) + found[5], page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()

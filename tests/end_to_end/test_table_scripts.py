"""The script for a GPU calls commands that exist, in an order that can be resumed."""

import os
import shlex
import subprocess
from pathlib import Path

from sosmooth.cli._app import app

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_tables.sh"
# Writes down how it was called, and the file that --out names.
RECORDER = """#!/usr/bin/env bash
printf '%q ' "$(basename "$0")" "$@" >> "$CALLS"
echo >> "$CALLS"
while [ $# -gt 0 ]; do [ "$1" = --out ] && [[ "$2" == *.safetensors ]] && touch "$2"; shift; done
exit 0
"""


def calls(tmp_path, name):
    for program in ("sosmooth", "python"):
        (tmp_path / program).write_text(RECORDER)
        (tmp_path / program).chmod(0o755)
    environment = os.environ | {
        "CALLS": str(tmp_path / name),
        "SOSMOOTH": str(tmp_path / "sosmooth"),
        "PYTHON": str(tmp_path / "python"),
    }
    command = [SCRIPT, tmp_path / "cifar", tmp_path / "out"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return [shlex.split(line) for line in (tmp_path / name).read_text().splitlines()]


def test_every_command_of_the_script_is_one_of_the_program(tmp_path):
    first = calls(tmp_path, "first")
    assert [words[0] for words in first].count("python") == 1
    named = set()
    for program, *arguments in first:
        if program == "sosmooth":
            app.parse_args(arguments, exit_on_error=False, print_error=False)
            named.add(arguments[0])
    assert named == {"train", "reproduce", "certify", "report"}
    # What is trained and timed is not done again; the other commands resume by themselves.
    again = calls(tmp_path, "again")
    assert {words[1] for words in again} == named - {"train"}

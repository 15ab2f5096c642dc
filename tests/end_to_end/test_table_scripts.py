"""The scripts of tables call commands that exist, in an order that can be resumed."""

import os
import shlex
import subprocess
from pathlib import Path

from sosmooth.cli._app import app

SCRIPTS = Path(__file__).parents[2] / "scripts"
# Writes down how it was called, and the file that --out names.
RECORDER = """#!/usr/bin/env bash
printf '%q ' "$(basename "$0")" "$@" >> "$CALLS"
echo >> "$CALLS"
while [ $# -gt 0 ]; do [ "$1" = --out ] && [[ "$2" == *.safetensors ]] && touch "$2"; shift; done
exit 0
"""


def calls(script, tmp_path, name):
    for program in ("sosmooth", "python"):
        (tmp_path / program).write_text(RECORDER)
        (tmp_path / program).chmod(0o755)
    environment = os.environ | {
        "CALLS": str(tmp_path / name),
        "SOSMOOTH": str(tmp_path / "sosmooth"),
        "PYTHON": str(tmp_path / "python"),
    }
    command = [SCRIPTS / script, tmp_path / "cifar", tmp_path / "out"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return [shlex.split(line) for line in (tmp_path / name).read_text().splitlines()]


def named_by(calls):
    """The commands of the program; each is one that it would accept."""
    found = [arguments for program, *arguments in calls if program == "sosmooth"]
    for arguments in found:
        app.parse_args(arguments, exit_on_error=False, print_error=False)
    return {arguments[0] for arguments in found}


def test_the_tables_of_a_gpu(tmp_path):
    first = calls("gpu_tables.sh", tmp_path, "first")
    assert [words[0] for words in first].count("python") == 1
    assert named_by(first) == {"train", "reproduce", "certify", "report"}
    # What is trained and timed is not done again; the other commands resume by themselves.
    again = calls("gpu_tables.sh", tmp_path, "again")
    assert {words[1] for words in again} == named_by(first) - {"train"}


def test_the_tables_of_cifar10(tmp_path):
    found = calls("cifar10_tables.sh", tmp_path, "first")
    assert named_by(found) == {"certify", "recertify"}
    drawn = [words[words.index("--out") + 1] for words in found if words[1] == "certify"]
    assert len(set(drawn)) == len(drawn) == 6
    shown = [words for words in found if words[0] == "python"]
    assert [words[-1] for words in shown] == drawn
    made = {words[words.index("--out") + 1] for words in found if words[1] == "recertify"}
    assert {run for words in shown for run in words[5:-1]} <= made

"""What a user sees before certifying anything: one screen of help, and shell completion."""

import io
import shutil
import subprocess

import pytest
from rich.console import Console

from sosmooth.cli import main
from sosmooth.cli._app import app


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_help_fits_one_screen(columns):
    shown = io.StringIO()
    app.help_print([], console=Console(file=shown, width=columns))
    lines = shown.getvalue().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_and_is_a_script_of_that_shell(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("recertify", "tolerance", "shuffle-seed"):
        assert word in script
    if shutil.which(shell):
        assert (
            subprocess.run(
                [shell, "-n"], input=script, text=True, capture_output=True, timeout=60
            ).returncode
            == 0
        )


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(tmp_path, capsys):
    main(["completion", "bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    ask = (
        "source ./script; COMP_WORDS=(sosmooth certify --m); COMP_CWORD=2; _sosmooth; "
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", ask], cwd=tmp_path, text=True, capture_output=True, timeout=60
    )
    assert done.stdout.split() == ["--model", "--method", "--max"]

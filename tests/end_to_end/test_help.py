"""What a user sees before certifying anything: one screen of help, and shell completion."""

import io
import shlex
import shutil
import subprocess
from contextlib import redirect_stdout

import pytest
from rich.console import Console

from sosmooth.cli import main
from sosmooth.cli._app import COMMANDS, app
from sosmooth.cli._choices import spelled_out
from sosmooth.cli._examples import EXAMPLES
from sosmooth.methods import METHODS


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
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("certify --m", "--model --method --max"),
        ("certify --method second_order_", "second_order_pairs second_order_dipole"),
        ("certify --data im", "images"),
        ("certify --data images/c", "images/cats"),
        ("certify --model pa", "parts"),
        ("certify --data csv : ta", "table.csv"),
        ("certify --data cifar10 :", "images table.csv parts script"),
        ("compare images im", "images"),
        ("recertify images --method dipole_", "dipole_joint"),
    ],
)
def test_bash_completes(bash_script, words, found):
    (bash_script.parent / "images" / "cats").mkdir(parents=True, exist_ok=True)
    for file in ("table.csv", "parts"):
        (bash_script.parent / file).touch()
    words = f"sosmooth {words}".split()
    ask = (
        f"source ./script; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _sosmooth;"
        ' echo "${COMPREPLY[@]}"; complete -p sosmooth'
    )
    done = subprocess.run(
        ["bash", "-c", ask], cwd=bash_script.parent, text=True, capture_output=True, timeout=60
    )
    completed, registered = done.stdout.splitlines()
    assert sorted(completed.split()) == sorted(found.split())
    assert "-o filenames" in registered  # so that a folder ends in a slash, not in a space


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory):
    script = tmp_path_factory.mktemp("completion") / "script"
    with script.open("w") as file, redirect_stdout(file):
        main(["completion", "bash"])
    return script


@pytest.mark.parametrize("command", [one.__name__.replace("_", "-") for one in COMMANDS])
def test_the_help_of_a_command_fits_and_its_examples_are_calls(command):
    lines = help_of(command).splitlines()
    assert max(map(len, lines)) <= 80
    for arguments in EXAMPLES.get(command, {}).values():
        words = [command, *shlex.split(arguments)]
        app.parse_args(words, print_error=False, exit_on_error=False)
    shown = " ".join(" ".join(lines).replace("\\", " ").split())
    for arguments in EXAMPLES.get(command, {}).values():
        assert f"sosmooth {command} {arguments}".strip() in shown


def help_of(command):
    shown = io.StringIO()
    with spelled_out(COMMANDS):
        app.help_print([command], console=Console(file=shown, width=80))
    return shown.getvalue()


def test_the_help_lists_methods_and_groups_the_options(capsys):
    assert main(["certify", "--help"]) == 0
    assert "first_order" in capsys.readouterr().out
    shown = " ".join(help_of("certify").replace("│", " ").split())
    assert f"[choices: {', '.join(METHODS)}]" in shown
    for group in ("Certificate", "Which inputs", "The classifier", "Where and how it runs"):
        assert f"─ {group} ─" in shown
    # The command itself leaves the names to the library, which says more.
    line = "certify --model mnist7 --data mnist7 --sigma 0.25 --out run --method fourth_order"
    assert main(line.split()) == 2
    assert "unknown method 'fourth_order'" in capsys.readouterr().err

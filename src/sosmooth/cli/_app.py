"""The program and its commands, in the order of `sosmooth --help`."""

from __future__ import annotations

from typing import Literal

import cyclopts

from sosmooth import __version__
from sosmooth.cli._choices import for_bash, spelled_out
from sosmooth.cli._examples import epilogue, paragraphs
from sosmooth.cli.audit import audit
from sosmooth.cli.certify import certify, predict
from sosmooth.cli.demo import demo
from sosmooth.cli.doctor import doctor
from sosmooth.cli.methods import methods
from sosmooth.cli.plan import plan
from sosmooth.cli.reproduce import reproduce
from sosmooth.cli.runs import compare, export, import_log, recertify, report, validate
from sosmooth.cli.train import download, train


def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Print the script by which a shell completes commands.

    bash: eval "$(sosmooth completion bash)" in ~/.bashrc.

    zsh: sosmooth completion zsh > FOLDER/_sosmooth, a FOLDER of $fpath.

    fish: sosmooth completion fish > ~/.config/fish/completions/sosmooth.fish
    """
    with spelled_out(COMMANDS, paths=True):
        script = app.generate_completion(shell=shell)
    print(for_bash(script) if shell == "bash" else script)
    return 0


_GROUPS = {
    "First steps": (demo, doctor, train, download),
    "Certify": (certify, predict, plan, audit),
    "Look at runs": (report, compare, export, validate),
    "Without the classifier": (recertify, import_log, reproduce),
    "This program": (methods, completion),
}
COMMANDS = [command for commands in _GROUPS.values() for command in commands]
_GROUP_OF = {title: cyclopts.Group.create_ordered(title) for title in _GROUPS}

app = cyclopts.App(
    name="sosmooth",
    help="Certify classifiers against adversarial examples: for each input a class, and an l2"
    " radius within which no perturbation changes it. `sosmooth COMMAND --help` lists options;"
    " begin with `sosmooth demo`."
    " Exit codes: 0 done, 1 the work failed, 2 the call is wrong."
    " `--traceback` with any command prints the traceback of an error too.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `main` says how to continue
    group_commands=_GROUP_OF["This program"],
)
for _title, _commands in _GROUPS.items():
    for _command in _commands:
        app.command(
            _command,
            group=_GROUP_OF[_title],
            help=paragraphs(_command.__doc__ or ""),
            help_epilogue=epilogue(_command.__name__.replace("_", "-")),
        )

"""Every code block of the documentation works, on a small scale.

Python is executed, and commands run.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import prepared
import pytest
from blocks import blocks_of, commands_of

from sosmooth.cli import main
from sosmooth.cli._app import app

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")))
    if blocks_of(path.read_text())
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

#: What does not run here, by a part of its line, and why. Even so, commands of sosmooth are parsed.
NOT_RUN = {
    "make ": "creates environments, takes minutes; the target must exist",
    "-m venv": "creates an environment",
    "pip install": "downloads",
    "ray start": "a cluster of other machines",
    "--address HEAD": "a cluster of other machines; tests/end_to_end/test_ray.py has one",
    "python -m benchmarks": "minutes; tests/unit/test_benchmarks.py runs them small",
    "python examples/": "run by tests/end_to_end/test_examples.py",
    "sosmooth reproduce": "minutes to a night; run small by tests/end_to_end/test_reproduce.py",
    "sosmooth demo": "minutes; run small by tests/end_to_end/test_cli.py",
    "sosmooth download": "downloads",
    "scripts/": "an hour; tests/end_to_end/test_table_scripts.py looks at its commands",
    "--architecture resnet20": "an hour; tests/unit/test_training.py trains in seconds",
    "timm:": (
        "torchvision, which does not exist for every build of PyTorch; "
        "run by tests/end_to_end/test_loaders.py"
    ),
    "hf:google/": "weights that must be downloaded",
    "examples/imagenet.py": (
        "weights that must be downloaded; run by tests/end_to_end/test_imagenet.py if they exist"
    ),
}

#: What exists before the blocks of a page run: files, and names for Python.
FILES = {
    "README.md": [prepared.own],
    "docs/tutorial.md": [prepared.own],
    "docs/classifiers.md": [prepared.own, prepared.files, prepared.hugging_face, prepared.cifar],
    "docs/denoised.md": [prepared.own, prepared.denoiser],
    "docs/data.md": [prepared.own, prepared.files, prepared.hugging_face, prepared.cifar],
    "docs/runs.md": [prepared.runs, prepared.log(prepared.LOG)],
    "docs/report.md": [prepared.runs],
    "docs/coming_from.md": [prepared.log(prepared.DIPOLE_LOG)],
}
NAMES = {
    "docs/classifiers.md": lambda: {
        "estimator": prepared.fitted(prepared.RNG.normal(size=(20, 3)))
    },
    "docs/runs.md": lambda: (
        prepared.smoothed_digits() | {"art_classifier": prepared.art_classifier()}
    ),
    "docs/coming_from.md": lambda: {"art_classifier": prepared.art_classifier()},
    "docs/theory/several_classes.md": prepared.smoothed_digits,
    "docs/theory/extremal_region.md": lambda: {"p_c_upper": 0.3, "gamma_upper": 0.1, "r": 0.5},
}
NEEDED = {
    "docs/runs.md": ("pandas", "art"),
    "docs/coming_from.md": ("art",),
    "docs/classifiers.md": ("onnxruntime",),
}

#: Options that make a command small.
SMALL = {
    "certify": {"--n": "40", "--n0": "10", "--max": "2", "--batch-size": "20"},
    "audit": {
        "--max": "1",
        "--steps": "2",
        "--samples": "4",
        "--judge-n": "100",
        "--look-n": "200",
    },
}


# Pages whose blocks take long; the quick tests have those of README and the first pages.
SLOW = ("docs/runs.md", "docs/report.md", "docs/tutorial.md", "docs/commands.md")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(page, id=name_of(page), marks=pytest.mark.slow if slow else [])
        for page in PAGES
        for slow in [name_of(page) in SLOW]
    ],
)
def test_the_blocks_of_a_page(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = blocks_of(path.read_text())
    for package in NEEDED.get(name_of(path), ()):
        pytest.importorskip(package)
    for prepare in FILES.get(name_of(path), ()):
        prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "classifier", raising=False)
    namespace = NAMES.get(name_of(path), dict)()
    for block in found:
        if block.title is not None:
            Path(block.title).write_text(block.text)
        if block.kind == "python":
            text = re.sub(r"\bn=[\d_]+", "n=200", block.text)
            exec(compile("\n" * block.line + text, str(path), "exec"), namespace)
        elif block.kind == "sh":
            for words in commands_of(block.text):
                run(words, f"{name_of(path)}:{block.line}", capsys)
    sys.modules.pop("classifier", None)


def run(words: list[str], where: str, capsys) -> None:
    """Run a command of sosmooth on a small scale; check what can be checked of other commands."""
    program, arguments = words[0].rpartition("/")[2], words[1:]
    if program == "sosmooth":
        app.parse_args(arguments, print_error=False, exit_on_error=False)
    if program == "make":
        for target in arguments:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), (
                f"{where}: no target {target}"
            )
    if any(part in " ".join(words) for part in NOT_RUN):
        return
    assert program == "sosmooth", f"{where}: {' '.join(words)} is not run; say in NOT_RUN why"
    fresh_folder(arguments)
    code = main(small(arguments))
    printed = capsys.readouterr()
    assert code == 0, f"{where}: {' '.join(words)}: {printed.err}"


def small(arguments: list[str]) -> list[str]:
    """The same command with fewer samples and inputs."""
    arguments = list(arguments)
    for option, value in SMALL.get(arguments[0], {}).items():
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
        else:
            arguments += [option, value]
    return arguments


def fresh_folder(arguments: list[str]) -> None:
    """Move away the folder that a command before has written.

    Lines of one block that write to the same folder are alternatives.
    """
    if arguments[0] in ("certify", "recertify", "import-log") and "--out" in arguments:
        out = Path(arguments[arguments.index("--out") + 1])
        if out.exists():
            out.rename(f"{out}-{len(list(Path().iterdir()))}")


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_the_commands_in_an_example_are_commands(path, capsys):
    text = ast.get_docstring(ast.parse(path.read_text()))
    for block in blocks_of(text or ""):
        assert block.kind == "sh"
        for words in commands_of(block.text):
            if words[0] == "sosmooth":
                app.parse_args(words[1:], print_error=False, exit_on_error=False)
            else:
                assert any(part in " ".join(words) for part in NOT_RUN)


def test_what_can_be_run_is_marked_as_such():
    runnable = re.compile(
        r"^(\s*)(sosmooth |python|pip |make |import |from \w+ import)"
        r"|SmoothedClassifier\(|load_run\(",
        re.MULTILINE,
    )
    for path in PAGES:
        for block in blocks_of(path.read_text()):
            assert block.kind in ("python", "sh", "text"), (
                f"{name_of(path)}:{block.line}: {block.kind} is not known here"
            )
            assert block.kind != "text" or not runnable.search(block.text), (
                f"{name_of(path)}:{block.line} is not run"
            )


def test_the_table_of_what_is_not_run_holds_nothing_else():
    texts = [block.text for path in PAGES for block in blocks_of(path.read_text())] + [
        path.read_text() for path in EXAMPLES
    ]
    assert [part for part in NOT_RUN if not any(part in text for text in texts)] == []

"""What `sosmooth COMMAND --help` begins and ends with: a description, and usual calls."""

from __future__ import annotations

_WIDTH = 78
#: Command → what a call is for, and its arguments.
EXAMPLES: dict[str, dict[str, str]] = {
    "demo": {
        "everything, in about two minutes": "",
        "a quick look": "--images 20 --n 1e4",
    },
    "doctor": {
        "the installation": "",
        "a classifier too": "--model net.onnx --data images/ --sigma 0.25",
    },
    "train": {
        "a ResNet": "cifar10:cifar --sigma 0.25 --architecture resnet20",
        "a small network in seconds": "mnist7 --sigma 0.25 --epochs 5",
    },
    "download": {
        "170 MB; then `cifar10:cifar` is a data set": "cifar10 --out cifar",
    },
    "certify": {
        "a PyTorch model and a folder of images": (
            "--model net.py:Net+net.pt --data images/ --sigma 0.25 --out run"
        ),
        "CIFAR-10, the bundled ResNet-20": (
            "--model cifar10 --data cifar10:cifar --sigma 0.25 --skip 100 --n 1e4"
            " --channels-last --out run"
        ),
        "an ONNX file, quickly": "--model net.onnx --data images.npz --sigma 0.5 --n 1e4 --out run",
        "a classifier of scikit-learn and a table": (
            "--model model.skops --data 'test.csv?label=kind' --sigma 0.1 --out run"
        ),
        "texts, in the space of their embeddings": (
            "--model hf:bert --data 'text:test.csv?model=bert' --sigma 0.1 --out run"
        ),
    },
    "predict": {
        "a class for each image": "--model net.onnx --data images/ --sigma 0.25",
        "as JSON": "--model mnist7 --data mnist7 --sigma 0.25 --max 5 --json",
    },
    "plan": {
        "what would up to a million samples give?": "run --n 1e6",
        "how many samples reach this radius?": "run --radius 0.5",
    },
    "audit": {
        "attack five inputs": "run --max 5",
        "try harder, draw a picture": "run --max 100 --steps 50 --out audit.png",
    },
    "report": {
        "one run": "run --out report.html",
        "two runs compared": "first_order run --out report.html",
    },
    "compare": {
        "the baseline first": "first_order run",
        "at these radii, as JSON": "first_order run --radii 0.25,0.5,1 --json",
    },
    "export": {
        "for analysis scripts of published code": "run --out log.tsv",
    },
    "validate": {
        "exit code 1 where something is wrong": "run",
    },
    "recertify": {
        "the baseline, at once": "run --method first_order --out first_order",
        "another alpha": "run --method dipole --alpha 0.01 --out loose",
    },
    "import-log": {
        "a log of Cohen et al.'s code": (
            "log.tsv --method first_order --sigma 0.25 --n 1e5 --alpha 1e-3 --out cohen"
        ),
    },
    "reproduce": {
        "which figures there are": "",
        "one of them, in a night": "fig5 --scale day",
    },
    "methods": {
        "for programs": "--json",
    },
}


def epilogue(command: str) -> str | None:
    """The examples of a command, as the end of its help; None where it has none."""
    lines = []
    for purpose, arguments in EXAMPLES.get(command, {}).items():
        lines += [f"  # {purpose}", *_broken(f"sosmooth {command} {arguments}".rstrip())]
    return "\n".join(["Examples:", *lines]) if lines else None


def paragraphs(docstring: str) -> str:
    """The docstring with each paragraph in one line, which a terminal of any width can break."""
    return "\n\n".join(" ".join(each.split()) for each in docstring.split("\n\n"))


def _broken(call: str) -> list[str]:
    """The call in lines that fit, broken in front of options."""
    first, *options = call.split(" --")
    lines = [f"  {first}"]
    for option in options:
        if len(lines[-1]) + len(option) + len(" -- \\") > _WIDTH:
            lines[-1] += " \\"
            lines.append(f"      --{option}")
        else:
            lines[-1] += f" --{option}"
    return lines

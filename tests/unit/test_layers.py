"""Which modules may import which, and what stays unloaded."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MATHEMATICS = (
    "sosmooth.tally",
    "sosmooth.confidence.published",
    "sosmooth.certificates.region",
    "sosmooth.results",
    "sosmooth.methods",
)


def python(code):
    """What `code` prints in a fresh interpreter."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_imports_go_down_only():
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import sosmooth", {"torch", "scipy", "pyarrow", "matplotlib", "rich", "cyclopts"}),
        (
            "from sosmooth.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
            {"torch", "pyarrow", "matplotlib", "scipy"},
        ),
    ],
    ids=["import sosmooth", "sosmooth --help"],
)
def test_nothing_heavy_is_loaded(code, heavy):
    printed = python(f"{code}\nimport sys\nprint('\\nloaded:', *({heavy!r} & sys.modules.keys()))")
    assert printed.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("module", MATHEMATICS)
def test_the_mathematics_needs_no_torch(module):
    blocked = ["torch", "matplotlib", "pyarrow", "cyclopts", "rich", "jinja2"]
    python(f"import sys\nsys.modules |= dict.fromkeys({blocked!r})\nimport {module}")


def test_a_blocked_torch_is_noticed():
    """The test above can fail."""
    result = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['torch'] = None; import torch"],
        capture_output=True,
    )
    assert result.returncode != 0

"""Which modules may import which, and what stays unloaded."""

import shutil
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


def lint_imports(folder):
    """Run import-linter with the settings and the source in `folder`."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_imports_go_down_only():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_imports_that_go_up_are_refused(tmp_path):
    upward = {
        "datasets/npz.py": "sosmooth.smoothed",
        "classifiers/load.py": "sosmooth.request",
        "certificates/region.py": "sosmooth.methods",
    }
    sources = {path.relative_to(ROOT / "src"): path for path in (ROOT / "src").rglob("*.py")}
    for name, path in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, module in upward.items():
        with (tmp_path / "sosmooth" / name).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {module}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    for name, module in upward.items():
        importer = f"sosmooth.{name.removesuffix('.py').replace('/', '.')}"
        assert f"{importer} -> {module}" in result.stdout


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

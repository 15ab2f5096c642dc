"""The layout of the source: no line is wider than a page."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDTH = 100
#: The folders with Python files.
FOLDERS = ("benchmarks", "examples", "scripts", "src", "tests")


@pytest.mark.parametrize("folder", FOLDERS)
def test_lines_are_short(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    assert [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if len(line) > WIDTH
    ] == []

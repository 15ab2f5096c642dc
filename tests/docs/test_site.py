"""The documentation site builds without a warning and works without a network.

Links lead to something that exists.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason='needs pip install "sosmooth[docs]"')
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    api = (tmp_path / "api.html").read_text()
    for section in (
        "Returns:",
        "Raises:",
        "<summary>Guarantee</summary>",
        "<summary>Source</summary>",
    ):
        assert section in api
    assert "<math " in (tmp_path / "theory" / "first_order.html").read_text()
    # Read when there is no server.
    assert (tmp_path / "search" / "search_index.js").exists()
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//|<link[^>]+href=\"(?:https?:)?//"
    )
    for page in tmp_path.rglob("*.html"):
        assert not loaded.search(page.read_text()), f"{page.name} loads something from elsewhere"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere_in_the_repository(path):
    for target in LINK.findall(path.read_text()):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = path.parent / place if place else path
        assert found.exists(), f"{path.name} links to {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors_of(found), f"{path.name} links to {target}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that the repository's host gives the headings; the site gives the same."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }

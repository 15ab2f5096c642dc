"""The pages have short lines, and the API page lists the package and all its parameters."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import sosmooth

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
WIDTH = 100
TARGET = re.compile(r"\]\([^)\s]*\)")


def too_wide(page: str) -> list[int]:
    """The numbers of the lines that are too wide.

    Tables, printed output and link targets may be wide.
    """
    found, output = [], False
    for number, line in enumerate(page.split("\n"), 1):
        if line.startswith("```"):
            output = line.startswith("```text")
        if not output and not line.startswith("|") and len(TARGET.sub("]", line)) > WIDTH:
            found.append(number)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_lines_are_short(path):
    assert too_wide(path.read_text(encoding="utf-8")) == []


def shown(page: str) -> list[str]:
    """The objects that a part of the API page shows."""
    return re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)


def test_the_api_page_shows_what_the_package_offers():
    offered, others = API.split("## In other modules")
    homes = {f"sosmooth.{home}.{name}" for name, home in sosmooth._HOMES.items()}
    assert sorted(sosmooth.__all__) == sorted(sosmooth._HOMES)
    assert sorted(shown(offered)) == sorted(homes)
    assert not homes & set(shown(others))


def test_the_version_is_written_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "version" in project["dynamic"]
    assert metadata.version("sosmooth") == sosmooth.__version__
    assert re.search(r"^## \[([\d.]+)\]", changes, re.MULTILINE)[1] == sosmooth.__version__


#: What the site does not list in full yet; an entry that is no longer needed fails.
INCOMPLETE = {
    "Bounds",
    "Certificate",
    "Certificates",
    "CertifiedEstimator",
    "InputSet",
    "Method",
    "Region",
    "Request",
    "Run",
    "SmoothedClassifier",
    "average_certified_radius",
    "certified_accuracy",
    "export_tsv",
    "floored",
    "import_log",
    "linf_radius",
}


@pytest.fixture(scope="module")
def package():
    griffe = pytest.importorskip("griffe", reason='needs pip install "sosmooth[docs]"')
    return griffe.load(
        "sosmooth",
        search_paths=[str(ROOT / "src")],
        extensions=griffe.load_extensions(str(ROOT / "scripts" / "site_docstrings.py")),
        docstring_parser="google",
        docstring_options={"warnings": False, "returns_named_value": False},
    )


def listed(shown_object) -> list[str]:
    """The parameters that the site lists: those of the docstring, and a class's attributes."""
    found = []
    for member in (shown_object, shown_object.members.get("__init__")):
        if member is not None and member.docstring is not None:
            for section in member.docstring.parsed:
                if section.kind.value in ("parameters", "attributes"):
                    found += [entry.name.lstrip("*") for entry in section.value]
    return found


def unlisted(shown_object) -> set[str]:
    """`name(parameter)` for each missing parameter of an object and of its public methods."""
    functions = [shown_object]
    if shown_object.is_class:
        functions += [
            member
            for name, member in shown_object.members.items()
            if member.is_function and not name.startswith("_")
        ]
    return {
        f"{function.path.removeprefix(shown_object.module.path)[1:]}({parameter.name})"
        for function in functions
        if function.is_class or function.is_function
        for parameter in function.parameters
        if parameter.name not in ("self", "cls")
        and parameter.name.lstrip("*") not in listed(function)
    }


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(strict=True))
        if name.rpartition(".")[2] in INCOMPLETE
        else name
        for name in shown(API)
    ],
)
def test_the_site_lists_every_parameter(name, package):
    assert unlisted(package[name.removeprefix("sosmooth.")]) == set()

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


def listed(shown_object, *kinds) -> set[str]:
    """The names in these sections of the docstring; a class includes those of its `__init__`."""
    return {
        entry.name.lstrip("*")
        for member in (shown_object, shown_object.members.get("__init__"))
        if member is not None and member.docstring is not None
        for section in member.docstring.parsed
        if section.kind.value in kinds
        for entry in section.value
    }


def functions_of(shown_object) -> list:
    """The object if it can be called, and its public methods."""
    functions = [shown_object] if shown_object.is_class or shown_object.is_function else []
    if shown_object.is_class:
        functions += [
            member
            for name, member in shown_object.members.items()
            if member.is_function and not name.startswith("_")
        ]
    return functions


def parameters_of(function) -> set[str]:
    names = {parameter.name.lstrip("*") for parameter in function.parameters}
    return names - {"self", "cls"}


def misdescribed(shown_object) -> set[str]:
    """`name(parameter)` for each parameter that only the signature or only the docstring has.

    The attributes of a class describe parameters too, and may be more than these.
    """
    found = set()
    for function in functions_of(shown_object):
        missing = parameters_of(function) - listed(function, "parameters", "attributes")
        invented = listed(function, "parameters") - parameters_of(function)
        name = function.path.removeprefix(shown_object.module.path)[1:]
        found |= {f"{name}({parameter})" for parameter in missing | invented}
    return found


@pytest.mark.parametrize("name", shown(API))
def test_the_site_lists_the_parameters_of_the_signature(name, package):
    assert misdescribed(package[name.removeprefix("sosmooth.")]) == set()

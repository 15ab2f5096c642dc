"""Prepare docstrings for the documentation site.

Its reader wants a blank line above each section, and a section of examples.
"""

from __future__ import annotations

import re
import textwrap

import griffe

SECTION = re.compile(r"(?<!\n)\n(?=(?:Args|Attributes|Returns|Raises|Guarantee|Source):\n)")
EXAMPLE = re.compile(r"^>>> .+(?:\n.+)*", re.MULTILINE)


class SectionsApart(griffe.Extension):
    """Separates the sections after an object has been read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring is not None:
            text = SECTION.sub("\n\n", obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(
                lambda found: "Examples:\n" + textwrap.indent(found[0], "    "), text
            )

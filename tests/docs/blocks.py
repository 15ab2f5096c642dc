"""The code blocks of a Markdown page.

They are the fenced blocks, and the indented blocks of which every line is a command.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

PROGRAMS = ("sosmooth", "make", "python", "python3", "pip", "ray", "git")


@dataclass(frozen=True)
class Block:
    """One block.

    `kind` is python, sh, or text for what is not a program, such as formulas and pictures. `title`
    names the file that the block is.
    """

    line: int
    kind: str
    title: str | None
    text: str


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    lines, found, i = page.split("\n"), [], 0
    while i < len(lines):
        begin = i
        if lines[i].startswith("```"):
            kind, _, rest = lines[i].removeprefix("```").partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            i = lines.index("```", i + 1)
            found.append(
                Block(
                    begin + 1,
                    kind or "text",
                    title and title[1],
                    "\n".join(lines[begin + 1 : i]) + "\n",
                )
            )
        elif lines[i].startswith("    ") and (i == 0 or not lines[i - 1].strip()):
            while i < len(lines) and (lines[i].startswith("    ") or not lines[i].strip()):
                i += 1
            text = "\n".join(line[4:] for line in lines[begin:i]).strip("\n") + "\n"
            shell = all(line.split()[0].rpartition("/")[2] in PROGRAMS for line in _joined(text))
            found.append(Block(begin + 1, "sh" if shell else "text", None, text))
            continue
        i += 1
    return found


def commands_of(text: str) -> list[list[str]]:
    """The commands of a shell block as words, without comments."""
    return [words for line in _joined(text) if (words := shlex.split(line, comments=True))]


def _joined(text: str) -> list[str]:
    return [line for line in text.replace("\\\n", " ").split("\n") if line.strip()]

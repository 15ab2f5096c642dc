"""What the documentation site needs beside `docs/`: the examples as pages, and the files of the root that pages link to.

In the repository such a link leads to the file; in the site to the page made of it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
ROOT_PAGES = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "src/sosmooth/report/vendor/README.md",
)


def on_files(files, config):
    """Add the pages that are made of files outside `docs/`."""
    for name in ROOT_PAGES:
        files.append(
            File.generated(config, name, content=(ROOT / name).read_text().replace("](docs/", "]("))
        )
    for example in sorted((ROOT / "examples").glob("*.py")):
        files.append(
            File.generated(config, f"examples/{example.stem}.md", content=_page_of(example))
        )
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links out of `docs/` into links to those pages."""
    markdown = re.sub(
        r"\]\(((?:\.\./)*)\.\./examples/(\w+)\.py\)", r"](\1examples/\2.md)", markdown
    )
    return re.sub(
        rf"\]\(((?:\.\./)*)\.\./({'|'.join(map(re.escape, ROOT_PAGES))})", r"](\1\2", markdown
    )


def _page_of(example: Path) -> str:
    """The docstring as text, the code below it."""
    source = example.read_text()
    tree = ast.parse(source)
    title, _, text = (ast.get_docstring(tree) or example.stem).partition("\n")
    code = "".join(source.splitlines(keepends=True)[tree.body[0].end_lineno :]).strip()
    return f"# {title.rstrip('.')}\n{text}\n\n`examples/{example.name}`\n\n```python\n{code}\n```\n"

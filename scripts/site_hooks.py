"""What the documentation site needs besides `docs/`: more pages, and typeset formulas.

The examples become pages, and so do the files of the root that pages link to. In the repository
such a link leads to the file; in the site it leads to the page. Formulas become MathML when the
site is built, so that a reader needs neither a script nor a network.
"""

from __future__ import annotations

import ast
import html
import json
import re
from pathlib import Path

import latex2mathml.converter
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
ROOT_PAGES = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "RELEASING.md",
    "src/sosmooth/report/vendor/README.md",
)
#: A formula as pymdownx.arithmatex writes it.
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
#: Where the spacing of latex2mathml differs from TeX, and the corrections.
SPACING = (
    (r"<mi>(&#x0007[BD];)</mi>", r'<mo stretchy="false">\1</mo>'),
    (r"<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"),
    (r"<mi>:</mi>", "<mo>:</mo>"),
    (r"<mo[^>]*>(&#x0007C;|&#x0002F;)</mo>", r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'),
    # A sign after a relation, an opening bracket or a comma belongs to what follows it.
    (
        r"(<mo[^>]*>(?:&#x(?:0003D|02264|02265|0003C|0003E|02260|02248|02208|02192|0002C|00028"
        r"|0005B|0007B);|[([,])</mo>)<mo>(&#x02212;|&#x0002B;|&#x000B1;)</mo>",
        r'\1<mo form="prefix">\2</mo>',
    ),
)


def on_files(files, config):
    """Add the pages that are made from files outside `docs/`."""
    for name in ROOT_PAGES:
        files.append(
            File.generated(config, name, content=(ROOT / name).read_text().replace("](docs/", "]("))
        )
    for suffix, page_of in ((".py", _page_of), (".ipynb", _page_of_notebook)):
        for example in sorted((ROOT / "examples").glob(f"*{suffix}")):
            files.append(
                File.generated(config, f"examples/{example.stem}.md", content=page_of(example))
            )
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links out of `docs/` into links to those pages."""
    markdown = re.sub(
        r"\]\(((?:\.\./)*)\.\./examples/(\w+)\.(?:py|ipynb)\)", r"](\1examples/\2.md)", markdown
    )
    return re.sub(
        rf"\]\(((?:\.\./)*)\.\./({'|'.join(map(re.escape, ROOT_PAGES))})", r"](\1\2", markdown
    )


def on_page_content(content, page, config, files):
    """Typeset the formulas."""
    return FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    latex = html.unescape(found[2]).strip()
    mathml = latex2mathml.converter.convert(latex, display=display)
    if "\\" in mathml:  # a command that latex2mathml does not know
        raise ValueError(f"this formula cannot be typeset: {latex}")
    for pattern, replacement in SPACING:
        mathml = re.sub(pattern, replacement, mathml)
    return f'<div class="formula">{mathml}</div>' if display == "block" else mathml


def _page_of(example: Path) -> str:
    """The docstring as text, followed by the code."""
    source = example.read_text()
    tree = ast.parse(source)
    title, _, text = (ast.get_docstring(tree) or example.stem).partition("\n")
    code = "".join(source.splitlines(keepends=True)[tree.body[0].end_lineno :]).strip()
    return f"# {title.rstrip('.')}\n{text}\n\n`examples/{example.name}`\n\n```python\n{code}\n```\n"


def _page_of_notebook(example: Path) -> str:
    """The texts and the code of its cells."""
    parts = []
    for cell in json.loads(example.read_text())["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    title, *others = parts
    heading, _, text = title.partition("\n")
    return "\n\n".join([heading, text, f"`examples/{example.name}`", *others]) + "\n"

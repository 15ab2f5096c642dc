"""The look of the figures, and their files: without pyplot, the same bytes for the same data."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal
from matplotlib.text import Text

INK, FAINT, GRID, PAPER = "#1d2733", "#5b6775", "#dde2e8", "#fefefe"

# From Okabe and Ito 2008, who chose colours that differ for every kind of colour vision.
LOWER, SAME, HIGHER = "#d55e00", "#8a94a0", "#0072b2"


@dataclass(frozen=True)
class Look:
    """How a method is drawn, the same in every picture.

    Attributes:
        colour: on paper and on light backgrounds.
        on_dark: on dark backgrounds.
        dashes: lengths of dashes and gaps in units of the line's width; empty: a solid line.
        hatch: of bars, as matplotlib and plotly name it.
    """

    colour: str
    on_dark: str
    dashes: tuple[float, ...] = ()
    hatch: str = ""


# The hues are those of Okabe and Ito. Dashes and hatches differ too, so that a picture can be read
# without colours; the two solid lines are the lightest and the darkest.
LOOKS = {
    "first_order": Look("#8f99a3", "#8b97a4"),
    "second_order": Look("#b87400", "#f0b13c", (3, 1.5), "/"),
    "dipole": Look("#0072b2", "#56b4e9", (1, 1.2), "\\"),
    "dipole_joint": Look("#b0508a", "#e48fc0", (4, 1.4, 1, 1.4), "x"),
    "second_order_pairs": Look("#b84a00", "#f0824a", (4, 1.4, 1, 1.4, 1, 1.4), "+"),
    "second_order_dipole": Look("#00734f", "#2fc492", (8, 2), "|"),
    "third_order_dipole": Look("#4b1d73", "#d9c2ff"),
    "look_ahead": Look("#a3243b", "#ff8a9a", (10, 1.6, 2, 1.6), "o"),
}
# For curves of no method.
_DASHES = ["-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5))]

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "sosmooth",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GRID,
    "xtick.labelcolor": FAINT,
    "ytick.color": GRID,
    "ytick.labelcolor": FAINT,
}


@contextmanager
def styled() -> Iterator[None]:
    """Use the style of the report, and restore the user's matplotlib settings afterwards."""
    with style.context(["default", _STYLE]):  # pyright: ignore[reportArgumentType]
        yield


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure; call it inside `styled()`.

    Args:
        width: inches.
        height: inches.
    """
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def colour_of(method: str) -> str:
    """The colour of a method, the same in every figure."""
    return LOOKS[method].colour


def line_of(look: Look) -> dict[str, Any]:
    """Colour and line style for a curve of matplotlib."""
    return {"color": look.colour, "linestyle": (0, look.dashes) if look.dashes else "-"}


def looks_of(methods: Sequence[str]) -> list[Look]:
    """How each of the runs of a picture is drawn.

    Further runs of a method have its colour, and dashes that no other run has yet.

    Args:
        methods: of the runs, keys of `LOOKS`.
    """
    first = {method: methods.index(method) for method in methods}
    free = [look for method, look in LOOKS.items() if method not in first and look.dashes]
    found = []
    for position, method in enumerate(methods):
        look = LOOKS[method]
        if position != first[method] and free:
            other = free.pop()
            look = replace(look, dashes=other.dashes, hatch=other.hatch)
        found.append(look)
    return found


def dashes_of(position: int) -> str | tuple:
    """The line style of the curve at a position, from 0, among curves of no method."""
    return _DASHES[position % len(_DASHES)]


def in_words(name: str, most: int = 44) -> str:
    """A name on one line and of bounded length.

    Matplotlib hides names that begin with `_`, so a space comes before it.

    Args:
        name: any text.
        most: characters at most.
    """
    name = " ".join(name.split()) or "(no name)"
    name = name if len(name) <= most else name[: most - 1] + "…"
    return f" {name}" if name.startswith("_") else name


def laid_out(figure: Figure) -> Figure:
    """The figure with its parts in place, so that writing it does not place them again."""
    with _quiet(), styled():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure as PNG, at print resolution."""
    with BytesIO() as out, _quiet(), styled():
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=300, metadata={"Software": None})
        return out.getvalue()


def as_svg(figure: Figure) -> str:
    """The figure as SVG; letters are outlines, so that it looks the same without the font."""
    with BytesIO() as out, _quiet(), styled():
        FigureCanvasSVG(figure)
        figure.savefig(
            out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
        return out.getvalue().decode()


def as_pdf(figure: Figure) -> bytes:
    """The figure as PDF; letters are outlines, as in `as_svg`, so that no font is embedded."""
    texts: list[Text] = figure.findobj(Text)  # pyright: ignore[reportAssignmentType]
    try:
        # Text with an effect, be it none, is drawn as outlines.
        for text in texts:
            text.set_path_effects([Normal()])
        with BytesIO() as out, _quiet(), styled():
            FigureCanvasPdf(figure)
            metadata = dict.fromkeys(("CreationDate", "Creator", "Producer"))
            figure.savefig(out, format="pdf", metadata=metadata)
            return out.getvalue()
    finally:
        for text in texts:
            text.set_path_effects([])


def inline(svg: str, stem: str) -> str:
    """An SVG of `as_svg` as an element of a page, without header and metadata.

    Colours that are others on a dark background become variables of the page's CSS.

    Args:
        svg: from `as_svg`.
        stem: begins its ids, so that they differ from those of the page's other figures.
    """
    svg = re.sub(
        r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{stem}-", svg)
    for variable, colour in PAPER_COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(
        r'<svg (.*?)width="[^"]*" (.*?)height="[^"]*"', r"<svg \1\2", svg, count=1, flags=re.DOTALL
    )


def variable_of(method: str) -> str:
    """The variable of the page's CSS that holds the colour of a method."""
    return f"--{method.replace('_', '-')}"


#: The variables of the page's CSS in the figures, with their values on paper.
PAPER_COLOURS: Mapping[str, str] = {
    "--ink": INK,
    "--faint": FAINT,
    "--line": GRID,
    "--paper": PAPER,
    **{variable_of(method): look.colour for method, look in LOOKS.items()},
}


def method_colours() -> str:
    """The colours of the methods as CSS."""
    return "".join(
        f"{variable_of(method)}:light-dark({look.colour},{look.on_dark});"
        for method, look in LOOKS.items()
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings of letters that the font lacks: they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield

"""The look of the figures, and their files: without pyplot, the same bytes for the same data."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, FAINT, GRID, PAPER = "#1d2733", "#5b6775", "#dde2e8", "#fefefe"

# From Okabe and Ito 2008, who chose colours that differ for every kind of colour vision; the
# baseline is grey.
LOWER, SAME, HIGHER = "#d55e00", "#8a94a0", "#0072b2"
_METHOD_COLOURS = {
    "first_order": "#7a8490",
    "second_order": "#e69f00",
    "dipole": "#0072b2",
    "dipole_joint": "#cc79a7",
    "second_order_pairs": "#d55e00",
    "second_order_dipole": "#009e73",
    "third_order_dipole": "#56b4e9",
}
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
    return _METHOD_COLOURS.get(method, "#56b4e9")


def page_colour_of(method: str) -> str:
    """The colour of a method in the page's CSS, which may be another on a dark background."""
    colour = colour_of(method)
    return f"var({_VARIABLES[colour]})" if colour in _VARIABLES else colour


def dashes_of(position: int) -> str | tuple:
    """The line style of the series at a position, from 0.

    Curves that coincide are visible through each other's gaps.
    """
    return _DASHES[position % len(_DASHES)]


def dash_name(position: int) -> str:
    """The line style of the series at a position, as plotly and SVG name it."""
    return ("solid", "dash", "dot", "dashdot")[position % len(_DASHES)]


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


def as_png(figure: Figure) -> bytes:
    """The figure as PNG, with twice the pixels of an ordinary screen."""
    with BytesIO() as out, _quiet(), styled():
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=200, metadata={"Software": None})
        return out.getvalue()


def as_svg(figure: Figure) -> str:
    """The figure as SVG; letters are outlines, so that it looks the same without the font."""
    with BytesIO() as out, _quiet(), styled():
        FigureCanvasSVG(figure)
        figure.savefig(
            out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
        return out.getvalue().decode()


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
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(
        r'<svg (.*?)width="[^"]*" (.*?)height="[^"]*"', r"<svg \1\2", svg, count=1, flags=re.DOTALL
    )


_VARIABLES: Mapping[str, str] = {
    INK: "--ink",
    FAINT: "--faint",
    GRID: "--line",
    PAPER: "--paper",
    HIGHER: "--blue",
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings of letters that the font lacks: they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield

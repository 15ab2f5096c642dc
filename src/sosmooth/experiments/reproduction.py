"""Reproducing one figure of the paper: its picture and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from sosmooth.experiments.comparison import comparison_markdown, comparison_rows
from sosmooth.experiments.curves import curves_figure
from sosmooth.experiments.files import write_csv, write_figure, write_text
from sosmooth.experiments.histograms import histogram_figure
from sosmooth.experiments.paper import Drawing, Effort, figure_named, panels_of
from sosmooth.experiments.paper import Figure as PaperFigure
from sosmooth.experiments.population import POPULATION
from sosmooth.experiments.sampled import Given, Progress, Result, certify_panels, open_all
from sosmooth.experiments.swiss_roll import swiss_roll_figure

_DRAW: Mapping[Drawing, Callable[[PaperFigure, Sequence[Result]], Figure]] = {
    Drawing.HISTOGRAMS: histogram_figure,
    Drawing.CURVES: curves_figure,
    Drawing.SWISS_ROLL: swiss_roll_figure,
}


@dataclass(frozen=True)
class Reproduction:
    """The result of `reproduce_figure`.

    Attributes:
        files: that were written, the pictures first.
        rows: of the table.
        failures: a line for each input that failed.
    """

    files: list[Path]
    rows: list[dict[str, object]]
    failures: list[str]


def reproduce_figure(
    name: str,
    *,
    scale: str,
    out: Path,
    given: Given,
    progress: Progress,
    efforts: Sequence[Effort] | None = None,
) -> Reproduction:
    """Certify the inputs of a figure of the paper and draw it; the same call again resumes it.

    Args:
        name: a key of `FIGURES`.
        scale: one of `SCALES`; population figures are exact at every scale.
        out: folder of the picture, the table and, under `runs`, the runs, which figures of the same
            data share. A figure of two data sets is drawn for the one that is given, and its files
            are named after it.
        given: data and weights.
        progress: of each run.
        efforts: used instead of the scale's, as in `panels_of`.

    Raises:
        ValueError: the name or the scale is unknown, or data or weights are missing or not those of
            the figure.
        FileNotFoundError: data or weights do not exist.
        RunError: `out` cannot be written or holds other runs.
    """
    figure = figure_named(name)
    panels = panels_of(figure, scale, efforts)
    if figure.drawing is Drawing.POPULATION:
        picture, rows = POPULATION[name]()
        return Reproduction(
            [*write_figure(picture, out, name), write_csv(rows, out, name)], rows, []
        )
    opened = open_all(panels, given)
    results, failures = certify_panels(panels, opened, out, device=given.device, progress=progress)
    shown = [result.panel.published for result in results]
    left_out = [row for row in figure.published if row not in shown]
    rows = comparison_rows(name, figure, results)
    stem = name if len(figure.data) == 1 else f"{name}_{opened.data}"
    pictures = write_figure(_DRAW[figure.drawing](figure, results), out, stem)
    page = comparison_markdown(
        name,
        figure,
        results,
        left_out,
        effort=f"scale `{scale}`" if efforts is None else "samples and images as asked",
        files=[*(path.name for path in pictures), f"{stem}.csv"],
    )
    return Reproduction(
        [*pictures, write_csv(rows, out, stem), write_text(page, out / f"{stem}.md")],
        rows,
        failures,
    )

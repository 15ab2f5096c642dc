"""The command that repeats the paper's experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sosmooth.cli._options import Json
from sosmooth.cli._output import Column, print_json, print_rows, say


def reproduce(
    name: Annotated[
        str | None, Parameter(help="Figure: fig1a, fig2, fig5, …", show_default="list them all")
    ] = None,
    *,
    scale: Annotated[
        Literal["smoke", "day", "paper"],
        Parameter(help="smoke: two minutes; day: a night on two cores; paper: as published."),
    ] = "smoke",
    out: Annotated[
        Path | None,
        Parameter(help="Folder of picture, table and runs.", show_default="reproduced/SCALE"),
    ] = None,
    data: Annotated[
        str | None,
        Parameter(help="Inputs, if they are not bundled: cifar10:FOLDER, or a folder of images."),
    ] = None,
    weights: Annotated[
        str | None,
        Parameter(
            help="Classifier, if it is not bundled: FILE.safetensors; {sigma} stands for the"
            " sigma, as in 0.25."
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        Parameter(
            help="Architecture of the weights, where it is not the figure's, or where their file"
            " does not say it."
        ),
    ] = None,
    runs: Annotated[
        str | None,
        Parameter(
            help="Samples and images instead of the scale's: N:IMAGES,…; each N stands for the"
            " nearest published n."
        ),
    ] = None,
    device: Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    json: Json = False,
) -> int:
    """Reproduce a figure of the paper, beside the published one.

    Interrupt it at any time and resume it with the same command.
    """
    if name is None:
        return _show_figures(as_json=json)
    from sosmooth._progress import progress
    from sosmooth.experiments.reproduction import reproduce_figure
    from sosmooth.experiments.sampled import Given

    found = reproduce_figure(
        name,
        scale=scale,
        out=out or Path("reproduced") / scale,
        given=Given(data, weights, architecture, device),
        progress=progress,
        efforts=None if runs is None else _efforts(runs),
    )
    if json:
        files = [str(path) for path in found.files]
        print_json({"figure": name, "scale": scale, "files": files, "rows": found.rows})
    else:
        print("\n".join(str(path) for path in found.files))
    for failure in found.failures:
        say(f"sosmooth: {failure}")
    return 1 if found.failures else 0


def _efforts(runs: str):
    from sosmooth.experiments.paper import Effort

    found = []
    for part in runs.split(","):
        try:
            n, images = (int(float(number)) for number in part.split(":"))
        except (ValueError, OverflowError):
            n = images = 0
        if n < 2 or n % 2 or images < 1:
            raise ValueError(
                "--runs must be N:IMAGES, several with commas, N even, as in 1e5:1000,1e6:200; got"
                f" {part.strip()!r} in {runs!r}"
            )
        found.append(Effort(n, images))
    return found


def _show_figures(*, as_json: bool) -> int:
    from sosmooth.experiments.paper import FIGURES, SOURCES

    rows = [
        {
            "figure": name,
            "shows": figure.shows,
            "needs": [SOURCES[key].name for key in figure.data if not SOURCES[key].bundled],
        }
        for name, figure in FIGURES.items()
    ]
    if as_json:
        print_json(rows)
        return 0
    columns = [
        Column("figure", "figure", is_text=True),
        Column("shows", "what it shows", is_text=True),
        Column("needs", "--data and\n--weights of", is_text=True),
    ]
    print_rows(columns, [row | {"needs": " or ".join(row["needs"])} for row in rows])
    return 0

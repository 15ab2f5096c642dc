"""The report: one self-contained page about one or more runs, with its figures as files."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sosmooth.measures import floored
from sosmooth.report.compared import compared_rows
from sosmooth.report.comparison import difference_row
from sosmooth.report.encoding import picture_uri, signed_picture, thumbnail_sheet
from sosmooth.report.figures import (
    accuracy_figure,
    accuracy_name,
    gain_figure,
    radius_figure,
    relative_change_figure,
)
from sosmooth.report.images import images_of
from sosmooth.report.noisy import Noisy
from sosmooth.report.payload import in_script, payload
from sosmooth.report.series import Pair, RunLike, Series, pairs_with_baseline, series_of_all
from sosmooth.report.style import as_png, as_svg, inline
from sosmooth.report.summary import lower_median, round_radii, share, summary_row, whole
from sosmooth.results import UNKNOWN

_EXTREMES = 6


@dataclass(frozen=True)
class _Picture:
    """A figure on the page; `stem` names its files and begins its ids."""

    stem: str
    caption: str
    figure: Figure

    @cached_property
    def _drawn(self) -> str:
        return as_svg(self.figure)

    @property
    def svg(self) -> Markup:
        # Safe: matplotlib draws every text as outlines.
        return Markup(inline(self._drawn, self.stem))

    def save(self, folder: Path) -> list[Path]:
        """Write it as PNG and as SVG, and return the paths."""
        png, svg = folder / f"{self.stem}.png", folder / f"{self.stem}.svg"
        png.write_bytes(as_png(self.figure))
        svg.write_text(self._drawn, encoding="utf-8", newline="\n")
        return [png, svg]


def write_report(
    runs: Sequence[RunLike],
    out: Path,
    *,
    inputs: Callable[[int], NDArray] | None = None,
    noisy: Mapping[int, Noisy] | None = None,
) -> list[Path]:
    """Write the report of the runs: one page, and its figures as PNG and SVG beside it.

    The figures are in the folder `<stem of out>_figures`. The page loads nothing: you can send,
    keep and print it as one file. Without JavaScript, and on paper, it shows the figures. The same
    runs give the same bytes.

    Args:
        runs: one or more, none empty. A first-order run of the same sigma and data is the baseline
            of the others.
        out: the HTML file; replaced if it exists, its folder is made.
        inputs: index → the input as an array (height, width), with 1 or 3 channels first or last,
            in [0, 1] or uint8; inputs of other shapes are not shown. With several data sets, they
            are those of the first run. None: `thumbnails/<index>.png` in the folder of the run.
        noisy: index → what the classifier saw of that input, from `noisy_of`.

    Returns:
        The files written, the page first.

    Raises:
        ValueError: there is no run, or one has no rows.
    """
    out = Path(out)
    series = series_of_all(runs)
    pairs = pairs_with_baseline(series)
    accuracy = _Picture("accuracy", _accuracy_caption(series), accuracy_figure(series))
    changes = [
        _Picture(f"relative-change-{k}", _change_caption(pair), relative_change_figure(pair))
        for k, pair in enumerate(pairs, 1)
    ]
    gain = _Picture("gain", _gain_caption(pairs), gain_figure(pairs)) if pairs else None
    radii = [
        _Picture(f"radius-{k}", _radius_caption(pair), radius_figure(pair))
        for k, pair in enumerate(pairs, 1)
    ]

    folder = out.parent / f"{out.stem}_figures"
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        path
        for picture in [accuracy, *([gain] if gain else []), *changes, *radii]
        for path in picture.save(folder)
    ]

    at = round_radii(series)
    images = images_of(series)
    sheet = thumbnail_sheet(series, images, inputs)
    data = payload(runs, series, pairs, images) | {
        "sheet": sheet and sheet.numbers(),
        "noisy": _encoded(noisy),
    }
    scripts = [_part("vendor", "plotly-basic.min.js"), _script()]
    page = _template().render(
        policy=_policy(scripts),
        css=Markup(_part("page", "page.css")),
        sheet=sheet and sheet.uri,
        data=Markup(in_script(data)),
        scripts=[Markup(script) for script in scripts],
        title=_title(series),
        lead=[_sentence(one) for one in series],
        alphas=" or ".join(dict.fromkeys(f"{one.alpha:g}" for one in series)),
        unlabelled=[one.name for one in series if not one.labelled],
        summary=_turned([summary_row(one, at) for one in series]),
        compared=_upright(compared_rows(runs, series, at)),
        accuracy=accuracy,
        gain=gain,
        paired=_turned([difference_row(pair, at) for pair in pairs]),
        change_caption=_CHANGES,
        radius_caption=_radius_caption_by_p(series),
        reference=series[data["reference"]].name,
        series_count=len(series),
        comparisons=list(zip(changes, radii, strict=True)),
        missing_baseline=[
            one.name
            for one in series
            if one.method != "first_order" and all(one.name != p.method.name for p in pairs)
        ],
        extremes=[(one.name, one.labelled, _extremes(one)) for one in series],
        settings=_turned([{"run": one.name} | _as_text(one.settings) for one in series]),
        environment=_turned([{"run": one.name} | _as_text(one.environment) for one in series]),
    )
    out.write_text(page, encoding="utf-8", newline="\n")
    return [out, *written]


def _part(folder: str, name: str) -> str:
    return files("sosmooth.report").joinpath(folder, name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's own script, whose parts share one scope."""
    parts = "\n".join(
        _part("page", name) for name in ("data.js", "plots.js", "table.js", "image.js", "main.js")
    )
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _policy(scripts: Sequence[str]) -> str:
    """The page may run these scripts, its own styles and its own pictures; it may load nothing."""
    digests = " ".join(
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def _template():
    page = _part("page", "page.html.jinja")
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(page)


def _encoded(noisy: Mapping[int, Noisy] | None) -> dict[str, dict[str, Any]] | None:
    """The pictures of images for the page, by the image's name; None where there are none."""
    found = {}
    for index, one in (noisy or {}).items():
        if (clean := picture_uri(one.input)) is not None:
            direction = (
                None if one.direction is None else picture_uri(signed_picture(one.direction))
            )
            copies = [picture_uri(copy) for copy in one.copies]
            found[str(index)] = {
                "input": clean,
                "copies": copies,
                "signs": one.signs,
                "answers": one.answers,
                "direction": direction,
                "selected": one.selected,
            }
    return found or None


def _title(series: Sequence[Series]) -> str:
    return (
        f"Certificates of {series[0].name}"
        if len(series) == 1
        else f"Certificates of {len(series)} runs"
    )


def _sentence(series: Series) -> dict[str, str]:
    """The certificates of a run in one sentence."""
    certified = series.radius[series.certified]
    says = (
        f"{whole(len(certified))} of {whole(len(series))} images are certified"
        f" ({share(len(certified), len(series))})"
    )
    if series.labelled:
        right = int(np.sum(series.right))
        says += f", {whole(right)} with the right class ({share(right, len(series))} of all)"
    if len(certified):
        says += f"; half of the certified radii are {floored(lower_median(certified))} or more"
    if missing := int(np.sum(series.missing)):
        says += (
            f"; {whole(missing)} of {whole(len(series))} images are missing (they failed, or the"
            " run was stopped before them) and count as not certified"
        )
    return {"name": series.name, "says": f"{says}."}


def _accuracy_caption(series: Sequence[Series]) -> str:
    what = accuracy_name(series)
    meaning = "with their right class" if what == "certified accuracy" else "(labels are unknown)"
    return (
        f"{what.capitalize()}: the fraction of all images certified {meaning} at that radius or a"
        " larger one. Bands: 95 % Clopper–Pearson intervals for the choice of images, at each"
        " radius on its own: pointwise, not simultaneous over radii."
    )


def _gain_caption(pairs: Sequence[Pair]) -> str:
    return (
        "Each image's certified radius relative to first order's, from the largest gain to the"
        " largest loss, over the images that both certify with the right class. Where the two drew"
        " different noise, part of each change is chance."
        + "".join(dict.fromkeys(_different_settings(pair) for pair in pairs))
    )


_CHANGES = (
    "Images by the change of their certified radius, relative to first order. Only images that at"
    " least one of the two certifies with the right class are counted. Click a bar to show its"
    " images in the table."
)


def _radius_caption_by_p(series: Sequence[Series]) -> str:
    reference = next((one for one in series if one.method == "first_order"), series[0])
    by_first_order = reference.method == "first_order"
    line = (
        f" The line is first order's radius, σΦ⁻¹(p), σ = {reference.sigma:g}."
        if by_first_order
        else ""
    )
    return (
        "Each image at the lower bound of its probability: how much each run changes its radius, or"
        f" its largest radius, in the colour of the run that wins.{line} Click a point to open the"
        " image."
    )


def _change_caption(pair: Pair) -> str:
    right = "with the right class " if pair.method.labelled else ""
    return (
        f"Images by the change of their certified radius, {pair.method.name} relative to"
        f" {pair.baseline.name}. Of {whole(len(pair.method))} images that both looked at, only"
        f" those certified {right}by at least one of the two are counted. A change on the edge of"
        " two bins counts in the one nearer to no change." + _different_settings(pair)
    )


def _radius_caption(pair: Pair) -> str:
    return (
        f"The same images one by one: above the diagonal the radius of {pair.method.name} is"
        f" larger, below it that of {pair.baseline.name}; on an axis only one of the two certifies."
    )


def _different_settings(pair: Pair) -> str:
    """A warning where the two runs differ in n or alpha too."""
    differing = [
        f"{name} {getattr(pair.method, name):g} and {getattr(pair.baseline, name):g}"
        for name in ("n", "alpha")
        if getattr(pair.method, name) != getattr(pair.baseline, name)
    ]
    return f" The two differ in more than the method: {', '.join(differing)}." if differing else ""


def _turned(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """A row for each title instead of each run: (title, its text in each run)."""
    return [(title, texts) for title, *texts in _columns(rows)]


def _upright(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """The titles, then a row for each of the rows: (first cell, the other cells)."""
    return [(cells[0], list(cells[1:])) for cells in zip(*_columns(rows), strict=True)]


def _columns(rows: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """Each title, with its text in each row."""
    titles = dict.fromkeys(title for row in rows for title in row)
    return [[title, *(row.get(title, UNKNOWN) for row in rows)] for title in titles]


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(key): value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str)
        for key, value in values.items()
    }


def _extremes(series: Series) -> list[tuple[str, list[dict[str, Any]]]]:
    """The certified images with the smallest and the largest radii, none in both."""
    order = np.lexsort((series.index, series.radius))
    order = order[series.certified[order]]
    half = min(_EXTREMES, len(order) // 2)
    groups = {
        "Smallest radii": order[: len(order) - half][:_EXTREMES],
        "Largest radii": order[::-1][:half],
    }
    return [
        (title, [_row(series, int(i)) for i in which])
        for title, which in groups.items()
        if len(which)
    ]


def _row(series: Series, i: int) -> dict[str, Any]:
    index, label, prediction = int(series.index[i]), int(series.label[i]), int(series.prediction[i])
    p_lower = float(series.p_lower[i])
    return {
        "index": index,
        "label": UNKNOWN if label < 0 else series.called(label),
        "prediction": series.called(prediction),
        "wrong": label >= 0 and label != prediction,
        "radius": floored(float(series.radius[i]), 4),
        "p_lower": UNKNOWN if np.isnan(p_lower) else floored(p_lower, 5),
    }

"""The report: one self-contained page about one or more runs, with its figures as files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from sosmooth.report.baseline import BASELINE, computed_baselines, samples_used
from sosmooth.report.compared import compared_rows
from sosmooth.report.comparison import difference_row
from sosmooth.report.contents import contents
from sosmooth.report.encoding import picture_uri, signed_picture, thumbnail_sheet
from sosmooth.report.headline import featured, headline
from sosmooth.report.inputs import every_input
from sosmooth.report.noisy import Noisy
from sosmooth.report.payload import in_script, payload
from sosmooth.report.pictures import pictures_of
from sosmooth.report.probability import one_each, probabilities_of
from sosmooth.report.series import (
    Pair,
    RunLike,
    Series,
    pairs_with_baseline,
    series_of_all,
)
from sosmooth.report.style import PAPER_COLOURS, looks_of, method_colours
from sosmooth.report.summary import round_radii
from sosmooth.report.tables import (
    compared_table,
    extremes,
    intervals_table,
    other_units_table,
    result_table,
    same_settings,
    settings_table,
)
from sosmooth.runs.run import Run
from sosmooth.tally import Design

_SCRIPTS = ("data.js", "axes.js", "plots.js", "table.js", "input.js", "files.js", "main.js")


def write_report(
    runs: Sequence[RunLike],
    out: Path,
    *,
    inputs: Callable[[int], NDArray] | None = None,
    features: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    noisy: Mapping[int, Noisy] | None = None,
) -> list[Path]:
    """Write the report of the runs: one page, and its figures as files beside it.

    The figures are in the folder `<stem of out>_figures`, as PDF, SVG, PNG and CSV. The page loads
    nothing: you can send, keep and print it as one file. Without JavaScript, and on paper, it shows
    the figures. The same runs give the same bytes.

    Args:
        runs: one or more, none empty. A first-order run of the same sigma and data is the baseline
            of the others; without one, the page certifies their samples by first order.
        out: the HTML file; replaced if it exists, its folder is made.
        inputs: index → the input as an array (height, width), with 1 or 3 channels first or last,
            in [0, 1] or uint8, or the features of a row (features,); inputs of other shapes are not
            shown. With several data sets, they are those of the first run. None:
            `thumbnails/<index>.png` in the folder of the run.
        features: names of the features; None: their numbers, from 0.
        texts: what the inputs were made from, by index; shown instead of features.
        noisy: index → what the classifier saw of that input, from `noisy_of`.

    Returns:
        The files written, the page first.

    Raises:
        ValueError: there is no run, or one has no rows.
    """
    out, given = Path(out), runs
    computed = computed_baselines(runs)
    runs = _in_order(given, computed)
    series = series_of_all(runs)
    pairs = pairs_with_baseline(series)
    looks = looks_of([one.method for one in series])
    each = one_each(series)
    probabilities = [probabilities_of(runs[k], series[k]) for k in each]
    probabilities = [one for one in probabilities if one is not None]
    pictures = pictures_of(series, pairs, probabilities, looks)

    folder = out.parent / f"{out.stem}_figures"
    folder.mkdir(parents=True, exist_ok=True)
    written = [path for picture in pictures.values() for path in picture.save(folder)]

    at = round_radii(series)
    every = every_input(series)
    sheet = thumbnail_sheet(series, every, inputs)
    data = payload(runs, series, pairs, every, looks, probabilities) | {
        "sheet": sheet and sheet.numbers(),
        "contents": contents(every, inputs, features, texts),
        "noisy": _encoded(noisy),
        "paper": dict(PAPER_COLOURS),
    }
    names = [one.name for one in series]
    scripts = [_part("vendor", "plotly-basic.min.js"), _script()]
    page = _template().render(
        policy=_policy(scripts),
        css=Markup(_part("page", "page.css")),
        colours=Markup(method_colours()),
        sheet=sheet and sheet.uri,
        data=Markup(in_script(data)),
        scripts=[Markup(script) for script in scripts],
        title=_title(series, len(given)),
        headline=headline(given),
        alphas=" or ".join(dict.fromkeys(f"{one.alpha:g}" for one in series)),
        unlabelled=[one.name for one in series if not one.labelled],
        pictures=pictures,
        accuracy=data["accuracy"],
        results=result_table(series, pairs, at),
        same=same_settings(series),
        units=other_units_table(series),
        compared=compared_table(compared_rows(runs, series, at)),
        paired=intervals_table([difference_row(pair, at) for pair in pairs]),
        reference=series[data["reference"]],
        several=len(series) > 1,
        computed=[
            _how_computed(run, one, pairs) for run, one in zip(computed, series[1:], strict=False)
        ],
        missing_baseline=_without_baseline(series, pairs),
        only_first_order=all(one.method == BASELINE for one in series),
        first=names[0],
        extremes=extremes(series[0]),
        settings=settings_table([one.settings for one in series], names),
        environment=settings_table([one.environment for one in series], names),
    )
    out.write_text(page, encoding="utf-8", newline="\n")
    return [out, *written]


def _part(folder: str, name: str) -> str:
    return files("sosmooth.report").joinpath(folder, name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's own script, whose parts share one scope."""
    parts = "\n".join(_part("page", name) for name in _SCRIPTS)
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
    """The pictures of inputs for the page, by the input's name; None where there are none."""
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


def _in_order(given: Sequence[RunLike], computed: Sequence[RunLike]) -> list[RunLike]:
    """The run that the sentence is about, then first order, then the others.

    Runs of other data than the first one's come last.
    """
    series = series_of_all(given)
    best, data = featured(series), series[0].settings.get("data")

    def rank(k: int) -> tuple[bool, bool, bool]:
        one = series[k]
        return one.settings.get("data") != data, k != best, one.method != BASELINE

    order = sorted(range(len(given)), key=rank)
    found = [given[k] for k in order]
    return [*found[:1], *computed, *found[1:]]


def _title(series: Sequence[Series], given: int) -> str:
    return f"Certificates of {series[0].name}" if given == 1 else f"Certificates of {given} runs"


def _how_computed(run: Run, series: Series, pairs: Sequence[Pair]) -> dict[str, object]:
    """Whose samples a computed baseline certifies, and which of them."""
    others = [pair.method.name for pair in pairs if pair.baseline.name == series.name]
    return {
        "name": series.name,
        "of": ", ".join(others),
        "used": samples_used(run),
        "pairs": run.certificates().tally.design is Design.ANTITHETIC,
    }


def _without_baseline(series: Sequence[Series], pairs: Sequence[Pair]) -> list[str]:
    compared = {pair.method.name for pair in pairs}
    return [one.name for one in series if one.method != BASELINE and one.name not in compared]

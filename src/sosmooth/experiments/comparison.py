"""The table of a sampled figure: each number beside the paper's, with everything that differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sosmooth.experiments.paper import ALPHA, N0, SEEDS, SOURCES, Drawing, Figure, Panel
from sosmooth.experiments.published import PublishedHistogram
from sosmooth.experiments.sampled import Result
from sosmooth.measures import floored
from sosmooth.report.relative_change import BINS, relative_change_counts
from sosmooth.report.series import Pair
from sosmooth.report.summary import whole

_UNKNOWN = "—"
#: Radii at which the table gives certified accuracy, as far as some image reaches; input units.
_RADII = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
_BOTH = [name for name in BINS if name not in ("baseline_only", "method_only")]
_MIDDLE = _BOTH.index("within_1")
#: The numbers in the paper's text, as fractions of the images that both certify.
_SUMS = {
    "smaller by more than 1 %, of those both certify": _BOTH[:_MIDDLE],
    "within 1 %, of those both certify": ["within_1"],
    "larger by more than 1 %, of those both certify": _BOTH[_MIDDLE + 1 :],
}


def comparison_rows(
    name: str, figure: Figure, results: Sequence[Result]
) -> list[dict[str, object]]:
    """One row a number, published and ours; further columns hold what differs.

    Args:
        name: a key of `FIGURES`.
        figure: of that name.
        results: one a panel.
    """
    rows = []
    for result in results:
        published, settings = result.panel.published, result.pair.method.settings
        context = {
            "figure": name,
            "data": result.inputs.name,
            "sigma": published.sigma,
            "method": published.method,
        }
        differing = {
            "published_n": published.n,
            "n": result.panel.effort.n,
            "published_images": published.images,
            "images": len(result.pair.method),
            "published_classifier": SOURCES[published.data].classifier,
            "classifier": settings["model"].get("architecture"),
            "weights_sha256": settings["model"].get("weights_sha256"),
            "seed_first_order": result.pair.baseline.seed,
            "seed_method": result.pair.method.seed,
        }
        for quantity, theirs, ours, same in _numbers(figure, result):
            numbers = {"published": theirs, "ours": ours, "ours_same_samples": same}
            rows.append({**context, "quantity": quantity, **numbers, **differing})
    return rows


def comparison_markdown(
    name: str,
    figure: Figure,
    results: Sequence[Result],
    left_out: Sequence[PublishedHistogram],
    *,
    effort: str,
    files: Sequence[str],
) -> str:
    """The rows of `comparison_rows` as a page in Markdown.

    Args:
        name: a key of `FIGURES`.
        figure: of that name.
        results: one a panel.
        left_out: published histograms that were not run.
        effort: the scale, in words.
        files: that the page links; the first is the picture to show.
    """
    seeds = ", ".join(f"{method} {seed}" for method, seed in SEEDS.items())
    lines = [
        f"# Figure {name.removeprefix('fig')}: {figure.shows}",
        "",
        f"![{figure.shows}]({files[0]})",
        "",
        f"{effort.capitalize()}. Files: " + " ".join(f"[{file}]({file})" for file in files),
        "",
        "What differs in every panel:",
        "",
        "| | published | ours |",
        "|---|---|---|",
        "| from | the authors' logs | the runs in `runs/` |",
        "| radii | three significant digits, rounded to nearest | every digit, rounded down |",
        f"| seeds | separate samples for each method | the same; {seeds} |",
        f"| alpha, n0 | {ALPHA}, {N0} | {ALPHA}, {N0} |",
        "",
        "“Same samples” compares second order with first order from the same samples, so that",
        "chance plays no part. Published and ours are not the same experiment: the first rows of",
        "each table say in what they differ.",
    ]
    for result in results:
        lines += ["", f"## {panel_title(result.panel)}", "", *_panel_table(figure, result)]
    if left_out:
        lines += ["", "## Not run here", ""]
        lines += [
            f"- {_published_title(row)}: {row.images} images were published" for row in left_out
        ]
        other_data = {row.data for row in left_out} - {
            result.panel.published.data for result in results
        }
        remedies = [
            f"`--data` and `--weights` of {SOURCES[key].name}"
            for key in SOURCES
            if key in other_data
        ]
        if any(row.data not in other_data for row in left_out):
            remedies.append("`--scale paper`")
        lines += ["", f"To run them: {', '.join(remedies)}."]
    return "\n".join(lines) + "\n"


def panel_title(panel: Panel) -> str:
    """Data, sigma, method, the published n, and the n used here."""
    row, effort = panel.published, panel.effort
    here = "" if effort.n == row.n else f" (here {power_of_ten(effort.n)})"
    return f"{_published_title(row)}{here}"


def power_of_ten(n: int) -> str:
    """A count in short: 10⁶, 2·10⁵, or with gaps between thousands."""
    digits = str(n).rstrip("0")
    zeros = len(str(n)) - len(digits)
    if zeros < 3 or len(digits) > 2:
        return whole(n)
    superscript = str(zeros).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{superscript}" if digits == "1" else f"{digits}·10{superscript}"


def _published_title(row: PublishedHistogram) -> str:
    method = row.method.replace("_", " ")
    return f"{SOURCES[row.data].name}, sigma {row.sigma:g}, {method}, n = {power_of_ten(row.n)}"


def _panel_table(figure: Figure, result: Result) -> list[str]:
    published, effort, settings = (
        result.panel.published,
        result.panel.effort,
        result.pair.method.settings,
    )
    same = result.same_samples is not None
    model = settings["model"]
    weights = str(model.get("weights_sha256") or "unknown")[:12]
    trained = model.get("training_sigma")
    ours = f"{model.get('architecture') or model.get('spec')}, weights {weights}…" + (
        f", trained with sigma {trained}" if trained is not None else ""
    )
    head = ["", "published", "ours", *(["ours, same samples"] if same else [])]
    rows = [
        ["n", whole(published.n), whole(effort.n)],
        ["images", whole(published.images), whole(len(result.pair.method))],
        ["data", SOURCES[published.data].name, result.inputs.name],
        ["classifier", SOURCES[published.data].classifier, ours],
    ]
    rows = [[*row, *([row[-1]] if same else [])] for row in rows]
    for quantity, theirs, found, found_same in _numbers(figure, result):
        cells = [theirs, found, *([found_same] if same else [])]
        rows.append(
            [
                BINS.get(quantity, quantity),
                *(_UNKNOWN if cell is None else str(cell) for cell in cells),
            ]
        )
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]


def _numbers(figure: Figure, result: Result) -> list[tuple[str, object, object, object]]:
    """Quantity, published, ours, ours from the same samples; None where it does not exist."""
    published = result.panel.published
    theirs = published.counts

    def row(
        quantity: str, value: object, of: Callable[[Pair], object]
    ) -> tuple[str, object, object, object]:
        return (
            quantity,
            value,
            of(result.pair),
            None if result.same_samples is None else of(result.same_samples),
        )

    certified = sum(theirs.values())
    method = published.method.replace("_", " ")
    rows = [
        row(
            "certified accuracy, first order",
            _rounded_down((certified - theirs["method_only"]) / published.images),
            lambda pair: _rounded_down(pair.baseline.share_at(0.0)),
        ),
        row(
            f"certified accuracy, {method}",
            _rounded_down((certified - theirs["baseline_only"]) / published.images),
            lambda pair: _rounded_down(pair.method.share_at(0.0)),
        ),
        row(
            "average certified radius, first order",
            published.acr_baseline,
            _average("baseline"),
        ),
        row(f"average certified radius, {method}", published.acr_method, _average("method")),
    ]
    if figure.drawing is Drawing.CURVES:
        longest = max(
            float(one.right_radius.max()) for one in (result.pair.baseline, result.pair.method)
        )
        for at in (at for at in _RADII if at <= longest):
            for name, which in (("first order", "baseline"), (method, "method")):
                rows.append(
                    row(
                        f"certified accuracy at {at:g}, {name}",
                        None,
                        lambda pair, which=which, at=at: _rounded_down(
                            getattr(pair, which).share_at(at)
                        ),
                    )
                )
        return rows
    bins = [row(name, theirs[name], lambda pair, name=name: counts_of(pair)[name]) for name in BINS]
    sums = [
        row(
            name,
            _fraction(theirs, names),
            lambda pair, names=names: _fraction(counts_of(pair), names),
        )
        for name, names in _SUMS.items()
    ]
    return [*rows, *bins, *sums]


def counts_of(pair: Pair) -> dict[str, int]:
    """Images in each bin of relative change; only those certified with their label count."""
    return relative_change_counts(pair.baseline.right_radius, pair.method.right_radius)


def _fraction(counts: Mapping[str, int], bins: Sequence[str]) -> str | None:
    total = sum(counts[name] for name in _BOTH)
    return f"{sum(counts[name] for name in bins) / total:.3f}" if total else None


def _average(which: str) -> Callable[[Pair], str]:
    return lambda pair: floored(getattr(pair, which).average_radius(), 4)


def _rounded_down(fraction: float | NDArray[np.float64]) -> str:
    # A count over a count: 1e-12 is more than the rounding error of the division, and less than
    # the distance of such fractions from the next four digits.
    return floored(float(fraction) + 1e-12, 4)

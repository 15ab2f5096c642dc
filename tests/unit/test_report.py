"""The report: what it counts and prints.

Its page is complete, safe and the same each time.
"""

import csv
import hashlib
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from base64 import b64decode, b64encode
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from stored_runs import stored, three_runs

from sosmooth.certificates.dipole import dipole_region
from sosmooth.measures import floored
from sosmooth.methods import METHODS
from sosmooth.report import html
from sosmooth.report.comparison import difference_curve, difference_row, paired_differences
from sosmooth.report.encoding import picture_uri, signed_picture, thumbnail_sheet
from sosmooth.report.figures import (
    accuracy_figure,
    bins_figure,
    change_axis,
    change_figure,
    difference_figure,
    probability_figure,
)
from sosmooth.report.headline import headline
from sosmooth.report.html import write_report
from sosmooth.report.inputs import every_input
from sosmooth.report.intervals import difference_interval, mean_interval, pointwise_interval
from sosmooth.report.payload import in_script, payload
from sosmooth.report.pictures import pictures_of
from sosmooth.report.probability import Probabilities
from sosmooth.report.relative_change import (
    BINS,
    bins_of,
    compare_runs,
    gain_of,
    relative_change_counts,
)
from sosmooth.report.series import pairs_with_baseline, series_of, series_of_all
from sosmooth.report.style import LOOKS, as_pdf, as_png, as_svg, looks_of
from sosmooth.report.summary import radius_digits, radius_text, round_radii, share, summary_rows

HOSTILE = '<script>alert("x")<!-- $\\frac{ & \'_'


# Floored numbers


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False), st.integers(0, 12))
def test_a_floored_radius_never_exceeds_the_radius_and_is_within_one_digit(radius, digits):
    text = floored(radius, digits)
    assert re.fullmatch(r"\d+(\.\d+)?", text)
    assert len(text.partition(".")[2]) == digits
    shortfall = Decimal(radius) - Decimal(text)
    assert 0 <= shortfall < Decimal(1).scaleb(-digits)


@pytest.mark.parametrize(
    ("radius", "digits", "text"),
    [
        (0.7899999, 3, "0.789"),
        (0.9996, 3, "0.999"),
        (0.0, 2, "0.00"),
        (5e-324, 6, "0.000000"),
        (np.inf, 3, "inf"),
        (2.5, 0, "2"),
    ],
)
def test_floored_examples(radius, digits, text):
    assert floored(radius, digits) == text


@pytest.mark.parametrize(("radius", "digits"), [(np.nan, 3), (1.0, -1)])
def test_floored_refuses(radius, digits):
    with pytest.raises(ValueError, match="radius must be a number"):
        floored(radius, digits)


# The histogram of relative change


@pytest.mark.parametrize(
    ("baseline", "method", "name"),
    [
        (1.0, 0.0, "baseline_only"),
        (1.0, 0.74, "dec_25_plus"),
        (1.0, 0.75, "dec_15_25"),
        (1.0, 0.85, "dec_5_15"),
        (1.0, 0.95, "dec_1_5"),
        (1.0, 0.99, "within_1"),
        (1.0, 0.9899, "dec_1_5"),
        (1.0, 1.0, "within_1"),
        (1.0, 1.01, "within_1"),
        (1.0, 1.0101, "inc_1_5"),
        (1.0, 1.05, "inc_1_5"),
        (1.0, 1.15, "inc_5_15"),
        (1.0, 1.25, "inc_15_25"),
        (1.0, 1.26, "inc_25_plus"),
        (0.0, 1e-9, "method_only"),
        (np.inf, np.inf, "within_1"),
        (np.inf, 3.0, "dec_25_plus"),
        (3.0, np.inf, "inc_25_plus"),
    ],
)
def test_a_change_on_an_edge_is_in_the_bin_nearer_to_no_change(baseline, method, name):
    assert relative_change_counts([baseline], [method]) == dict.fromkeys(BINS, 0) | {name: 1}


@given(
    st.integers(1, 4000),
    st.sampled_from([(101, "within_1"), (105, "inc_1_5"), (115, "inc_5_15"), (125, "inc_15_25")]),
)
def test_edges_hold_for_radii_that_are_decimals(thousandths, case):
    percent, name = case
    counts = relative_change_counts([thousandths / 1000], [thousandths * percent / 100_000])
    assert counts[name] == 1


@given(st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4)), max_size=30))
def test_every_image_certified_by_one_of_the_two_is_counted_once(radii):
    baseline, method = [pair[0] for pair in radii], [pair[1] for pair in radii]
    counts = relative_change_counts(baseline, method)
    assert list(counts) == list(BINS)
    assert sum(counts.values()) == sum(1 for pair in radii if max(pair) > 0)


@pytest.mark.parametrize(
    ("baseline", "method"),
    [([1.0], [1.0, 2.0]), ([-1.0], [1.0]), ([np.nan], [1.0]), ([[1.0]], [[1.0]])],
)
def test_relative_change_refuses(baseline, method):
    with pytest.raises(ValueError):
        relative_change_counts(baseline, method)


# Runs as arrays


def test_a_certificate_of_another_class_counts_as_nothing():
    series = series_of(stored("run", "first_order", [0.5, 0.5, 0.0], prediction=[0, 7, 0]))
    assert series.right_radius.tolist() == [0.5, 0.0, 0.0]
    assert series.share_at([0.0, 0.5, 0.6]).tolist() == [1 / 3, 1 / 3, 0.0]
    assert series.average_radius() == pytest.approx(0.5 / 3)


def test_unknown_labels_give_the_certified_share():
    series = series_of(stored("run", "first_order", [0.5, 0.25, 0.0, 0.0], label=-1))
    assert not series.labelled
    assert series.share_at([0.0, 0.3]).tolist() == [0.5, 0.25]
    row = summary_rows([stored("run", "first_order", [0.5, 0.25, 0.0, 0.0], label=-1)])[0]
    assert row["certified fraction at 0"] == "50.0 %"


def test_the_probability_of_a_dipole_is_bounded_by_the_sum_of_its_parts():
    p_lower = series_of(stored("run", "dipole", [0.5])).p_lower[0]
    assert 0.7999 < p_lower < 0.7 + 0.1


def test_runs_of_the_same_name_are_told_apart():
    runs = [stored(path, "first_order", [0.5]) for path in ("a/run", "b/run", "c/run")]
    assert [one.name for one in series_of_all(runs)] == ["run", "run (2)", "run (3)"]


@pytest.mark.parametrize(
    ("runs", "message"),
    [([], "at least one run"), ([stored("empty", "dipole", [])], "'empty' holds no")],
)
def test_a_report_of_nothing_is_refused(runs, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_report(runs, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_only_shared_images_are_compared_in_the_same_order():
    baseline = stored(
        "first", "first_order", [0.1, 0.2, 0.3], index=[5, 3, 9], label=1, prediction=1
    )
    method = stored("dipole", "dipole", [0.9, 0.4], index=[9, 3], label=1, prediction=1)
    (pair,) = pairs_with_baseline(series_of_all([method, baseline]))
    assert pair.baseline.index.tolist() == pair.method.index.tolist() == [3, 9]
    assert pair.baseline.radius.tolist() == [0.2, 0.3]
    assert pair.method.radius.tolist() == [0.4, 0.9]


@pytest.mark.parametrize(
    "other", [{"sigma": 0.5}, {"data": "cifar10"}, {"label": 1}, {"index": [7, 8]}]
)
def test_runs_that_are_not_alike_are_not_compared(other):
    runs = [
        stored("first", "first_order", [0.1, 0.2]),
        stored("dipole", "dipole", [0.1, 0.2], **other),
    ]
    assert pairs_with_baseline(series_of_all(runs)) == []


def test_two_runs_are_compared_on_the_images_they_share():
    runs = [stored("a", "dipole", [0.5, 0.4, 0.3]), stored("b", "dipole", [0.5, 0.6], sigma=0.5)]
    assert compare_runs(*runs) == dict.fromkeys(BINS, 0) | {"within_1": 1, "inc_25_plus": 1}
    with pytest.raises(ValueError, match="a and c have no inputs"):
        compare_runs(runs[0], stored("c", "dipole", [0.5], index=[9]))


# The summary


@pytest.mark.parametrize("data", [{"features": ["width"]}, {"space": "embeddings of tokens"}])
def test_tables_and_texts_have_no_grey_levels(data):
    run = stored("a", "first_order", [0.5])
    settings = run.manifest.settings | {"data": data}
    of_table = replace(run, manifest=replace(run.manifest, settings=settings))
    assert "… in units of 1/255" in summary_rows([run])[0]
    assert "… in units of 1/255" not in summary_rows([of_table])[0]


def test_the_summary_rounds_down_and_has_the_same_columns_in_each_row():
    rows = summary_rows(
        [
            stored("a", "first_order", [0.7899999, 0.0, 0.7899999]),
            stored("b", "dipole", [0.0, 0.0, 0.0]),
        ]
    )
    assert list(rows[0]) == list(rows[1])
    assert rows[0]["median radius of the certified"] == "0.789"
    assert rows[0]["… in units of 1/255"] == "201.4"  # 201.449
    assert rows[0]["… as l∞ radius, r/√d"] == "0.1128"  # d = 49
    assert rows[0]["average certified radius"] == "0.526"
    assert rows[0]["certified accuracy at 0.5"] == "66.6 %"
    assert rows[0]["abstained"] == "1 too few samples"
    assert rows[1]["median radius of the certified"] == rows[1]["time per input"] == "—"


@pytest.mark.parametrize(
    ("sigma", "digits"), [(64, 3), (0.5, 3), (0.1, 3), (0.09, 4), (0.01, 4), (1e-5, 7)]
)
def test_a_small_sigma_gives_radii_more_digits(sigma, digits):
    assert radius_digits(sigma) == digits


@pytest.mark.parametrize(
    ("radius", "text"),
    [(0.12345, "0.123"), (0.0012, "0.001"), (0.000129, "0.00012"), (0.0, "0.000")],
)
def test_a_small_radius_is_not_shown_as_none(radius, text):
    assert radius_text(radius, 0.25) == text


@pytest.mark.parametrize(
    ("largest", "radii"),
    [
        (0.95, ["0.25", "0.5", "0.75"]),
        (0.5, ["0.25", "0.5"]),
        (4.0, ["1", "2", "3", "4"]),
        (30.0, ["10", "20", "30"]),
        (0.0, []),
        (np.inf, []),
    ],
)
def test_round_radii(largest, radii):
    assert round_radii([series_of(stored("run", "dipole", [largest]))]) == radii


@given(st.floats(1e-6, 1e6))
def test_round_radii_are_few_and_reached(largest):
    radii = [float(at) for at in round_radii([series_of(stored("run", "dipole", [largest]))])]
    assert 1 <= len(radii) <= 4
    assert max(radii) <= largest


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_share_is_rounded_down(count, total):
    count = min(count, total)
    tenths = Decimal(share(count, total).removesuffix(" %")) * 10
    assert tenths * total <= 1000 * count < (tenths + 1) * total


# Figures


def test_the_interval_is_the_exact_one():
    low, high = pointwise_interval(np.array([0, 5, 10]), 10)
    np.testing.assert_allclose(low, [0, 0.187086, 0.691503], atol=1e-6)
    np.testing.assert_allclose(high, [0.308497, 0.812914, 1], atol=1e-6)


def test_every_figure_draws_its_data():
    series = series_of_all(three_runs())
    pairs = pairs_with_baseline(series)
    looks = looks_of([one.method for one in series])
    found = Probabilities("first", np.arange(3), np.array([0.2, 0.9, 0.5]), "the right class")
    curves, bars, changes, difference, ecdf = (
        accuracy_figure(series, looks),
        bins_figure(pairs, looks[1:]),
        change_figure(pairs, looks[1:]),
        difference_figure(pairs, looks[1:]),
        probability_figure([found], looks[:1]),
    )
    assert [text.get_text() for text in curves.legends[0].get_texts()] == [
        "first",
        "second",
        "dipole",
    ]
    counts = [
        count
        for pair in pairs
        for count in relative_change_counts(
            pair.baseline.right_radius, pair.method.right_radius
        ).values()
    ]
    total = sum(counts[: len(BINS)])
    np.testing.assert_allclose(
        [bar.get_width() for bar in bars.axes[0].patches], np.array(counts) / total
    )
    both = [gain_of(pair).both for pair in pairs]
    assert [len(line.get_xdata()) for line in changes.axes[0].lines[1:]] == both
    drawn = difference.axes[0].lines[2]
    np.testing.assert_allclose(
        drawn.get_ydata(), difference_curve(pairs[1], np.asarray(drawn.get_xdata())).difference
    )
    assert np.interp(0.6, *map(np.asarray, ecdf.axes[0].lines[0].get_data())) > 0.6
    for figure in (curves, bars, changes, difference, ecdf):
        assert as_png(figure).startswith(b"\x89PNG")
        assert as_pdf(figure).startswith(b"%PDF")
        assert ElementTree.fromstring(as_svg(figure)).tag.endswith("svg")
        assert all(
            axes.get_ylabel() or axes.get_yticklabels()[0].get_text() for axes in figure.axes
        )


def test_every_method_has_its_own_look_in_colour_and_without():
    assert set(METHODS) <= set(LOOKS)
    for look in ("colour", "on_dark", "hatch"):
        assert len({getattr(one, look) for one in LOOKS.values()}) >= len(LOOKS) - (look == "hatch")
    solid = [one for one in LOOKS.values() if not one.dashes]
    assert len({one.dashes for one in LOOKS.values()}) == len(LOOKS) - len(solid) + 1
    # The two solid lines differ in lightness.
    first, last = (sum(int(one.colour[i : i + 2], 16) for i in (1, 3, 5)) for one in solid)
    assert first > 1.5 * last


def test_runs_of_one_method_have_its_colour_and_other_dashes():
    first, again, other = looks_of(["dipole", "dipole", "first_order"])
    assert first.colour == again.colour == LOOKS["dipole"].colour
    assert other == LOOKS["first_order"]
    assert len({first.dashes, again.dashes, other.dashes}) == 3
    assert len(looks_of(["dipole"] * 20)) == 20


@given(st.lists(st.floats(-0.999, 1e4), min_size=1, max_size=50))
def test_an_axis_of_changes_marks_no_change_and_few_others(changes):
    low, high, marks = change_axis(np.array(changes))
    assert low < 0 < high
    assert 0.0 in marks
    assert all(low <= mark <= high for mark in marks)
    assert len(marks) <= 15


def test_the_curve_is_the_certified_accuracy_at_each_of_its_points():
    series = series_of(stored("run", "dipole", np.linspace(0, 1, 1000)))
    (line,) = accuracy_figure([series], looks_of(["dipole"])).axes[0].lines
    at, height = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert len(at) < 500
    np.testing.assert_allclose(height, series.share_at(at), atol=1e-12)
    assert height[-1] == 0


@pytest.mark.parametrize("radius", [[0.0, 0.0], [np.inf, 0.3], [1e-12, 1e-12]])
def test_odd_radii_are_drawn_too(radius):
    runs = [stored("first", "first_order", radius), stored("dipole", "dipole", radius)]
    assert all(picture.svg.startswith("<svg") for picture in pictures(runs).values())


def pictures(runs):
    """The figures of runs by their stems."""
    series = series_of_all(runs)
    looks = looks_of([one.method for one in series])
    return pictures_of(series, pairs_with_baseline(series), [], looks)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files of the report of three runs."""
    return write_report(
        three_runs(),
        tmp_path_factory.mktemp("one") / "deep" / "report.html",
        inputs=lambda index: np.full((3, 8, 8), 0.5),
    )


# The page


class Page(HTMLParser):
    """The tags of a page, what it would load, the words it shows, its scripts and its data."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.loaded, self.ids, self.words, self.scripts, self.policy = (
            [],
            [],
            [],
            [],
            [],
            "",
        )
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.loaded += [
            value
            for name, value in attrs
            if name in {"src", "srcset", "data", "action", "poster", "background"}
            or (name in {"href", "xlink:href"} and tag != "a")
            or (name == "style" and "url(" in value)
        ]
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        (
            self.scripts
            if self.tags and self.tags[-1] == "script" and len(data) > 100
            else self.words
        ).append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def data(self):
        return json.loads(self.scripts[0])


def test_the_report_is_one_whole_page_with_its_figures_beside_it(written):
    page = Page(written[0])
    assert {path.name for path in written[1:]} == {
        f"{stem}.{ending}"
        for stem in ("accuracy", "accuracy-difference", "relative-change", "relative-change-bins")
        for ending in ("png", "svg", "pdf", "csv")
    }
    assert {path.parent.name for path in written[1:]} == {"report_figures"}
    assert all(path.stat().st_size > 2000 for path in written)
    assert page.tags.count("svg") == 4
    assert page.tags.count("h1") == 1
    for words in (
        headline(three_runs()),
        "too few samples",
        "not simultaneous",
        "0.1.0",
        "average certified radius",
        "95 % intervals",
    ):
        assert words in page.text
    assert len(set(page.ids)) == len(page.ids)


def test_the_page_loads_nothing_and_may_run_its_own_scripts_only(written):
    page = Page(written[0])
    assert page.tags.count("script") == len(page.scripts) == 3
    assert not {"link", "iframe", "img"} & set(page.tags)
    assert all(what.startswith(("#", "clip-path")) or "url(#" in what for what in page.loaded)
    assert "@import" not in page.text
    digests = [
        b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts[1:]
    ]
    assert page.policy.startswith(
        "default-src 'none'; script-src 'sha256-" + "' 'sha256-".join(digests) + "';"
    )


def test_the_bundled_plots_are_the_published_file():
    folder = Path(html.__file__).parent / "vendor"
    content = (folder / "plotly-basic.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() in (folder / "README.md").read_text(encoding="utf-8")
    assert b"</script" not in content
    assert (folder / "LICENSE-plotly.txt").read_text(encoding="utf-8").startswith("MIT License")


def test_what_comes_from_data_is_escaped(tmp_path):
    run = stored(
        HOSTILE, "first_order", [0.5, 0.0], model=HOSTILE, nested={"key": ["</td><img src=x>"]}
    )
    run.columns["abstain_reason"] = np.array(["", "<b>reason</b>"])
    run.manifest.environment["<i>host</i>"] = "<style>"
    (out, *_) = write_report([run, stored(HOSTILE, "dipole", [0.5, 0.1])], tmp_path / "report.html")
    page = Page(out)
    assert not {"b", "i", "img"} & set(page.tags)
    assert page.tags.count("script") == 3
    # The page's own and one in each of matplotlib's figures.
    assert page.tags.count("style") == 1 + page.tags.count("svg")
    assert HOSTILE in page.text
    assert [one["name"] for one in page.data["runs"]] == [HOSTILE, f"{HOSTILE} (2)"]
    assert page.data["runs"][0]["method"] == "dipole"
    assert page.data["reasons"] == ["<b>reason</b>"]


@given(st.text())
def test_data_in_a_script_is_read_back_and_ends_no_script(text):
    written = in_script({"name": text})
    assert json.loads(written) == {"name": text}
    assert not set("<>&\u2028\u2029") & set(written)


def test_the_page_holds_what_the_runs_say(written):
    page = Page(written[0])
    first, second, dipole = series_of_all(three_runs())
    series = [dipole, first, second]
    for run, one in zip(page.data["runs"], series, strict=True):
        assert run["name"] == one.name
        assert run["prediction"] == one.prediction.tolist()
        assert all(
            k * 1e-6 <= radius < (k + 1.001) * 1e-6
            for k, radius in zip(run["radius"], one.radius, strict=True)
        )
    curve = page.data["curve"]
    at = np.array(curve["at"]) / 1e6
    for drawn, one in zip(curve["runs"], series, strict=True):
        np.testing.assert_array_equal(drawn["count"], np.round(one.share_at(at) * len(one)))
    for pair in page.data["pairs"]:
        baseline, method = (series[pair[name]].right_radius for name in ("baseline", "method"))
        counts = [pair["bin"].count(k) for k in range(len(BINS))]
        assert counts == list(relative_change_counts(baseline, method).values())
        middle = np.array(pair["difference"])
        shares = [series[pair[name]].share_at(at) for name in ("method", "baseline")]
        np.testing.assert_allclose(middle / 1e6, shares[0] - shares[1], atol=1e-6)
        assert np.all((pair["low"] <= middle) & (middle <= pair["high"]))


def test_every_input_several_runs_and_data_sets_are_each_there_once():
    runs = [
        stored("a", "first_order", [0.1, 0.2], index=[3, 5]),
        stored("b", "dipole", [0.25, 0.5], index=[5, 7]),
        stored("c", "dipole", [0.5], index=[5], data="cifar10"),
    ]
    series = series_of_all(runs)
    inputs = every_input(series)
    assert inputs.name == ["3", "5", "7", "5.2"]
    assert inputs.row.tolist() == [[0, 1, -1, -1], [-1, 0, 1, -1], [-1, -1, -1, 0]]
    found = payload(
        runs, series, pairs_with_baseline(series), inputs, looks_of(["first_order"] * 3), []
    )
    assert found["runs"][1]["radius"] == [None, 250_000, 500_000, None]
    assert found["pairs"] == []  # labels differ


def test_the_regions_of_the_page_are_those_of_the_method():
    run = stored("dipole", "dipole", [0.5, 0.1])
    series = series_of_all([run])
    found = payload([run], series, [], every_input(series), looks_of(["dipole"]), [])
    region = dipole_region(0.7, 0.1)
    ends = [float(end) for interval in region.intervals for end in interval]
    assert (
        found["runs"][0]["region"]
        == [[None if np.isinf(end) else round(1e6 * end) for end in ends]] * 2
    )


def test_bins_of_images_are_those_of_the_counts():
    baseline, method = (
        np.array([0.0, 1.0, 0.0, 1.0, np.inf]),
        np.array([0.0, 0.0, 1.0, 1.1, np.inf]),
    )
    assert bins_of(baseline, method).tolist() == [-1, 0, 10, 7, 5]


# Paired differences


def test_the_difference_of_shares_is_covered_at_least_as_often_as_said():
    """Enumerate the outcomes of eight inputs.

    One method alone certifies some of them, the other method alone others.
    """
    inputs, only_method, only_baseline = 8, 0.3, 0.2
    covered = 0.0
    for a in range(inputs + 1):
        for b in range(inputs + 1 - a):
            low, high = difference_interval(a, b, inputs)
            ways = math.comb(inputs, a) * math.comb(inputs - a, b)
            share = (
                ways
                * only_method**a
                * only_baseline**b
                * (1 - only_method - only_baseline) ** (inputs - a - b)
            )
            covered += share * (low <= only_method - only_baseline <= high)
    assert covered >= 0.95


def test_the_interval_of_a_mean_is_students():
    low, high = mean_interval(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)
    assert all(np.isnan(end) for end in mean_interval(np.array([np.inf, 1.0]), np.zeros(2)))
    assert all(np.isnan(end) for end in mean_interval(np.array([1.0]), np.zeros(1)))


def test_paired_differences_are_those_of_the_figures():
    pair = pairs_with_baseline(series_of_all(three_runs()))[1]
    average, *shares = paired_differences(pair, [0.0, 0.4])
    assert average.difference == pytest.approx(
        pair.method.average_radius() - pair.baseline.average_radius()
    )
    assert average.lower < average.difference < average.upper
    for found, at in zip(shares, [0.0, 0.4], strict=True):
        assert (found.method, found.baseline) == (
            pair.method.share_at(at),
            pair.baseline.share_at(at),
        )
        assert found.lower <= found.difference <= found.upper
    assert not shares[0].settled
    row = difference_row(pair, ["0.4"])
    assert list(row) == [
        "difference",
        "average certified radius",
        "certified accuracy at 0",
        "certified accuracy at 0.4",
    ]
    assert re.fullmatch(
        r"[+−]\d\.\d{4} \([+−]\d\.\d{4} to [+−]\d\.\d{4}\)( \*)?", row["average certified radius"]
    )


@pytest.mark.usefixtures("no_figures")
def test_without_a_baseline_the_page_says_what_to_do(tmp_path):
    page = Page(write_report([stored("dipole", "dipole", [0.5, 0.1])], tmp_path / "report.html")[0])
    assert "--method first_order" in page.text
    assert page.tags.count("svg") == 1


@pytest.mark.usefixtures("no_figures")
def test_unknown_labels_are_said(tmp_path):
    text = Page(
        write_report([stored("run", "dipole", [0.5, 0.1], label=-1)], tmp_path / "report.html")[0]
    ).text
    assert "The labels of run are unknown" in text
    assert "with the right class" not in text


def test_comparisons_of_unequal_runs_say_so():
    runs = [stored("first", "first_order", [0.5, 0.1]), stored("dipole", "dipole", [0.5, 0.1])]
    runs[1].columns["n"] = np.full(2, 1000)
    caption = pictures(runs)["relative-change"].caption
    assert "dipole and first differ in more than the method: n 1000 and 100000" in caption


def test_the_same_runs_give_the_same_bytes(written, tmp_path):
    again = write_report(
        three_runs(), tmp_path / "report.html", inputs=lambda index: np.full((3, 8, 8), 0.5)
    )
    assert [path.name for path in written] == [path.name for path in again]
    assert all(
        one.read_bytes() == other.read_bytes() for one, other in zip(written, again, strict=True)
    )


def test_the_numbers_of_the_figures_are_those_of_the_runs(written):
    series = {one.name: one for one in series_of_all(three_runs())}
    files = {path.name: path for path in written if path.suffix == ".csv"}

    def rows(name):
        with files[name].open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    for row in rows("accuracy.csv"):
        assert int(row["certified"]) == series[row["run"]].count_at(float(row["radius"]))
    for row in rows("relative-change.csv"):
        radius = series[row["run"]].right_radius[int(row["input"])]
        assert row["radius"] == floored(radius, 6)
        assert (row["bin"] == "") == (radius == 0 == float(row["baseline_radius"]))
    for row in rows("accuracy-difference.csv"):
        assert float(row["lower"]) <= float(row["difference"]) <= float(row["upper"])


@pytest.mark.usefixtures("no_figures")
def test_thumbnails_come_from_the_run_or_from_the_inputs(tmp_path):
    run = stored(tmp_path / "run", "dipole", [0.5, 0.1])
    (tmp_path / "run" / "thumbnails").mkdir(parents=True)
    Image.new("L", (8, 8), 7).save(tmp_path / "run" / "thumbnails" / "0.png")
    (tmp_path / "run" / "thumbnails" / "1.png").write_text("<svg onload=alert(1)>")
    assert Page(write_report([run], tmp_path / "a.html")[0]).data["sheet"]["place"] == [0, -1]
    sheet = Page(
        write_report([run], tmp_path / "b.html", inputs=lambda index: np.zeros((1, 8, 8)))[0]
    ).data["sheet"]
    assert (sheet["place"], sheet["tile"], sheet["pitch"]) == ([0, 1], 8, 8)
    assert (
        Page(write_report([run], tmp_path / "c.html", inputs=lambda index: np.zeros(784))[0]).data[
            "sheet"
        ]
        is None
    )


@pytest.mark.usefixtures("no_figures")
def test_the_text_or_the_features_of_an_input_are_there(tmp_path):
    runs = [
        stored("run", "dipole", [0.5, 0.1], index=[2, 5]),
        stored("other", "dipole", [0.5], data="other"),
    ]

    def contents(**given):
        return Page(write_report(runs, tmp_path / "a.html", **given)[0]).data["contents"]

    texts = {2: HOSTILE, 5: "x" * 5000}
    found = contents(texts=[texts.get(k, "") for k in range(6)])["texts"]
    assert found[0] == HOSTILE
    assert found[1] == "x" * 2000 + "…"
    assert found[2] is None  # of other data
    rows = contents(inputs=lambda index: np.array([index, 0.25]), features=["length", HOSTILE])
    assert rows["names"] == ["length", HOSTILE]
    assert rows["rows"] == [["2", "0.25"], ["5", "0.25"], None]
    wide = contents(inputs=lambda index: np.full(100, 0.1, np.float32))
    assert (wide["names"][-1], wide["left"], wide["rows"][0][-1]) == ("63", 36, "0.1")
    assert contents(inputs=lambda index: np.zeros((1, 8, 8))) is None
    assert contents() is None


def test_a_thumbnail_is_where_the_sheet_says():
    runs = [stored("run", "dipole", np.full(7, 0.5))]
    series = series_of_all(runs)
    sheet = thumbnail_sheet(series, every_input(series), lambda index: np.full((5, 3), index / 10))
    with Image.open(BytesIO(b64decode(sheet.uri.partition(",")[2]))) as picture:
        for k, place in enumerate(sheet.place):
            x, y = place % sheet.columns * sheet.pitch, place // sheet.columns * sheet.pitch
            assert picture.getpixel((x + 2, y + 2)) == (round(25.5 * k),) * 3


def test_pictures_are_told_from_other_inputs():
    assert all(picture_uri(np.zeros(shape)) for shape in ((4, 4), (1, 4, 4), (3, 4, 4), (4, 4, 3)))
    assert all(
        picture_uri(np.zeros(shape)) is None for shape in ((4,), (2, 4, 4), (4, 4, 0), (3, 3, 4, 4))
    )


def test_the_sign_of_a_gradient_is_its_colour():
    picture = signed_picture(np.array([[1.0, -0.5, 0.0]]))
    np.testing.assert_allclose(picture[0, 0], np.array([0, 114, 178]) / 255)
    np.testing.assert_allclose(picture[0, 1], 1 + 0.5 * (np.array([213, 94, 0]) / 255 - 1))
    assert picture[0, 2].tolist() == [1, 1, 1]


@pytest.mark.slow
def test_a_thousand_images_and_three_runs_stay_below_five_megabytes(tmp_path):
    rng = np.random.default_rng(3)
    radii = rng.uniform(0, 1, (3, 1000))
    runs = [
        stored(method, method, radius)
        for method, radius in zip(("first_order", "dipole", "second_order"), radii, strict=True)
    ]
    # As rough as photographs in 32 pixels.
    coarse = rng.uniform(0.2, 0.8, (1000, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)
    pictures = coarse + rng.normal(0, 0.05, coarse.shape)
    (out, *_) = write_report(runs, tmp_path / "report.html", inputs=lambda index: pictures[index])
    assert 2_000_000 < out.stat().st_size < 5_000_000

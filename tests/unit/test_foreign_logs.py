"""Logs of other programs.

Their readers are lenient in what is not used, and strict where a log contradicts the settings.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import optimize, stats

from sosmooth import METHODS, import_log, load_run, recertify, validate_run
from sosmooth.cli import main
from sosmooth.interchange.log_checks import largest_radius, printed_unit
from sosmooth.report.relative_change import pair_of
from sosmooth.report.summary import summary_rows
from sosmooth.runs import RunError
from sosmooth.tally import Design

SETTINGS = {"method": "first_order", "sigma": 0.25, "n": 100_000, "alpha": 0.001}


def read(tmp_path, text: str, **changes):
    """The run, and the messages about how the log was read."""
    notes: list[str] = []
    text = re.sub(" +", "\t", text)
    (tmp_path / "log").write_text(text)
    run = import_log(tmp_path / "log", tmp_path / "run", **SETTINGS | changes, note=notes.append)
    return run, notes


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        ("15.2", 15.2),
        ("16", 16.0),
        ("1e-3", 0.001),
        ("3.5s", 3.5),
        ("0:00:09.25", 9.25),
        ("1:02:03", 3723.0),
        ("1\u00a0day,\u00a00:00:01", None),
        ("", np.nan),
        ("nan", np.nan),
        ("-", np.nan),
        ("12:3", None),
        ("9" * 200, None),
        ("1e300", None),
        ("٣", None),
    ],
)
def test_times(tmp_path, printed, seconds):
    text = f"idx label predict radius correct time\n0 3 3 0.3 1 {printed}\n"
    if seconds is None:
        with pytest.raises(RunError, match="line 2: time is"):
            read(tmp_path, text)
    else:
        np.testing.assert_equal(read(tmp_path, text)[0]["seconds"].tolist(), [seconds])


@pytest.mark.parametrize("days", ["2 days, 0:00:01", "2 days 0:00:01"])
def test_days(tmp_path, days):
    (tmp_path / "log").write_text(f"predict\tradius\ttime\n3\t0.3\t{days}\n")
    run = import_log(tmp_path / "log", tmp_path / "run", **SETTINGS)
    assert run["seconds"].tolist() == [2 * 86400 + 1]


@pytest.mark.parametrize("correct", ["True", "false", "yes", "1.0", "right", "None"])
def test_correct_is_not_used(tmp_path, correct):
    text = f"idx label predict radius correct time\n0 3 3 0.3 {correct} 1\n"
    assert read(tmp_path, text)[0]["radius"].tolist() == [0.3]


def test_columns_that_are_not_used_are_named(tmp_path):
    run, notes = read(
        tmp_path, "idx label plain predict radius ACR correct time\n0 3 1 3 0.3 0.2 1 1\n"
    )
    assert notes == ["columns that are not used: plain, ACR"]
    assert run.table["count_top"].null_count == 1


def test_lines_that_are_no_rows(tmp_path):
    header = "idx label predict radius correct time\n"
    text = (
        header
        + "# chunk 1\n0 3 3 0.3 1 1\n\n"
        + header
        + "5 1 -1 0.0 0 1\n\nACR: 0.15\nmean - - 0.15 - -\n"
    )
    run, notes = read(tmp_path, text)
    assert run["index"].tolist() == [0, 5]
    assert notes == ["lines at the end that are not rows: 2, from line 8"]


@pytest.mark.parametrize("end", ["7 1", "7", "0.15"])
def test_a_line_that_is_cut_is_no_summary(tmp_path, end):
    with pytest.raises(RunError, match=r"line 3: . columns where the header has 6"):
        read(tmp_path, f"idx label predict radius correct time\n0 3 3 0.3 1 1\n{end}\n")


def test_a_summary_in_the_middle_is_refused(tmp_path):
    with pytest.raises(RunError, match="line 3: 2 columns"):
        read(tmp_path, "idx label predict radius\n0 3 3 0.3\nACR: 0.3\n1 3 3 0.3\n")


def test_fewer_columns(tmp_path):
    run, notes = read(tmp_path, "predict radius\n-1.0 -1.0\n14 0.018\n")
    assert run["index"].tolist() == [0, 1]
    assert run["prediction"].tolist() == [-1, 14]
    assert run["radius"].tolist() == [0.0, 0.018]
    assert run.table["label"].null_count == run.table["seconds"].null_count == 2 or (
        np.isnan(run["seconds"]).all()
    )
    assert notes == [
        "no column label: the true classes are unknown",
        "no column idx: the rows are numbered from 0",
    ]


@pytest.mark.parametrize("row", ["0 3 -1 0.5", "0 3 -1 -0.5", "0 3 3 -1"])
def test_other_radii_of_abstentions_are_contradictions(tmp_path, row):
    with pytest.raises(RunError, match=r"line 2: (radius|predict) is"):
        read(tmp_path, f"idx label predict radius\n{row}\n")


def test_a_missing_header_is_told_by_the_number_of_columns(tmp_path):
    run, notes = read(tmp_path, "0 3 3 0.3 1 1.5\n4 2 -1 0.0 0 1.5\n")
    assert run["label"].tolist() == [3, 2]
    assert notes == ["no header: the columns are taken for idx label predict radius correct time"]
    (tmp_path / "b").mkdir()
    run, _ = read(tmp_path / "b", "0 3 3 0.573 99000 0.98899 True 0:00:01\n")
    assert run["count_top"].tolist() == [99_000]
    for name, text in (("c", "0 3 3 0.3 0 1.5\n"), ("d", "0 3 3 0.3 7 1.5\n")):
        (tmp_path / name).mkdir()
        with pytest.raises(RunError, match="line 1: without a header"):
            read(tmp_path / name, text)
    with pytest.raises(RunError, match="line 1: no header, and 5 columns"):
        read(tmp_path / "d", "0 3 3 0.3 1\n")


NAMES = "idx label count predict radiusR radius_cohen\n1 8 99817.0 8 0.0 0.71\n"


@pytest.mark.parametrize(
    "columns",
    [
        {"count": "raw_count", "radius": "radius_cohen"},
        {"raw_count": "count", "radius_cohen": "radius"},
    ],
)
def test_columns_by_other_names(tmp_path, columns):
    run, notes = read(tmp_path, NAMES, columns=columns)
    assert run["count_top"].tolist() == [99_817]
    assert notes == ["columns that are not used: radiusR"]
    again = recertify(tmp_path / "run", tmp_path / "again", method="first_order")
    low = optimize.brentq(
        lambda p: stats.binom.sf(99_816, 100_000, p) - 0.001, 0.9, 0.99817, xtol=1e-15
    )
    assert again["radius"][0] == pytest.approx(0.25 * stats.norm.ppf(low), rel=1e-9)
    with pytest.raises(RunError, match="columns"):  # another reading is another run
        read(tmp_path, NAMES, columns={"radius": "radius_cohen"})


def test_count_is_the_count_of_the_method(tmp_path):
    text = "idx label hits predict radius\n1 8 99817 8 0.71\n"
    assert read(tmp_path, text, columns={"count": "hits"})[0]["count_top"].tolist() == [99_817]


def test_columns_that_are_not_there(tmp_path):
    with pytest.raises(RunError, match=r"lacks the columns radius; it has .*radius_cohen"):
        read(tmp_path, NAMES)
    for columns in ({"radius": "r"}, {"colour": "radius_cohen"}):
        with pytest.raises(ValueError, match=r"must be a name that is read .* one of the log"):
            read(tmp_path, NAMES, columns=columns)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 3 3 inf", "radius is inf; it must be a number that is finite"),
        ("0 3 3 1e999", "radius is inf"),
        (f"0 3 3 {'9' * 5000}", "which is not a number"),
        ("0 3 3 0_3", "which is not a number"),
        (f"{2**53 + 1} 3 3 0.3", f"idx is {2**53 + 1}; it must be a whole number"),
        ("1e300 3 3 0.3", "idx is 1e300"),
        (f"{'9' * 5000} 3 3 0.3", "idx is '999"),
        (f"0 {'9' * 90} 3 0.3", "label is 999"),
        ("0 3 2.5 0.3", "predict is 2.5"),
    ],
)
def test_numbers_without_end(tmp_path, row, message):
    with pytest.raises(RunError) as refusal:
        read(tmp_path, f"idx label predict radius\n{row}\n")
    assert message in str(refusal.value)
    assert "line 2" in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_whole_floats_are_whole_numbers(tmp_path):
    run, _ = read(tmp_path, "idx label predict radius\n0 3.0 3 0.3\n", n=1e5)
    assert run.manifest.settings["n"] == 100_000
    assert isinstance(run.manifest.settings["n"], int)


@pytest.mark.parametrize("method", METHODS)
def test_no_radius_is_above_the_largest(tmp_path, method):
    pairs, n = METHODS[method].design is Design.ANTITHETIC, 1000
    share = 0.001 ** ((2 if pairs else 1) / n)
    if method == "first_order":
        most = 0.25 * stats.norm.ppf(share)
    else:
        s = stats.norm.ppf((1 + share) / 2)
        most = 0.25 * optimize.brentq(
            lambda r: stats.norm.cdf(s - r) - stats.norm.cdf(-s - r) - 0.5, 0, 10
        )
    assert largest_radius(method, n=n, alpha=0.001, sigma=0.25) == pytest.approx(most, rel=1e-9)
    changes = {"method": method, "n": n, "dimension": 4}
    text = "idx label predict radius\n0 3 3 0.123\n1 3 3 {:.3}\n"
    read(tmp_path, text.format(most), **changes)
    (tmp_path / "more").mkdir()
    with pytest.raises(RunError, match=f"line 3: radius is .* no {method} radius is above"):
        read(tmp_path / "more", text.format(most + 0.002), **changes)


COUNTS = (
    "idx label predict radius raw_count p_A_bar\n0 3 3 0.573 99000 0.98899\n1 3 3 {} 99000 {}\n"
)


@pytest.mark.parametrize(
    ("radius", "bound", "message"),
    [
        ("0.573", "0.98899", None),
        ("0.572", "0.988989", None),
        ("0.576", "0.98899", "line 3: radius is 0.576, but the counts give 0.5725"),
        ("0.569", "0.98899", "line 3: radius is 0.569, but the counts give 0.5725"),
        ("0.573", "0.98999", "line 3: p_A_bar is 0.98999, but the counts give 0.988989"),
    ],
)
def test_counts_are_compared_with_radius_and_bound(tmp_path, radius, bound, message):
    text = COUNTS.format(radius, bound)
    if message is None:
        read(tmp_path, text)
        assert validate_run(tmp_path / "run") == []
    else:
        with pytest.raises(RunError, match=message):
            read(tmp_path, text)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes", [{"sigma": 0.5}, {"n": 200_000}, {"alpha": 0.1}, {"sigma": 0.12}]
)
def test_settings_that_are_mistyped_are_refused(tmp_path, changes):
    text = COUNTS.format("0.573", "0.98899")
    with pytest.raises(RunError, match=r"line 2: .*; check"):
        read(tmp_path, text, **changes)


def test_the_unit_of_the_last_digit():
    found = printed_unit(np.array([0.5, 0.123, 2.28, 0.0, 0.0123]))
    np.testing.assert_allclose(found, [1e-3, 1e-3, 1e-2, 1e-4, 1e-4], rtol=1e-9)
    np.testing.assert_allclose(printed_unit(np.array([0.5])), [0.01 * 1.0], rtol=1e-9)


def test_radii_of_another_norm_stay_apart(tmp_path):
    text = "idx label predict radius raw_count\n0 3 3 4.5 99000\n"
    run, notes = read(tmp_path, text, norm="l1")
    assert run.norm == run.manifest.settings["norm"] == load_run(tmp_path / "run").norm == "l1"
    assert run.table["count_top"].null_count == 1
    assert notes == ["the counts are left out: bounds from them are l2, the radii l1"]
    with pytest.raises(RunError, match="holds l1 radii"):
        recertify(tmp_path / "run", tmp_path / "again", method="first_order")
    (tmp_path / "b").mkdir()
    other, _ = read(tmp_path / "b", "idx label predict radius\n0 3 3 0.5\n")
    assert other.norm == "l2"
    assert "norm" not in other.manifest.settings
    assert summary_rows([run])[0]["run"] == "run (l1 radii)"
    for together in (lambda: summary_rows([run, other]), lambda: pair_of(run, other)):
        with pytest.raises(ValueError, match="different norms cannot be compared: l1 in"):
            together()
    with pytest.raises(ValueError, match="norm must be one of l2, l1, linf; got 'l3'"):
        read(tmp_path, text, norm="l3")


def test_the_command_says_how_it_read_the_log(tmp_path, capsys):
    (tmp_path / "log").write_text(re.sub(" +", "\t", NAMES))
    asked = ["import-log", str(tmp_path / "log"), "--out", str(tmp_path / "run"), "--n", "100000"]
    asked += ["--method", "first_order", "--sigma", "0.25", "--alpha", "0.001"]
    assert main([*asked, "--columns", "count=raw_count,radius=radius_cohen"]) == 0
    assert "columns that are not used: radiusR" in capsys.readouterr().err
    assert main([*asked, "--columns", "radius"]) == 2
    assert "columns must be pairs of names" in capsys.readouterr().err

"""Published logs are read, certified again to the digits they print, and written.

Damaged ones are refused with a message that names the line.
"""

from __future__ import annotations

import io
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from sosmooth import export_tsv, import_log, recertify, validate_run
from sosmooth.interchange.export import _printed
from sosmooth.methods import certify_tally
from sosmooth.runs import RunError, RunWriter, load_run
from sosmooth.tally import Design, Tally

SIGMA, ALPHA, DIMENSION = 0.25, 0.001, 49
HEADERS = {
    "bare": "idx label predict radius correct time",
    "first_order": "idx label predict radius raw_count p_A_bar correct time",
    "second_order": (
        "idx label predict radius raw_count p_A_bar raw_grad_norm grad_norm_bound "
        "grad_norm_bound_nonvacuous correct time"
    ),
    "dipole": (
        "idx label predict radius raw_count_symmetric raw_count_asymmetric "
        "p_A_symmetric_bar p_A_asymmetric_bar correct time"
    ),
}


def header(kind: str) -> str:
    return HEADERS[kind].replace(" ", "\t") + "\n"


def lower(count: int, n: int, alpha: float) -> float:
    """Clopper–Pearson by definition: the p at which P(at least `count` successes) is alpha."""
    if count == 0:
        return 0.0
    return float(
        optimize.brentq(
            lambda p: stats.binom.sf(count - 1, n, p) - alpha, 0, count / n, xtol=1e-16, rtol=1e-14
        )
    )


def crossing(value) -> float:
    """The radius, in units of sigma, at which a falling measure passes one half."""
    return (
        float(optimize.brentq(lambda r: value(r) - 0.5, 0, 40, xtol=1e-15))
        if value(0) > 0.5
        else 0.0
    )


def first_order_row(n: int, count: int) -> tuple[float, str]:
    p = lower(count, n, ALPHA)
    return SIGMA * max(float(stats.norm.ppf(p)), 0.0), f"{count}\t{p:.6}"


def second_order_row(n: int, count: int, root: float) -> tuple[float, str]:
    p, pairs, log = lower(count, n, ALPHA / 2), n // 2, np.log(2 / ALPHA)
    large = DIMENSION * pairs >= 2 * log
    slack = (
        4 * SIGMA**2 * np.sqrt(DIMENSION * log / pairs)
        if large
        else 4 * np.sqrt(2) * SIGMA**2 * log / pairs
    )
    bound = np.sqrt(max(np.sign(root) * root**2 + slack / SIGMA**4, 0.0))
    most = stats.norm.pdf(stats.norm.ppf(p)) / SIGMA
    columns = f"{count}\t{p:.6}\t{root:.6}\t{min(bound, most):.6}\t{int(bound <= most)}"
    if p <= 0.5:
        return 0.0, columns

    def band(a: float) -> tuple[float, float]:
        return float(stats.norm.ppf(a)), float(-stats.norm.ppf(1 - p - a))

    def excess(a: float) -> float:
        u, v = band(a)
        return stats.norm.pdf(v) - stats.norm.pdf(u) - SIGMA * bound

    if bound >= most:
        return SIGMA * float(stats.norm.ppf(p)), columns
    u, v = band(optimize.brentq(excess, 1e-300, (1 - p) / 2, xtol=1e-300, rtol=1e-12))
    return SIGMA * crossing(lambda r: stats.norm.cdf(v - r) - stats.norm.cdf(u - r)), columns


def dipole_row(n: int, both: int, plus: int) -> tuple[float, str]:
    c_s, c_n = lower(both, n // 2, ALPHA / 2), lower(plus, n // 2, ALPHA / 2)
    c, s = stats.norm.ppf(c_n), stats.norm.ppf((1 + c_s) / 2)
    radius = crossing(
        lambda r: stats.norm.cdf(c - r) + stats.norm.cdf(s - r) - stats.norm.cdf(-s - r)
    )
    return SIGMA * radius, f"{both}\t{plus}\t{c_s:.6}\t{c_n:.6}"


ROWS = {
    ("first_order", 100_000): [
        first_order_row(100_000, count) for count in (99_999, 93_210, 51_234, 50_700, 50_100, 20)
    ],
    ("first_order", 10**8): [
        first_order_row(10**8, count) for count in (10**8 - 1, 99_000_000, 50_020_000)
    ],
    ("second_order", 100_000): [
        second_order_row(100_000, *row)
        for row in ((99_900, 0.02), (93_210, -0.3), (70_000, 0.9), (50_100, 0.1))
    ],
    ("second_order", 10**7): [
        second_order_row(10**7, *row)
        for row in ((9_990_000, -0.01), (9_000_000, 0.3), (6_000_000, 1.2), (5_100_000, 1.58))
    ],
    ("second_order", 10**8): [
        second_order_row(10**8, *row) for row in ((99_000_000, 0.01), (80_000_000, 0.7))
    ],
    ("dipole", 100_000): [
        dipole_row(100_000, *row)
        for row in ((49_900, 50), (40_000, 4_900), (20_000, 12_000), (25_500, 3))
    ],
    ("dipole", 10**8): [
        dipole_row(10**8, *row) for row in ((49_999_000, 500), (30_000_000, 9_000_000))
    ],
}


def log_text(method: str, rows: list[tuple[float, str]]) -> str:
    lines = [header(method)]
    for i, (radius, columns) in enumerate(rows):
        predict = i % 10 if radius > 0 else -1
        lines.append(
            f"{10 * i}\t{i % 10}\t{predict}\t{radius:.3}\t{columns}\t"
            f"{int(predict == i % 10)}\t0:00:12.345678\n"
        )
    return "".join(lines)


@pytest.mark.parametrize(("method", "n"), ROWS)
def test_every_radius_of_a_log_is_certified_again_to_its_last_digit(tmp_path, method, n):
    rows = ROWS[method, n]
    (tmp_path / "log").write_text(log_text(method, rows))
    run = import_log(
        tmp_path / "log",
        tmp_path / "run",
        method=method,
        sigma=SIGMA,
        n=n,
        alpha=ALPHA,
        dimension=DIMENSION,
    )
    exact = np.array([radius for radius, _ in rows])
    printed = np.array([float(f"{radius:.3}") for radius in exact])
    np.testing.assert_array_equal(run["radius"], printed)
    np.testing.assert_array_equal(run["prediction"], np.where(exact > 0, np.arange(len(rows)), -1))
    np.testing.assert_array_equal(run["seconds"], 12.345678)
    assert validate_run(tmp_path / "run") == []
    again = recertify(tmp_path / "run", tmp_path / "out", method=method, alpha=ALPHA)["radius"]
    np.testing.assert_array_equal(again > 0, exact > 0)
    half_a_unit = 0.5 * 10 ** (np.floor(np.log10(np.where(exact > 0, exact, 1))) - 2)
    assert np.all(np.abs(again - printed) <= half_a_unit * (1 + 1e-9))
    # The printed root of the gradient has six digits; everything else is exact.
    np.testing.assert_allclose(again, exact, rtol=2e-5 if method == "second_order" else 1e-9)
    assert validate_run(tmp_path / "out") == []


def test_a_log_certifies_by_other_methods_that_need_no_more(tmp_path):
    (tmp_path / "log").write_text(log_text("dipole", [dipole_row(100_000, 40_000, 4_900)]))
    import_log(
        tmp_path / "log", tmp_path / "run", method="dipole", sigma=SIGMA, n=100_000, alpha=ALPHA
    )
    run = recertify(tmp_path / "run", tmp_path / "out", method="first_order", alpha=0.05)
    expected = SIGMA * stats.norm.ppf(lower(44_900, 50_000, 0.05))
    assert run["radius"][0] == pytest.approx(expected, rel=1e-9)
    assert run["n_used"][0] == 50_000
    with pytest.raises(RunError, match="lacks gradient_sq_estimate"):
        recertify(tmp_path / "run", tmp_path / "out2", method="second_order", alpha=0.05)


def test_logs_without_counts_keep_their_radii_and_say_why_no_more(tmp_path):
    (tmp_path / "log").write_text(
        header("bare") + "0\t3\t3\t1.53\t1\t1 day, 1:00:00.5\n5\t1\t-1\t0.0\t0\t0:00:01\n\n"
    )
    run = import_log(
        tmp_path / "log", tmp_path / "run", method="first_order", sigma=0.5, n=100_000, alpha=ALPHA
    )
    assert run["radius"].tolist() == [1.53, 0.0]
    assert run["abstain_reason"].tolist() == ["", "imported"]
    assert run["selected"].tolist() == [3, -1]
    assert run["seconds"].tolist() == [90000.5, 1.0]
    assert run.table["count_top"].null_count == 2
    assert run.table["seed"].null_count == 2
    assert validate_run(tmp_path / "run") == []
    with pytest.raises(RunError, match="radii but no counts"):
        recertify(tmp_path / "run", tmp_path / "out", method="first_order", alpha=ALPHA)
    out = io.StringIO()
    export_tsv(run, out)
    assert out.getvalue().splitlines()[:2] == [
        HEADERS["bare"].replace(" ", "\t"),
        "0\t3\t3\t1.530000\t1\t1 day, 1:00:00.500000",
    ]


def test_abstentions_stay_and_a_radius_printed_as_zero_keeps_its_class(tmp_path):
    rows = (
        "0\t3\t-1\t0.0\t99000\t0.98\t0\t0:00:01\n"
        "1\t4\t4\t0.0\t99000.0\t0.98899\t1\t0:00:01\n"
        "2\t4\t4\t 0.57\t 99000\t0.98899\t1\t0:00:01"
    )
    (tmp_path / "log").write_text("\ufeff" + (header("first_order") + rows).replace("\n", "\r\n"))
    run = import_log(
        tmp_path / "log",
        tmp_path / "run",
        method="first_order",
        sigma=SIGMA,
        n=100_000,
        alpha=ALPHA,
    )
    assert run["prediction"].tolist() == [-1, -1, 4]
    assert run["radius"].tolist() == [0.0, 0.0, 0.57]
    assert run["selected"].tolist() == [-1, 4, 4]
    again = recertify(tmp_path / "run", tmp_path / "out", method="first_order", alpha=ALPHA)
    assert again["prediction"].tolist() == [-1, 4, 4]
    assert again["abstain_reason"].tolist() == ["imported", "", ""]
    assert again["radius"][1] == again["radius"][2] > 0.5


GOOD = "0\t3\t3\t0.573\t99000\t0.98899\t1\t0:00:01.000001\n"
PAIRS = "0\t3\t3\t0.6\t400\t80\t0.9\t0.1\t1\t0:00:01\n"
GRADIENT = "0\t3\t3\t0.6\t900\t0.9\t0.1\t0.2\t1\t1\t0:00:01\n"


@pytest.mark.parametrize(
    ("kind", "text", "n", "message"),
    [
        (
            "first_order",
            header("first_order") + GOOD,
            98_999,
            "log, line 2: raw_count is 99000, more than n = 98999",
        ),
        (
            "first_order",
            header("first_order") + GOOD + GOOD,
            10**5,
            "log, line 3: idx 0 occurred before",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("99000", "9.9"),
            10**5,
            "line 2: raw_count is 9.9; it must be a whole",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("99000", "-1"),
            10**5,
            "line 2: raw_count is -1",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("99000", "many"),
            10**5,
            "raw_count is 'many', which is not a number",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("99000", "nan"),
            10**5,
            "raw_count is nan",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("99000", "inf"),
            10**5,
            "raw_count is inf",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("0.98899", "0.9x"),
            10**5,
            "line 2: p_A_bar is '0.9x', which is",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("0.573", "nan"),
            10**5,
            "line 2: radius is nan",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("0.573", "-0.6"),
            10**5,
            "line 2: radius is -0.6",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("0\t3\t3", "0\t3\t-1"),
            10**5,
            "line 2: predict is −1",
        ),
        (
            "first_order",
            header("first_order") + GOOD.replace("0\t3\t3", "0\t3\t-2"),
            10**5,
            "line 2: predict is -2",
        ),
        (
            "first_order",
            header("first_order") + GOOD + "1\t3\t3\t0.6\t99",
            10**5,
            "line 3: 5 columns where the header has 8",
        ),
        (
            "first_order",
            header("first_order") + GOOD + "1\t3\t3\t0.6\t99\t0.98\t1\t0:0",
            10**5,
            "line 3: time is '0:0'",
        ),
        ("first_order", header("first_order"), 10**5, "has a header and no inputs"),
        ("first_order", "\n \n", 10**5, "log is empty"),
        ("first_order", GOOD.replace("0\t", "", 1), 10**5, "line 1: no header, and 7 columns"),
        (
            "first_order",
            header("first_order").replace("\t", ","),
            10**5,
            "line 1: separated by commas",
        ),
        (
            "first_order",
            header("dipole") + PAIRS,
            1000,
            "line 1: these are the columns of a dipole log",
        ),
        (
            "first_order",
            header("second_order") + GRADIENT,
            1000,
            "line 1: these are the columns of a second_order log",
        ),
        (
            "dipole",
            header("dipole").replace("raw_count_symmetric", "both") + PAIRS,
            1000,
            "lacks the columns raw_count_symmetric of a dipole log",
        ),
        (
            "dipole",
            header("dipole") + PAIRS,
            900,
            "raw_count_symmetric + raw_count_asymmetric is 480, more than n/2 pairs = 450",
        ),
        ("dipole", header("dipole") + PAIRS, 1001, "n must be even for dipole"),
        (
            "second_order",
            header("second_order") + GRADIENT,
            1001,
            "n must be even for second_order",
        ),
        (
            "second_order",
            header("second_order") + GRADIENT.replace("\t0.1\t", "\tnan\t"),
            1000,
            "raw_grad_norm is nan",
        ),
        ("magic", header("bare"), 1000, "unknown method 'magic'"),
    ],
)
def test_damaged_logs_are_one_line_that_names_file_and_line(tmp_path, kind, text, n, message):
    (tmp_path / "log").write_text(text)
    with pytest.raises(ValueError) as refusal:
        import_log(
            tmp_path / "log",
            tmp_path / "run",
            method=kind,
            sigma=SIGMA,
            n=n,
            alpha=ALPHA,
            dimension=49,
        )
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sigma": 0.0}, "sigma must be a positive"),
        ({"sigma": float("nan")}, "sigma must be a positive"),
        ({"alpha": 0.0}, "alpha must be"),
        ({"n": 0}, "n must be a whole number of at least 1"),
        ({"n0": 0}, "n0 must be"),
        ({"dimension": 0}, "dimension must be"),
        ({"dimension": None}, "give dimension"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, changes, message):
    (tmp_path / "log").write_text(header("second_order") + GRADIENT)
    arguments = {
        "method": "second_order",
        "sigma": SIGMA,
        "n": 1000,
        "alpha": ALPHA,
        "dimension": 49,
    } | changes
    with pytest.raises(ValueError, match=message):
        import_log(tmp_path / "log", tmp_path / "run", **arguments)


def test_files_that_are_no_text_or_not_there_are_one_line(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff\x00\xfe" * 10)
    for path in (tmp_path / "log", tmp_path / "nothing", tmp_path):
        with pytest.raises(RunError, match="cannot be read"):
            import_log(
                path, tmp_path / "run", method="first_order", sigma=SIGMA, n=1000, alpha=ALPHA
            )


def test_the_same_log_again_is_fine_and_another_is_refused(tmp_path):
    arguments = {"method": "first_order", "sigma": SIGMA, "n": 100_000, "alpha": ALPHA}
    (tmp_path / "log").write_text(header("first_order") + GOOD)
    for _ in range(2):
        import_log(tmp_path / "log", tmp_path / "run", **arguments)
    with pytest.raises(RunError, match="n0 is 100 there and 200 here"):
        import_log(tmp_path / "log", tmp_path / "run", **arguments | {"n0": 200})
    (tmp_path / "log").write_text(header("first_order") + GOOD.replace("3", "4", 1))
    with pytest.raises(RunError, match=r"derived_from.digest is 'sha256"):
        import_log(tmp_path / "log", tmp_path / "run", **arguments)
    assert load_run(tmp_path / "run")["count_top"].tolist() == [99_000]


@pytest.mark.parametrize("method", ["first_order", "second_order", "dipole"])
def test_what_is_exported_is_imported(tmp_path, method):
    n, size = 10_000, 300
    rng = np.random.default_rng(5)
    count = rng.integers(4_000, n, size)
    both = np.maximum(2 * count - n, 0) // 2 + (n - count) // 4
    counts = {
        "first_order": {"count_top": count},
        "second_order": {"count_top": count, "gradient_sq_estimate": rng.normal(0, 0.3, size)},
        "dipole": {"pair_both": both, "pair_plus_only": (n - count) // 4},
    }[method]
    design = {
        "first_order": Design.INDEPENDENT,
        "second_order": Design.DISJOINT_PAIRS,
        "dipole": Design.ANTITHETIC,
    }[method]
    index = rng.permutation(size)
    certificates = certify_tally(
        method,
        Tally(design=design, n=np.full(size, n), dimension=DIMENSION, **counts),
        selected=index % 10,
        selection_margin=np.full(size, 3),
        index=index,
        sigma=SIGMA,
        alpha=ALPHA,
        n0=100,
        seed=0,
    )
    settings = {"method": method, "sigma": SIGMA, "n": n, "n0": 100, "alpha": ALPHA, "seed": 0}
    with RunWriter.open(tmp_path / "run", settings=settings, indices=index.tolist()) as writer:
        writer.add(certificates, (index + index % 2) % 10, np.full(size, 0.25))
        run = writer.finish()
    export_tsv(run, tmp_path / "log")
    assert (tmp_path / "log").read_text().startswith(header(method))
    back = import_log(
        tmp_path / "log",
        tmp_path / "back",
        method=method,
        sigma=SIGMA,
        n=n,
        alpha=ALPHA,
        dimension=DIMENSION,
    )
    for name in ("index", "label", "prediction", *counts, "seconds"):
        if name == "gradient_sq_estimate":
            np.testing.assert_allclose(back[name], run[name], rtol=1e-15)
        else:
            np.testing.assert_array_equal(back[name], run[name])
    assert np.all(back["radius"] <= run["radius"])
    assert np.all(back["radius"] > run["radius"] - 1e-6)
    again = recertify(tmp_path / "back", tmp_path / "again", method=method, alpha=ALPHA)
    np.testing.assert_allclose(again["radius"], run["radius"], rtol=1e-12)
    assert 0 < np.sum(run["prediction"] == -1) < size


def test_exported_pairs_certified_by_first_order_are_read_back_with_the_samples_used(tmp_path):
    (tmp_path / "log").write_text(log_text("dipole", [dipole_row(100_000, 40_000, 4_900)]))
    import_log(
        tmp_path / "log", tmp_path / "run", method="dipole", sigma=SIGMA, n=100_000, alpha=ALPHA
    )
    first = recertify(tmp_path / "run", tmp_path / "first", method="first_order", alpha=ALPHA)
    export_tsv(tmp_path / "first", tmp_path / "log1")
    import_log(
        tmp_path / "log1",
        tmp_path / "back",
        method="first_order",
        sigma=SIGMA,
        n=50_000,
        alpha=ALPHA,
    )
    again = recertify(tmp_path / "back", tmp_path / "again", method="first_order", alpha=ALPHA)
    assert again["radius"].tolist() == first["radius"].tolist()


@given(st.floats(0, 1e12, exclude_min=True), st.booleans())
def test_printed_digits_never_pass_the_value(value, up):
    printed = Decimal(_printed(value, up=up))
    difference = (printed - Decimal(value)) * (1 if up else -1)
    assert 0 <= difference < Decimal("1e-6")
    assert printed > 0
    assert float(printed) >= value if up else float(printed) <= value

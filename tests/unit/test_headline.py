"""The sentence that says what runs found, and the baseline that it is computed from."""

import numpy as np
import pytest
from stored_runs import stored

from sosmooth import Request, Smoothing, certify_run, load_dataset
from sosmooth.classifiers.load import open_classifier
from sosmooth.measures import floored
from sosmooth.report.baseline import computed_baselines
from sosmooth.report.headline import featured, headline
from sosmooth.report.relative_change import gain_of
from sosmooth.report.series import pairs_with_baseline, series_of_all
from sosmooth.tasks.recertify import recertify


def test_the_sentence_says_what_the_last_method_finds_relative_to_first_order():
    first = stored("first", "first_order", [0.1, 0.3, 0.4, 0.0, 0.2], prediction=[0, 1, 2, 3, 9])
    dipole = stored("best", "dipole", [0.2, 0.3, 0.39, 0.1, 0.2], prediction=[0, 1, 2, 3, 9])
    other = stored("other", "second_order", [0.9, 0.9, 0.9, 0.9, 0.9])
    said = "dipole certifies 5 of 5 inputs (4 correctly); radii 11.2 % larger than first order's"
    assert headline([dipole, first]) == f"{said} on average, larger for 33 %."
    assert headline([other, first, dipole]) == f"{said} on average, larger for 33 %."


@pytest.mark.parametrize(
    ("radius", "said"),
    [
        ([0.1999, 0.2], "radii 0.1 % smaller than first order's on average, larger for 0 %."),
        ([0.2, 0.2], "radii as large as first order's on average, larger for 0 %."),
        ([0.2002, 0.2005], "radii 0.1 % larger than first order's on average, larger for 100 %."),
    ],
)
def test_percentages_are_rounded_in_favour_of_first_order(radius, said):
    runs = [stored("first", "first_order", [0.2, 0.2]), stored("run", "dipole", radius)]
    assert headline(runs).endswith(said)


def test_runs_of_one_method_are_called_by_their_names():
    runs = [stored(name, "dipole", [0.5, 0.0], label=-1) for name in ("small", "large")]
    assert headline(runs) == (
        "small certifies 1 of 2 inputs; the average certified radius is 0.250."
    )


def test_what_the_sentence_is_about_does_not_depend_on_what_the_runs_found():
    rng = np.random.default_rng(0)
    for _ in range(5):
        runs = [
            stored(method, method, rng.uniform(0, 1, 4))
            for method in ("dipole", "second_order_dipole", "first_order", "second_order")
        ]
        assert featured(series_of_all(runs)) == 1


def test_the_gain_counts_each_input_that_one_of_the_two_certifies_once():
    runs = [
        stored("first", "first_order", [0.1, 0.2, 0.3, 0.4, 0.0, 0.0, np.inf]),
        stored("dipole", "dipole", [0.2, 0.2, 0.2, 0.0, 0.4, 0.0, 1.0]),
    ]
    gain = gain_of(pairs_with_baseline(series_of_all(runs))[0])
    assert (gain.both, gain.larger, gain.smaller) == (3, 1, 1)
    assert (gain.only_method, gain.only_baseline) == (1, 1)
    assert gain.mean_change == pytest.approx(0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A run of antithetic pairs on a few digits."""
    run, _ = certify_run(
        tmp_path_factory.mktemp("runs") / "pairs",
        open_classifier("mnist7", sigma=0.25),
        load_dataset("mnist7"),
        Request("second_order_dipole", n=2000),
        Smoothing(0.25),
        indices=range(8),
    )
    return run


def test_without_a_first_order_run_the_samples_are_certified_by_first_order(pairs, tmp_path):
    (computed,) = computed_baselines([pairs])
    stored_one = recertify(pairs.path, tmp_path / "first", method="first_order", classes="top")
    np.testing.assert_array_equal(computed["radius"], stored_one["radius"])
    assert computed_baselines([pairs, stored_one]) == []
    assert "larger than first order's from half of the samples" in headline([pairs, stored_one])
    gain = gain_of(pairs_with_baseline(series_of_all([computed, pairs]))[0])
    percent = floored(100 * gain.mean_change, 1)
    assert f"radii {percent} % larger than first order's from half of the samples on" in headline(
        [pairs]
    )


def test_runs_from_the_same_samples_share_a_computed_baseline(pairs, tmp_path):
    dipole = recertify(pairs.path, tmp_path / "dipole", method="dipole")
    (computed,) = computed_baselines([pairs, dipole])
    assert series_of_all([pairs, dipole, computed])[2].name == "first_order (computed)"


def test_runs_without_counts_get_no_baseline():
    assert computed_baselines([stored("log", "dipole", [0.5])]) == []

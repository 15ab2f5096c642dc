"""Radii in other norms than l2: the theorem, the counts, the runs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sosmooth import SmoothedClassifier, load_classifier, load_dataset, load_run, recertify
from sosmooth.certificates.second_order_dipole import (
    second_order_dipole_radius,
    second_order_dipole_region,
)
from sosmooth.cli import main
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.other_norms import corners_in_norm, largest_l2_length
from sosmooth.methods import METHODS, bounds_and_radii
from sosmooth.report.headline import headline
from sosmooth.request import Request
from sosmooth.runs.files import RunError
from sosmooth.sampling.low_frequencies import image_shape, kept, lengths
from sosmooth.tally import Design, Tally
from sosmooth.tasks.validate import validate_run

SIGMA = 0.25
POWER = {"l1": 1, "linf": np.inf}


@pytest.fixture(scope="module")
def certified():
    smoothed = SmoothedClassifier(load_classifier("mnist7", sigma=SIGMA), sigma=SIGMA)
    return smoothed.certify(load_dataset("mnist7").get([0, 1, 2, 3]), n=2000)


@given(
    st.floats(0.01, 0.98),
    st.floats(0.01, 0.99),
    st.floats(0.0, 1.2),
    st.floats(0.05, 3.0),
    st.floats(1.0, 4.0),
)
def test_farther_with_less_slope_is_not_better(c_s, one_sided, share, distance, times):
    """The lemma by which the largest l2 distance in the ball is the one that counts."""
    c_n = 0.5 * one_sided * (1 - c_s)
    gamma = share * 0.4 * np.sqrt(c_n)
    near = second_order_dipole_region(c_s, c_n, gamma).measure(distance)
    far = second_order_dipole_region(c_s, c_n, gamma / times).measure(distance * times)
    assert far <= near + 1e-9


@pytest.mark.parametrize("norm", POWER)
def test_no_change_inside_the_radius_loses_the_class(norm):
    """Every direction, with its own slope, against the one number that the radius comes from."""
    rng, dimension, c_s, c_n = np.random.default_rng(1), 6, 0.6, 0.18
    slopes = rng.standard_normal(dimension)
    slopes *= 0.15 / np.linalg.norm(slopes)
    tally = Tally(
        Design.ANTITHETIC,
        np.array([2 * 10**9]),
        dimension,
        pair_plus_only=np.array([0]),
        pair_minus_only=np.array([0]),
        direction_pairs=np.array([10**9]),
        direction_largest=np.array([np.abs(slopes).max()]),
        direction_total=np.array([np.abs(slopes).sum()]),
    )

    def known(tally: Tally, alpha: float, sigma: float) -> Bounds:
        return Bounds(tally.n, gradient_norm_upper=np.array([np.inf]))

    bounds = corners_in_norm(tally, 0.5, 1.0, norm=norm, corners=known)
    slope = bounds.required("gradient_norm_upper")[0]
    radius = second_order_dipole_radius(c_s, c_n, slope) / largest_l2_length(norm, dimension)
    changes = rng.standard_normal((20_000, dimension)) * 10 ** rng.uniform(-3, 0, (20_000, 1))
    changes *= rng.random((20_000, dimension)) < rng.random((20_000, 1))  # sparse ones too
    changes = np.concatenate([changes, np.sign(changes), np.eye(dimension), -np.eye(dimension)])
    changes = changes[np.any(changes, axis=1)]
    changes *= radius / np.linalg.norm(changes, POWER[norm], axis=1)[:, None]
    length = np.linalg.norm(changes, axis=1)
    slope_there = np.maximum(-(changes @ slopes) / length, 0.0)
    assert np.all(second_order_dipole_radius(c_s, c_n, slope_there) >= length * (1 - 1e-6))
    # And the bound is not loose: some change of that size is as near as can be.
    assert np.min(second_order_dipole_radius(c_s, c_n, slope_there) / length) < 1.01


def test_counts_hold_both_norms_of_the_mean(certified):
    tally, dimension = certified.tally, 49
    norm, largest, total = tally.direction_norm, tally.direction_largest, tally.direction_total
    drawn = tally.direction_pairs > 0
    assert np.any(drawn)
    assert np.all((largest <= norm) & (norm <= total) & (total <= np.sqrt(dimension) * norm + 1e-9))
    assert np.all(total[drawn] >= largest[drawn] * (1 + 1e-3))
    assert np.all(largest[~drawn] == 0)


def test_lengths_of_projections_on_low_frequencies():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, 5, 8))
    low = lengths(image.ravel(), (3, 5, 8))
    at = [np.cos(np.pi * np.outer(np.arange(4), np.arange(n) + 0.5) / n) for n in (5, 8)]
    rows, columns = (basis / np.linalg.norm(basis, axis=1)[:, None] for basis in at)
    for place, k in enumerate((1, 2, 4)):
        found = np.linalg.norm(rows[:k] @ image @ columns[:k].T)
        np.testing.assert_allclose(low[place], found, rtol=1e-9)
        assert low[place] >= found
    assert len(low) == kept((3, 5, 8)) == 3
    assert len(lengths(image.ravel(), None)) == kept(image_shape((120,))) == 0
    assert image_shape((5, 8)) == (1, 5, 8)


def test_radii_within_frequencies(certified, tmp_path):
    """Fewer frequencies, fewer changes: the radius does not fall. What was not kept is refused."""
    certified.save(tmp_path / "l2")
    radii = [certified.radius]
    for norm in ("low_frequency:4", "low_frequency:3", "low_frequency:2", "color"):
        radii.append(certified.recertify(norm=norm).radius)
        assert np.all(radii[-1] >= radii[-2] * (1 - 2e-4))
    assert np.all(radii[1] == radii[2])  # three are certified as four
    assert np.any(radii[-1] > 1.2 * radii[0])
    again = recertify(tmp_path / "l2", tmp_path / "color", method=certified.method, norm="color")
    assert validate_run(again.path) == []
    assert again["radius"].tolist() == radii[-1].tolist()
    assert "average certified color radius" in headline([again])
    with pytest.raises(RunError, match="low_frequency:4 is the last"):
        certified.recertify(norm="low_frequency:5")
    for wrong in ("low_frequency", "low_frequency:0", "low_frequency:x"):
        with pytest.raises(ValueError, match="needs a whole number K"):
            Request(norm=wrong)
    rows = SmoothedClassifier(lambda x: (x.sum(1) > 0).long(), sigma=1.0, num_classes=2)
    found = rows.certify(np.ones((1, 4), np.float32), n=200)
    with pytest.raises(RunError, match="they are no images"):
        found.recertify(norm="color")


@pytest.mark.parametrize("norm", POWER)
@pytest.mark.parametrize("classes", ["top", "all"])
def test_never_below_what_l2_implies(certified, norm, classes):
    tally = certified.tally
    longest = largest_l2_length(norm, 49)
    asked = {"alpha": 0.001, "sigma": SIGMA, "classes": classes}
    for name, method in METHODS.items():
        if method.design is not Design.ANTITHETIC:
            continue
        _, plain = bounds_and_radii(name, tally, **asked)
        _, radius = bounds_and_radii(name, tally, **asked, norm=norm)
        assert np.all(radius >= plain / longest * (1 - 2e-4))
        gains = np.any(radius > 1.01 * plain / longest)
        assert gains == method.pair_gradient


def test_a_run_says_its_norm_and_is_certified_again(certified, tmp_path):
    plain = certified.save(tmp_path / "l2")
    assert "norm" not in plain.manifest.settings
    again = recertify(tmp_path / "l2", tmp_path / "l1", method=certified.method, norm="l1")
    assert again.norm == load_run(tmp_path / "l1").certificates().norm == "l1"
    assert again.certificates() == certified.recertify(norm="l1")
    assert validate_run(tmp_path / "l1") == []
    assert np.any(again["radius"] > 1.01 * plain["radius"])
    back = recertify(tmp_path / "l1", tmp_path / "back", method=certified.method, norm="l2")
    assert back.certificates() == certified
    assert "l1 radius" in repr(again.certificates()[0])
    assert "the average certified l1 radius is" in headline([again])
    assert main(["plan", str(tmp_path / "l1"), "--n", "4000"]) == 2
    assert main(["audit", str(tmp_path / "l1")]) == 2
    with pytest.raises(ValueError, match="the radii are l1 radii"):
        _ = again.certificates().linf_radius


def test_asked_at_once_is_certified_later(certified):
    smoothed = SmoothedClassifier(load_classifier("mnist7", sigma=SIGMA), sigma=SIGMA)
    images = load_dataset("mnist7").get([0, 1, 2, 3])
    assert smoothed.certify(images, n=2000, norm="linf") == certified.recertify(norm="linf")


def test_what_is_refused(certified, tmp_path):
    with pytest.raises(ValueError, match="or low_frequency:K; got 'l3'"):
        Request(norm="l3")
    with pytest.raises(ValueError, match="radius and tolerance are for l2 radii"):
        Request(norm="l1", radius=0.1)
    earlier = replace(certified.tally, direction_largest=None)
    with pytest.raises(LookupError, match="direction_largest"):
        bounds_and_radii(
            "second_order_dipole", earlier, alpha=0.001, sigma=SIGMA, classes="top", norm="l1"
        )
    low = certified.tally.required("direction_low").copy()
    low[1] = np.nan  # a row that an earlier version wrote
    with pytest.raises(LookupError, match="direction_low, which earlier versions"):
        bounds_and_radii(
            "second_order_dipole",
            replace(certified.tally, direction_low=low),
            alpha=0.001,
            sigma=SIGMA,
            classes="top",
            norm="color",
        )
    unknown = replace(certified.tally, dimension=None)
    with pytest.raises(LookupError, match="the dimension of the inputs"):
        bounds_and_radii(
            "second_order_dipole", unknown, alpha=0.001, sigma=SIGMA, classes="top", norm="linf"
        )
    run = replace(certified, tally=earlier).save(tmp_path / "earlier")
    with pytest.raises(RunError, match=r"cannot be certified with .* norm 'l1': it lacks"):
        recertify(run.path, tmp_path / "l1", method=certified.method, norm="l1")

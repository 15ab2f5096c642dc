"""Every row of METHODS keeps the contract; the bounds of the published methods cover exactly."""

from dataclasses import fields
from math import comb

import numpy as np
import pytest

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.published import (
    pair_probabilities,
    top_probability,
    top_probability_and_gradient,
)
from sosmooth.measures import ABSTAINED
from sosmooth.methods import DEFAULT_METHOD, METHODS, certify_tally, method_named
from sosmooth.results import ABSTAIN_REASONS
from sosmooth.tally import Design, Tally


def tally_of(design, right):
    """A thousand evaluations of each input; in a hundred, `right` are right."""
    right = np.asarray(right, dtype=np.int64)
    n = np.full(right.shape, 1000, dtype=np.int64)
    if design is Design.ANTITHETIC:
        # Pairs are wrong on both sides only if they must be.
        one_sided = 5 * np.minimum(right, 100 - right)
        both = 5 * right - one_sided
        return Tally(
            design,
            n=n,
            dimension=3,
            count_top=10 * right,
            pair_both=both,
            pair_plus_only=one_sided,
            pair_minus_only=one_sided,
            pair_none=500 - both - 2 * one_sided,
            direction_pairs=np.full(right.shape, 250),
            direction_one=one_sided,
            direction_norm=np.full(right.shape, 0.2),
            slope_pairs=np.full(right.shape, 250),
            slope_sum=np.full(right.shape, 50.0),
            slope_sq_sum=np.full(right.shape, 20.0),
        )
    gradient = np.zeros(right.shape) if design is Design.DISJOINT_PAIRS else None
    return Tally(design, n=n, dimension=3, count_top=10 * right, gradient_sq_estimate=gradient)


def certify(name, tally, **changes):
    size = len(tally)
    settings = {
        "selected": np.arange(size),
        "selection_margin": np.full(size, 5),
        "index": np.arange(size) + 10,
        "sigma": 0.5,
        "alpha": 0.001,
        "n0": 100,
        "seed": 0,
    }
    return certify_tally(name, tally, **(settings | changes))


def test_names():
    assert list(METHODS)[:3] == ["first_order", "second_order", "dipole"]
    assert DEFAULT_METHOD in METHODS
    for name, method in METHODS.items():
        assert method_named(name) is method
        assert method.source
    with pytest.raises(ValueError, match="unknown method 'third_order'; there are: first_order"):
        method_named("third_order")


@pytest.mark.parametrize("name", METHODS)
class TestRow:
    def test_certifies_the_sure_and_abstains_on_the_rest(self, name):
        result = certify(name, tally_of(METHODS[name].design, [99, 95, 51, 50]))
        assert result.prediction.tolist() == [0, 1, ABSTAINED, ABSTAINED]
        assert result.abstain_reason.tolist() == ["", "", "too_few_samples", "below_one_half"]
        np.testing.assert_array_equal(result.prediction == ABSTAINED, result.radius == 0)
        assert result.radius[0] > result.radius[1] > 0
        assert set(result.abstain_reason) <= set(ABSTAIN_REASONS)

    def test_bounds_are_arrays_of_the_batch(self, name):
        method = METHODS[name]
        bounds, radius = method.certify(tally_of(method.design, [99, 80, 60]), 0.01, 1.0)
        stated = [
            getattr(bounds, field.name)
            for field in fields(Bounds)
            if getattr(bounds, field.name) is not None
        ]
        assert all(value.shape == (3,) for value in stated)
        assert radius.shape == (3,)

    def test_smaller_alpha_smaller_radius(self, name):
        tally = tally_of(METHODS[name].design, [99, 80])
        assert np.all(
            certify(name, tally, alpha=1e-6).radius < certify(name, tally, alpha=0.1).radius
        )

    def test_an_empty_tally_is_refused_by_name(self, name):
        method = METHODS[name]
        with pytest.raises(LookupError, match=r"which .* samples do not count"):
            method.certify(Tally(method.design, n=np.array([1000])), 0.01, 1.0)

    def test_unknown_class_is_no_certificate(self, name):
        result = certify(
            name, tally_of(METHODS[name].design, [99, 99]), selected=np.array([3, ABSTAINED])
        )
        assert result.prediction.tolist() == [3, ABSTAINED]
        assert result.radius[1] == 0
        assert result.abstain_reason.tolist() == ["", "imported"]

    def test_a_tie_in_the_selection_is_said(self, name):
        result = certify(name, tally_of(METHODS[name].design, [40]), selection_margin=np.array([0]))
        assert result.abstain_reason.tolist() == ["no_leading_class"]

    @pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, np.nan])
    def test_alpha_outside_its_range(self, name, alpha):
        with pytest.raises(ValueError, match="alpha must be a failure probability"):
            certify(name, tally_of(METHODS[name].design, [99]), alpha=alpha)

    def test_one_is_a_slice_of_many(self, name):
        result = certify(name, tally_of(METHODS[name].design, [99, 95, 51]))
        assert len(result) == 3
        assert [one.radius for one in result] == result.radius.tolist()
        assert result[1].input_index == 11
        assert result[1:][0].radius == result[1].radius
        assert result[-1].abstain_reason == "too_few_samples"
        assert len(result[1].tally) == 1
        with pytest.raises(IndexError):
            result[3]


def test_first_order_uses_one_side_of_antithetic_pairs():
    """The two sides of a pair are not independent samples."""
    tally = tally_of(Design.ANTITHETIC, [90])
    bounds = top_probability(tally, 0.01, 1.0)
    one_side = Tally(
        Design.INDEPENDENT, n=tally.n // 2, count_top=tally.pair_both + tally.pair_plus_only
    )
    assert bounds.n_used == 500
    assert bounds.p_lower == top_probability(one_side, 0.01, 1.0).p_lower


def test_second_order_halves_alpha():
    tally = tally_of(Design.DISJOINT_PAIRS, [90])
    bounds = top_probability_and_gradient(tally, 0.01, 1.0)
    assert bounds.p_lower == top_probability(tally, 0.005, 1.0).p_lower


def test_second_order_needs_the_dimension():
    tally = Tally(
        Design.DISJOINT_PAIRS,
        n=np.array([10]),
        count_top=np.array([9]),
        gradient_sq_estimate=np.array([0.1]),
    )
    with pytest.raises(LookupError, match="dimension"):
        top_probability_and_gradient(tally, 0.01, 1.0)


def test_separate_bounds_never_count_mass_twice():
    """The one-sided counts are far from balanced: the two bounds together exceed all mass."""
    tally = Tally(
        Design.ANTITHETIC,
        n=np.array([2000]),
        pair_both=np.array([300]),
        pair_plus_only=np.array([700]),
    )
    bounds = pair_probabilities(tally, 0.001, 1.0)
    assert bounds.c_s_lower + 2 * bounds.c_n_lower == pytest.approx(1)
    assert dipole_radius(bounds.c_s_lower, bounds.c_n_lower) > 0


@pytest.mark.parametrize("alpha", [0.02, 0.2])
def test_dipole_covers_exactly(alpha):
    """Over all outcomes of 40 pairs the radius exceeds the true one at most as often as alpha."""
    pairs = 40
    both, plus = (
        x.ravel() for x in np.meshgrid(np.arange(pairs + 1), np.arange(pairs + 1), indexing="ij")
    )
    possible = both + plus <= pairs
    both, plus = both[possible], plus[possible]
    rest = pairs - both - plus
    ways = np.array(
        [
            comb(pairs, int(b)) * comb(pairs - int(b), int(p))
            for b, p in zip(both, plus, strict=True)
        ],
        dtype=float,
    )
    tally = Tally(
        Design.ANTITHETIC, n=np.full(both.shape, 2 * pairs), pair_both=both, pair_plus_only=plus
    )
    _, radius = METHODS["dipole"].certify(tally, alpha, 1.0)
    failures = []
    for c_s in np.linspace(0.02, 0.98, 25):
        for c_n in np.linspace(0, 0.5 * (1 - c_s), 5):
            law = ways * c_s**both * c_n**plus * (1 - c_s - c_n) ** rest
            assert law.sum() == pytest.approx(1)
            failures.append(law[radius > dipole_radius(c_s, c_n)].sum())
    assert max(failures) <= alpha
    assert max(failures) > alpha / 10  # the bound is not needlessly wide

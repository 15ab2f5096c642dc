"""A pilot predicts what other numbers of samples would give."""

import numpy as np
import pytest

from sosmooth import METHODS, SmoothedClassifier
from sosmooth.methods import bounds_and_radii
from sosmooth.planning import expected_radius, samples_for_radius, scaled

X = np.array([[0.0, 0.0], [0.55, 0.0], [0.95, 0.0]], dtype=np.float32)


def pilot(method, n=4000):
    return SmoothedClassifier(
        lambda x: (x[:, 0] > 1).long(), sigma=0.5, num_classes=2, batch_size=4096
    ).certify(X, method=method, n=n)


@pytest.mark.parametrize("method", METHODS)
def test_at_its_own_n_a_pilot_expects_what_it_found(method):
    found = pilot(method)
    again = expected_radius(method, found.tally, 4000, alpha=0.001, sigma=0.5)
    np.testing.assert_allclose(again, found.radius, rtol=1e-9)


@pytest.mark.parametrize("method", ["first_order", "dipole", "dipole_joint"])
def test_expected_radii_grow_with_n_and_come_true(method):
    found = pilot(method)
    radii = [
        expected_radius(method, found.tally, n, alpha=0.001, sigma=0.5)
        for n in (1000, 4000, 64_000)
    ]
    assert np.all(np.diff(radii, axis=0) >= 0)
    np.testing.assert_allclose(radii[2], pilot(method, n=64_000).radius, atol=0.05)


def test_chance_in_the_curvature_falls_with_more_pairs():
    """In 30 dimensions most of what few pairs see of the curvature is chance."""
    x = np.zeros((4, 30), dtype=np.float32)

    def curved(n):
        smoothed = SmoothedClassifier(
            lambda x: (x.norm(dim=1) > 6).long(), sigma=1.0, num_classes=2, batch_size=4096
        )
        return smoothed.certify(
            x, method="third_order_dipole", n=n, curvature="on", classes="top", indices=range(4)
        )

    few, many = curved(2000), curved(100_000)
    more = scaled(few.tally, 100_000).required("curvature_eigenvalues")
    observed = few.tally.required("curvature_eigenvalues")
    assert np.all(np.ptp(more, axis=1) < 0.75 * np.ptp(observed, axis=1))
    fewer = scaled(many.tally, 2000).required("curvature_eigenvalues")
    np.testing.assert_allclose(np.ptp(fewer, axis=1), np.ptp(observed, axis=1), rtol=0.25)
    expected = expected_radius("third_order_dipole", few.tally, 100_000, alpha=0.001, sigma=1.0)
    np.testing.assert_allclose(expected, many.radius, rtol=0.2)
    assert np.all(expected > 1.2 * few.radius)


@pytest.mark.parametrize("method", ["first_order", "second_order_dipole"])
def test_samples_for_a_radius_reach_it_and_hardly_fewer_do(method):
    found = pilot(method)
    needed = samples_for_radius(method, found.tally, 0.4, alpha=0.001, sigma=0.5)
    assert needed[2] == -1
    assert np.all(needed[:2] > 0)

    def expect(n):
        return expected_radius(method, found.tally[:2], n, alpha=0.001, sigma=0.5)

    assert np.all(expect(needed[:2]) >= 0.4)
    assert np.all(expect(2 * (needed[:2] // 3)) < 0.4)


def test_scaled_counts_add_up():
    tally = scaled(pilot("second_order_dipole").tally, 10_001 - 1)
    assert np.all(
        tally.pair_both + tally.pair_plus_only + tally.pair_minus_only + tally.pair_none == 5000
    )
    assert np.all(
        tally.count_top == 2 * tally.pair_both + tally.pair_plus_only + tally.pair_minus_only
    )
    assert np.all(tally.direction_one <= tally.direction_pairs)
    for norm in ("l1", "linf", "color"):  # not scaled, so not planned
        with pytest.raises(LookupError):
            bounds_and_radii(
                "second_order_dipole", tally, alpha=0.001, sigma=0.5, classes="top", norm=norm
            )

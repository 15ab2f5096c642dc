"""Radii in grey levels and as l∞ radii.

They are never above what the l2 radius implies, and only rounding brings them below it.
"""

from fractions import Fraction

import numpy as np
import pytest

from sosmooth import SmoothedClassifier
from sosmooth.measures import in_grey_levels, linf_radius

RADII = np.concatenate([10 ** np.random.default_rng(0).uniform(-12, 3, 200), [0.0, 0.25, 1.0]])


def test_grey_levels_round_down():
    for radius, grey in zip(RADII.tolist(), in_grey_levels(RADII).tolist(), strict=True):
        exact = 255 * Fraction(radius)
        assert exact * (1 - Fraction(1, 10**14)) <= Fraction(grey) <= exact


@pytest.mark.parametrize("dimension", [1, 2, 49, 3072, 150_528])
def test_linf_radius_rounds_down(dimension):
    for radius, linf in zip(RADII.tolist(), linf_radius(RADII, dimension).tolist(), strict=True):
        square = Fraction(radius) ** 2 / dimension
        assert square * (1 - Fraction(1, 10**14)) <= Fraction(linf) ** 2 <= square


def test_edges():
    assert in_grey_levels(0.0) == linf_radius(0.0, 5) == 0
    assert in_grey_levels(np.inf) == linf_radius(np.inf, 5) == np.inf
    with pytest.raises(ValueError, match="dimension must be the number of features"):
        linf_radius(1.0, 0)


def test_certificates_have_them():
    smoothed = SmoothedClassifier(
        lambda x: (x.flatten(1)[:, 0] > 0).long(), sigma=0.5, num_classes=2
    )
    found = smoothed.certify(np.full((2, 4, 4), 0.4, dtype=np.float32), n=1000)
    assert np.all(found.radius > 0)
    np.testing.assert_allclose(found.radius_in_grey_levels, 255 * found.radius)
    np.testing.assert_allclose(found.linf_radius, found.radius / 4)
    assert found[1].linf_radius == found.linf_radius[1]
    assert found[1].radius_in_grey_levels == found.radius_in_grey_levels[1]

"""Hundreds of certifications of each planted classifier by each method.

`python -m benchmarks coverage` makes 20 000.
"""

import pytest
from whole_pipeline import COMMON, EDGES, REGIONS, between_lattice_points, coverage

from sosmooth import METHODS

#: Runs of methods whose certificate takes long. test_axis_coverage.py has more of look-ahead's.
SLOW_METHODS = {"third_order_dipole": 100, "look_ahead": 25}


@pytest.mark.parametrize("method", METHODS)
def test_the_true_radius_is_exceeded_within_the_binomial_limit(method):
    check(method, EDGES[method], exact=False)
    # It is not safe just because it certifies nothing.
    assert coverage(method, EDGES[method], runs=10, n=20_000).certified > 5


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_so_it_is_with_exact_noise_and_near_one_half(method):
    check(method, EDGES[method], exact=True)
    for planted in COMMON:
        check(method, planted, exact=False)
        check(method, planted, exact=True)
    assert coverage(method, EDGES[method], runs=10, n=20_000, exact=True).certified > 5


def check(method, planted, *, exact):
    runs = SLOW_METHODS.get(method, 500)
    found = coverage(method, planted, runs=runs, exact=exact)
    assert found.failures <= found.limit


def test_every_method_has_its_edge():
    assert EDGES.keys() == METHODS.keys()


@pytest.mark.parametrize("planted", REGIONS)
def test_moving_the_ends_between_lattice_points_keeps_the_region(planted):
    region, moved = REGIONS[planted], between_lattice_points(REGIONS[planted])
    assert abs(float(moved.radius()) - float(region.radius())) < 0.1
    assert moved.measure() > 0.5

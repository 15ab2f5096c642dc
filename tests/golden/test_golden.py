"""The radii against 20-digit values."""

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.second_order import second_order_radius

HERE = Path(__file__).parent
# The relative change of the radius if the decimal arguments are rounded to float64: it is largest
# near p = 1/2 and in the tail.
INPUT_ROUNDING = 3e-12


def rows(name):
    with open(HERE / name, newline="") as file:
        return list(csv.DictReader(file))


SECOND_ORDER = rows("second_order.csv")
DIPOLE = rows("dipole.csv")


def check(radius, truth):
    excess = radius / truth - 1
    assert np.all(excess >= -1e-10)
    assert np.all(excess <= INPUT_ROUNDING)


def test_second_order_from_the_probability():
    p, gamma, truth = (
        np.array([float(row[name]) for row in SECOND_ORDER]) for name in ("p", "gamma", "radius")
    )
    assert len(p) >= 80
    check(second_order_radius(p, gamma), truth)


def test_second_order_from_the_error_mass():
    error = np.array([float(1 - Decimal(row["p"])) for row in SECOND_ORDER])
    gamma, truth = (
        np.array([float(row[name]) for row in SECOND_ORDER]) for name in ("gamma", "radius")
    )
    check(second_order_radius(error=error, gradient_norm=gamma), truth)


def test_second_order_at_the_largest_gradient_is_first_order():
    largest = {row["p"]: row for row in SECOND_ORDER}.values()  # the last row of each p
    error, truth = (
        np.array(x)
        for x in zip(
            *((float(1 - Decimal(r["p"])), float(r["radius"])) for r in largest), strict=True
        )
    )
    check(first_order_radius(error=error), truth)


@pytest.mark.parametrize("row", DIPOLE, ids=lambda row: f"{row['c_s']},{row['c_n']}")
def test_dipole(row):
    radius = dipole_radius(float(row["c_s"]), float(row["c_n"]))
    if row["radius"] == "none":
        assert radius == 0
    else:
        check(radius, float(row["radius"]))

"""Seconds for a million radii on one core."""

import time

import numpy as np
from scipy import special

from sosmooth import dipole_radius, first_order_radius, second_order_radius

COUNT = 1_000_000


def main() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1.0, COUNT)
    largest = np.exp(-0.5 * special.ndtri(p) ** 2) / np.sqrt(2 * np.pi)
    gradient_norm = rng.uniform(0, 1, COUNT) * largest
    c_s = 2 * p - 1 + rng.uniform(0, 1, COUNT) * (1 - p)
    c_n = np.minimum(p - c_s, 0.5 * (1 - c_s)).clip(0)
    cases = {
        "first order": lambda: first_order_radius(p),
        "second order": lambda: second_order_radius(p, gradient_norm),
        "dipole": lambda: dipole_radius(c_s, c_n),
    }
    for name, radius in cases.items():
        begun = time.process_time()
        radius()
        print(
            f"{name:24} {time.process_time() - begun:6.2f} s of processor time for {COUNT:,} radii"
        )

"""How often is a radius too large? The whole of `certify`, on classifiers of known true radius.

It is called as a user would call it. The planted classifiers are half-spaces and the extremal ones
of each theorem, where the certificate has no margin. The ends of their regions lie between two
points of the lattice, so that rounding to the lattice first changes nothing: `f∘Q = f`, and one
true radius serves float noise and exact noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from sosmooth import METHODS, SmoothedClassifier
from sosmooth.attacks.extremal_classifier import ExtremalClassifier
from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import Region
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.certificates.third_order_dipole import third_order_dipole_region

SIGMA, LATTICE, DIMENSION, ALPHA = 0.5, 1 / 64, 3, 0.01
#: One false alarm in a million.
FALSE_ALARM = 1e-6

REGIONS: dict[str, Region] = {
    "half-space, 0.8": first_order_region(0.8),
    "half-space, 0.53": first_order_region(0.53),
    "band of second order": second_order_region(0.8, 0.1),
    "half-line and slab": dipole_region(0.65, 0.15),
    "band and slab": second_order_dipole_region(0.6774, 0.1486, 0.1328),
    "curved": third_order_dipole_region(0.6774, 0.1486, 0.1328, -0.15),
}
#: The classifier at the edge of each method's theorem.
EDGES = {
    "first_order": "half-space, 0.8",
    "second_order": "band of second order",
    "dipole": "half-line and slab",
    "dipole_joint": "half-line and slab",
    "second_order_pairs": "band of second order",
    "second_order_dipole": "band and slab",
    "third_order_dipole": "curved",
    "look_ahead": "curved",
}
#: For every method.
COMMON = ("half-space, 0.53",)


@dataclass(frozen=True)
class Coverage:
    """The result of certifying one input many times."""

    runs: int
    failures: int
    certified: int

    @property
    def limit(self) -> int:
        """A method that fails with probability alpha exceeds this number once in a million."""
        return int(stats.binom.isf(FALSE_ALARM, self.runs, ALPHA))


def between_lattice_points(region: Region) -> Region:
    """Move the finite ends of the region to the nearest middles between two lattice points."""
    steps = SIGMA / LATTICE

    def moved(end):
        return np.where(np.isfinite(end), (np.floor(end * steps) + 0.5) / steps, end)

    return Region(tuple((moved(lower), moved(upper)) for lower, upper in region.intervals))


def coverage(
    method: str, planted: str, *, runs: int, n: int = 400, exact: bool = False, seed: int = 0
) -> Coverage:
    """Certify one input `runs` times with independent noise; count the radii above the true one."""
    region = between_lattice_points(REGIONS[planted])
    axis = np.eye(DIMENSION)[0]
    classifier = ExtremalClassifier(region, np.zeros(DIMENSION), axis, sigma=SIGMA)
    more = {"lattice": LATTICE} if exact else {}
    smoothed = SmoothedClassifier(classifier, sigma=SIGMA, num_classes=2, batch_size=8192, **more)
    # So few samples would draw neither curvature nor axis unasked.
    drawn = {"curvature": "on"} if METHODS[method].curvature else {}
    drawn |= {"direction": "samples"} if METHODS[method].axis else {}
    inputs = np.zeros((runs, DIMENSION), dtype=np.float32)
    found = smoothed.certify(inputs, method=method, n0=40, n=n, alpha=ALPHA, seed=seed, **drawn)
    truth = SIGMA * float(region.radius())
    too_large = found.radius > np.where(found.prediction == 0, truth * (1 + 1e-9), 0.0)
    return Coverage(runs, int(np.sum(too_large)), int(np.sum(found.prediction == 0)))

"""The attack on extremal classifiers along their axis.

There a certificate is tight: just beyond its radius the class changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth.attacks.extremal_classifier import ExtremalClassifier
from sosmooth.certificates.region import Region, pdf, quantile_from_tail
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.certificates.third_order import third_order_region
from sosmooth.certificates.third_order_dipole import third_order_dipole_region
from sosmooth.confidence.bounds import Bounds
from sosmooth.methods import method_named
from sosmooth.smoothed import Failed, SmoothedClassifier


@dataclass(frozen=True)
class ExtremalAttack:
    """Points at `factor` times the radius, one for each region.

    Attributes:
        factor: distance of the points from the input, in radii.
        radius: of the certificate, units of sigma.
        kept: exact probability of the certified class at the point, rounded to float64.
        lost: exact probability of the other class there; it has more digits where it is small.
    """

    factor: float
    radius: NDArray[np.float64]
    kept: NDArray[np.float64]
    lost: NDArray[np.float64]

    @property
    def succeeds(self) -> NDArray[np.bool_]:
        """Whether the smoothed classifier's class at the point is the other one."""
        return self.kept < self.lost


def attack_extremal(region: Region, factor: float) -> ExtremalAttack:
    """Put the adversary at `factor` times the radius of each region, along its axis.

    The probability of the certified class there is the Gaussian measure of the region, shifted by
    `factor · radius`.

    Args:
        region: of any shape, units of sigma; the attack does not succeed where the radius is 0 or
            infinite.
        factor: distance in radii, positive.

    Returns:
        The exact probabilities at these points, without samples.

    Guarantee:
        The attack succeeds for factor > 1 and does not succeed for factor < 1, unless the factor is
        within float64 rounding of 1.

    Source:
        Levine et al. 2020, Theorems 1 and 3: their regions attain the bound.
    """
    radius = np.asarray(region.radius())
    attackable = (radius > 0) & np.isfinite(radius)
    shift = np.where(attackable, factor * radius, 0.0)
    kept, lost = np.asarray(region.measure(shift)), np.asarray(region.complement_measure(shift))
    return ExtremalAttack(
        factor, radius, np.where(attackable, kept, 1.0), np.where(attackable, lost, 0.0)
    )


def grid_of_regions(method: str) -> Region:
    """Extremal regions of a method over a grid of probabilities, pair probabilities and gradients.

    The probabilities of the class lie between 1/2 and nearly 1.

    Args:
        method: a key of `METHODS`.

    Returns:
        A region of one axis, units of sigma.
    """
    error, none_share, gradient_share = (
        axis.ravel()
        for axis in np.meshgrid(
            [0.499, 0.4, 0.2, 0.1, 1e-2, 1e-4, 1e-7], [0.0, 0.1, 0.5, 0.9], [0.0, 0.3, 0.7, 1.0]
        )
    )
    # A fraction of the wrong evaluations lies in pairs that are wrong on both sides, the rest in
    # pairs that are right on one side.
    none = none_share * error
    c_n = error - none
    c_s = 1 - none - 2 * c_n
    bounds = Bounds(
        n_used=np.zeros(error.shape, dtype=np.int64),
        p_lower=1 - error,
        error_upper=error,
        c_s_lower=c_s,
        c_n_lower=c_n,
        gradient_norm_upper=gradient_share * pdf(quantile_from_tail(error)),
    )
    return method_named(method).region(bounds, 1.0)


def grid_of_curved_regions(*, pairs: bool) -> Region:
    """Extremal regions of the third order over a grid of probabilities, slopes and curvatures.

    The slopes and the curvatures are fractions of what the theorem of second order allows.

    Args:
        pairs: whether the probabilities of pairs are known: `third_order_dipole`, else
            `third_order`.

    Returns:
        A region of one axis, units of sigma.
    """
    error, none_share, slope_share, curvature_share = (
        axis.ravel()
        for axis in np.meshgrid(
            [0.45, 0.3, 0.2, 0.1, 0.03, 0.01],
            [0.0, 0.1, 0.5, 0.9],
            [0.3, 0.7, 1.0],
            [0.5, 0.7, 0.9],
        )
    )
    none = none_share * error if pairs else np.zeros(error.shape)
    c_n = error - none
    c_s = 1 - none - 2 * c_n
    slope = slope_share * pdf(quantile_from_tail(error))
    if pairs:
        curvature = curvature_share * second_order_dipole_region(c_s, c_n, slope).curvature()
        return third_order_dipole_region(c_s, c_n, slope, curvature)
    curvature = curvature_share * second_order_region(error=error, gradient_norm=slope).curvature()
    return third_order_region(error=error, gradient_norm=slope, curvature=curvature)


def sampled_share(
    region: Region, factor: float, *, dimension: int, sigma: float, n: int, seed: int = 0
) -> tuple[int, int]:
    """The same attack on a real classifier: how many noisy copies of the point keep the class.

    Args:
        region: of one input.
        factor: distance in radii.
        dimension: features of the input.
        sigma: noise level, input units.
        n: samples, at least 1.
        seed: of the axis and the noise.

    Returns:
        How many samples kept the certified class, and n. Exact tests compare them with
        `ExtremalAttack.kept`.
    """
    rng = np.random.default_rng(seed)
    center, direction = rng.normal(size=dimension), rng.normal(size=dimension)
    classifier = ExtremalClassifier(region, center, direction, sigma=sigma)
    smoothed = SmoothedClassifier(classifier, sigma=sigma, num_classes=2, batch_size=8192)
    distance = factor * float(region.radius()) * sigma
    point = center + direction / np.linalg.norm(direction) * distance
    # n0 = 1: the selected class does not matter, since the tally counts either class.
    [sampled] = smoothed.sample(
        point[None], method="first_order", n0=1, n=n, alpha=0.001, seed=seed
    )
    if isinstance(sampled, Failed) or sampled.tally.count_top is None:
        raise AssertionError("an extremal classifier votes for every point, and votes are counted")
    count = int(sampled.tally.count_top[0])
    return (count if sampled.selected == 0 else n - count), n

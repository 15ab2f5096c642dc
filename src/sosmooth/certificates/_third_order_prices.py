"""What the multipliers of the third-order dual are charged for: the bounds that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.certificates._third_order_dual import BOTH, CURVATURE, ONE, SLOPE

# Nearly equal corners share the slope of the largest: within this, relative to it.
_CORNER_BLUR = 3e-5
# By how much the eigenvalues are lowered, and the smallest gap to them, relative to the largest.
_LOWERED, _GAP = 1e-11, 1e-9
_SECULAR_STEPS = 12
_SETTLED = 1e-9
# The smallest slope multiplier, relative to that of the mass, at which slopes are taken.
_STEEP = 1e-6
# The ratio of the multipliers at which the slope becomes too steep: bisections, and by how much it
# is lowered, so that rounding keeps the price convex.
_RATIO_STEPS, _RATIO_ERROR = 32, 1e-9


class Prices(Protocol):
    """A convex function of the multipliers, homogeneous of degree one, for each of n elements."""

    @property
    def wrong(self) -> Floats:
        """About the wrong mass, (n,): a scale."""
        ...

    def take(self, index: NDArray[np.intp]) -> Prices:
        """Those of some elements."""
        ...

    def value(self, y: Floats) -> Floats:
        """The price of multipliers (4, n), at least 0, rounded up: (n,)."""
        ...

    def slopes(self, y: Floats) -> tuple[Floats, Floats, Floats | None]:
        """Price (n,), gradient (4, n), Hessian (n, 4, 4), None for 0; they guide a search only."""
        ...


@dataclass(frozen=True)
class Fixed:
    """The bounds along one direction: `P_0/2`, `(1 − C_S)/2`, γ and κ, (4, n)."""

    bounds: Floats

    @property
    def wrong(self) -> Floats:
        return self.bounds[ONE]

    def take(self, index: NDArray[np.intp]) -> Fixed:
        return Fixed(self.bounds[:, index])

    def value(self, y: Floats) -> Floats:
        terms = self.bounds * y
        return terms.sum(axis=0) + 8 * EPS * np.abs(terms).sum(axis=0)

    def slopes(self, y: Floats) -> tuple[Floats, Floats, None]:
        return (self.bounds * y).sum(axis=0), self.bounds, None


@dataclass(frozen=True)
class AnyDirection:
    """The worst corner of a region of pair probabilities, and the worst of all directions.

    Attributes:
        none: `P_0/2` of each corner, (corners, n).
        not_both: `(1 − C_S)/2` of each corner, (corners, n).
        slack: `e_1` and `e_2`, (2, n).
        eigenvalues: of Ĥ, (d, n).
        squares: squared coefficients of X̂ in its eigenvectors, (d, n).
    """

    none: Floats
    not_both: Floats
    slack: Floats
    eigenvalues: Floats
    squares: Floats

    @property
    def wrong(self) -> Floats:
        return self.not_both.max(axis=0)

    def take(self, index: NDArray[np.intp]) -> AnyDirection:
        return AnyDirection(
            self.none[:, index],
            self.not_both[:, index],
            self.slack[:, index],
            self.eigenvalues[:, index],
            self.squares[:, index],
        )

    def value(self, y: Floats) -> Floats:
        corner = (y[BOTH] * self.none + y[ONE] * self.not_both).max(axis=0)
        slack = y[SLOPE] * self.slack[0] + y[CURVATURE] * self.slack[1]
        lowest = lowest_along_a_direction(y[SLOPE], y[CURVATURE], self.eigenvalues, self.squares)
        return corner + slack - lowest + 8 * EPS * (corner + slack + np.abs(lowest))

    def slopes(self, y: Floats) -> tuple[Floats, Floats, Floats]:
        n = y.shape[1]
        cost = y[BOTH] * self.none + y[ONE] * self.not_both
        worst = cost.max(axis=0)
        blur = _CORNER_BLUR * worst + 1e-300
        weight = np.exp((cost - worst) / blur)
        weight /= weight.sum(axis=0)
        none, not_both = (weight * self.none).sum(axis=0), (weight * self.not_both).sum(axis=0)
        off_none, off_both = self.none - none, self.not_both - not_both
        bends = np.zeros((n, 4, 4))
        weight /= blur
        bends[:, BOTH, BOTH] = (weight * off_none * off_none).sum(axis=0)
        bends[:, ONE, ONE] = (weight * off_both * off_both).sum(axis=0)
        bends[:, BOTH, ONE] = bends[:, ONE, BOTH] = (weight * off_none * off_both).sum(axis=0)
        # At 0 the slope would be that of no direction at all.
        mu, nu = np.maximum(y[SLOPE], _STEEP * y[ONE]), y[CURVATURE]
        shift, gap, eigenvalues = _shifted(mu, nu, self.eigenvalues, self.squares)
        share, inverse = self.squares / gap, 1 / gap
        first, pull = share.sum(axis=0), 0.25 * mu * mu
        share *= inverse
        second, bent = share.sum(axis=0), pull * (share * eigenvalues).sum(axis=0)
        third = (share * inverse).sum(axis=0)
        along, inside = -0.5 * mu * first, pull * second
        # Where the direction is not of length one yet, the rest goes along the lowest eigenvector.
        bent += np.maximum(1 - inside, 0.0) * eigenvalues.min(axis=0)
        value = worst + mu * self.slack[0] + nu * self.slack[1] + shift + pull * first
        curve = 0.5 * (first - second**2 / np.maximum(third, 1e-300))
        curve = np.maximum(curve, 0.0) / np.maximum(nu, 1e-12) ** 2
        curve = np.where(inside > 0.999, curve, 0.0)
        bends[:, SLOPE, SLOPE] = curve * nu**2
        bends[:, SLOPE, CURVATURE] = bends[:, CURVATURE, SLOPE] = -curve * mu * nu
        bends[:, CURVATURE, CURVATURE] = curve * mu**2
        gradient = np.stack([none, not_both, self.slack[0] - along, self.slack[1] - bent])
        return value, gradient, bends


@dataclass(frozen=True)
class NoSteeper:
    """The same where the direction is known to be no steeper than one number.

    Beyond some ratio of the two multipliers the rest of the slope's is charged for that number.

    Attributes:
        price: of any direction.
        steepest: the slope downwards is at most this, with its slack, at least 0, (n,).
        ratio: of the slope's multiplier to that of the curvature, at least 0, (n,); any is sound.
    """

    price: AnyDirection
    steepest: Floats
    ratio: Floats

    @property
    def wrong(self) -> Floats:
        return self.price.wrong

    def take(self, index: NDArray[np.intp]) -> NoSteeper:
        return NoSteeper(self.price.take(index), self.steepest[index], self.ratio[index])

    def value(self, y: Floats) -> Floats:
        taken, rest = self._split(y)
        return self.price.value(taken) + rest * self.steepest * (1 + 8 * EPS)

    def slopes(self, y: Floats) -> tuple[Floats, Floats, Floats]:
        taken, rest = self._split(y)
        value, gradient, bends = self.price.slopes(taken)
        beyond = rest > 0
        # There the price is linear: both multipliers move along the ray of that ratio.
        along = gradient[CURVATURE] + self.ratio * (gradient[SLOPE] - self.steepest)
        gradient[CURVATURE] = np.where(beyond, along, gradient[CURVATURE])
        gradient[SLOPE] = np.where(beyond, self.steepest, gradient[SLOPE])
        for i in (SLOPE, CURVATURE):
            bends[beyond, i, SLOPE] = bends[beyond, i, CURVATURE] = 0.0
        return value + rest * self.steepest, gradient, bends

    def _split(self, y: Floats) -> tuple[Floats, Floats]:
        """The multipliers up to the ratio, and what the slope's is beyond it."""
        taken = y.copy()
        taken[SLOPE] = np.minimum(y[SLOPE], self.ratio * y[CURVATURE])
        return taken, y[SLOPE] - taken[SLOPE]


def no_steeper(price: AnyDirection, steepest: Floats, shorter: NDArray[np.bool_]) -> NoSteeper:
    """The price of the directions along which the slope is known to be at most `steepest` down.

    Args:
        price: of any direction, as if they were all of length one.
        steepest: with slack, at least 0, (n,).
        shorter: where it shall hold for vectors of length at most one as well, (n,).
    """
    # A vector that is shorter can only be lower where no eigenvalue is below 0.
    lowest = price.eigenvalues.min(axis=0)
    theta = price.eigenvalues - np.where(shorter, np.maximum(lowest, 0.0), 0.0)
    mean = np.maximum(steepest - price.slack[0], 0.0) * (1 - _RATIO_ERROR)
    base = price.eigenvalues - lowest
    # The lowest vector, x/(θ + λ) scaled to length one, turns towards the slope as λ grows.
    low = 1e-9 * (base.max(axis=0) + np.sqrt(price.squares.sum(axis=0))) + 1e-300
    high = 1e15 * low
    for _ in range(_RATIO_STEPS):
        middle = np.sqrt(low) * np.sqrt(high)
        first, second = _powers(price.squares, base + middle)
        gentle = first <= mean * np.sqrt(second)
        low, high = np.where(gentle, middle, low), np.where(gentle, high, middle)
    first, second = _powers(price.squares, base + low)
    # Where X̂ has no part along the lowest eigenvector, no λ may be small enough.
    ratio = 2 * np.minimum(1 / np.sqrt(second + 1e-300), mean / (first + 1e-300))
    return NoSteeper(replace(price, eigenvalues=theta), steepest, ratio)


def _powers(squares: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """`Σ x²/gap` and `Σ x²/gap²`."""
    share = squares / gap
    return share.sum(axis=0), (share / gap).sum(axis=0)


def lowest_along_a_direction(
    mu: Floats, nu: Floats, eigenvalues: Floats, squares: Floats
) -> Floats:
    """A lower bound of `min over unit v of μ X̂·v + ν vᵀĤv`, tight but for rounding.

    For every λ with `νĤ + λI ≻ 0` it is at least `−λ − μ²/4 Σ x_i²/(ν θ_i + λ)`.

    Args:
        mu: at least 0, (n,).
        nu: at least 0, (n,).
        eigenvalues: θ of Ĥ in any order, (d, n).
        squares: squared coefficients x² of X̂ in the eigenvectors, (d, n).

    Returns:
        Float64 (n,), rounded down.

    Source:
        docs/theory/third_order.md.
    """
    shift, gap, _ = _shifted(mu, nu, eigenvalues, squares)
    pull = 0.25 * mu**2 * (squares / gap).sum(axis=0)
    # Each gap is off by a few units of rounding; the sum of d terms by d. What the shift cancels is
    # either made up for by the lowered eigenvalues or no larger than the pull.
    error = (len(eigenvalues) + 32) * EPS
    return -shift - pull - error * (np.abs(shift) + pull)


def _shifted(
    mu: Floats, nu: Floats, eigenvalues: Floats, squares: Floats
) -> tuple[Floats, Floats, Floats]:
    """A good λ, `ν θ_i + λ`, and the eigenvalues lowered by more than rounding."""
    largest = np.abs(eigenvalues).max(axis=0)
    lowered = eigenvalues - _LOWERED * largest
    lowest = lowered.min(axis=0)
    # The sum of the squares' shares is one at the best λ; Newton's method on 1 over its root.
    length = 0.5 * mu * np.sqrt(squares.sum(axis=0))
    at_lowest = np.sqrt(np.where(lowered <= lowest, squares, 0.0).sum(axis=0))
    floor = _GAP * (nu * largest + length) + 1e-300
    above = np.maximum(0.5 * mu * at_lowest, floor)
    base = nu * (lowered - lowest)
    pull = 0.25 * mu * mu
    # Each element stops for itself: its λ must not depend on the others.
    settled = np.zeros(above.shape, bool)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_SECULAR_STEPS):
            inverse = 1 / (base + above)
            share = squares * inverse * inverse
            square = pull * share.sum(axis=0)
            fall = pull * (share * inverse).sum(axis=0)
            step = square * (np.sqrt(square) - 1) / fall
            step = np.where(np.isfinite(step) & ~settled, step, 0.0)
            moved = np.maximum(above + step, floor)
            settled |= np.abs(moved - above) <= _SETTLED * moved
            above = moved
            if settled.all():
                break
    return above - nu * lowest, base + above, lowered

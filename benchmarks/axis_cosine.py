"""How close to the gradient the axis must be: simulations of a classifier that is easy to describe.

    python -m benchmarks.axis_cosine

It is right with the probability `Φ((b − s)/τ)`, where s is the noise along its gradient; τ is such
that the gradient is 75 % of a half-space's, and the curvature 56 %. All that pairs show of it
follows from two coordinates of the noise and the length of the rest. Printed is the radius of the
axis over that of the second-order dipole of the same pairs, for axes at several cosines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sosmooth.axis import axis_radius
from sosmooth.confidence.axis_bounds import AxisPairs
from sosmooth.confidence.curvature_plan import curvature_center
from sosmooth.confidence.gradient_plan import planned_gradient
from sosmooth.confidence.pair_mean import PairMean
from sosmooth.methods import METHODS
from sosmooth.tally import SLOPE_CAP, Design, Tally

P, SLOPE, ALPHA = 0.9, 0.75, 0.001
CASES = tuple((d, n) for d in (3072, 150_528) for n in (100_000, 1_000_000))
COSINES = (1.0, 0.95, 0.8)


@dataclass(frozen=True)
class Drawn:
    """Pairs of the simulated classifier.

    Attributes:
        z: noise along the gradient and along one direction across, (pairs, 2).
        right: on each side, bool (2, pairs).
    """

    z: np.ndarray
    right: np.ndarray

    @property
    def h(self) -> np.ndarray:
        """Half the difference of the sides, (pairs,)."""
        plus, minus = self.right.astype(float)
        return 0.5 * (plus - minus)

    def mean(
        self, known: np.ndarray, dimension: int, first: int, rng: np.random.Generator
    ) -> PairMean:
        """The sums of `PairMean` of vectors of which some coordinates are known, (pairs, known)."""
        h, pairs = self.h, len(self.z)
        one = np.count_nonzero(h[:first])
        along = (h[:first, None] * known[:first]).mean(axis=0)
        # The other coordinates of z do not depend on h.
        rest = np.sqrt(0.25 * one * rng.chisquare(dimension - known.shape[1])) / first
        length = np.hypot(np.linalg.norm(along), rest)
        slope = (known[first:] @ along + rest * rng.standard_normal(pairs - first)) / length
        y = np.minimum(h[first:] * slope, SLOPE_CAP)
        values = (length, first, pairs - first, y.sum(), (y * y).sum())
        return PairMean(*(np.array([value]) for value in values))


def draw(n: int, rng: np.random.Generator) -> Drawn:
    """n / 2 pairs."""
    tau = np.sqrt(1 / SLOPE**2 - 1)
    end = special.ndtri(P) * np.sqrt(1 + tau**2)
    z = rng.standard_normal((n // 2, 2))
    sides = (sign * z[:, 0] + tau * rng.standard_normal(len(z)) < end for sign in (1, -1))
    return Drawn(z, np.stack(list(sides)))


def ratio(dimension: int, n: int, cosine: float, rng: np.random.Generator) -> float:
    """The radius of the axis over that of the second-order dipole."""
    drawn, pairs = draw(n, rng), n // 2
    plus, minus = drawn.right
    plan = planned_gradient(round(100 * (1 - P)), 100, n, dimension, ALPHA)
    whole = drawn.mean(drawn.z, dimension, int(plan.direction_share * pairs), rng)
    both, plus_only, minus_only, none = (
        np.array([np.sum(of)])
        for of in (plus & minus, plus & ~minus, ~plus & minus, ~plus & ~minus)
    )
    tally = Tally(
        Design.ANTITHETIC,
        np.array([n]),
        dimension,
        count_top=2 * both + plus_only + minus_only,
        pair_both=both,
        pair_plus_only=plus_only,
        pair_minus_only=minus_only,
        pair_none=none,
        gradient_share=np.array([plan.alpha_share]),
        **vars(whole),
    )
    sine = np.sqrt(1 - cosine**2)
    t = drawn.z @ [cosine, sine]
    center = curvature_center(1 - P)
    wrong = 1 - 0.5 * drawn.right.sum(axis=0)
    found = AxisPairs(
        both,
        plus_only + minus_only,
        none,
        np.array([pairs]),
        np.array([float(np.mean(drawn.h * t))]),
        np.array([-float(np.mean((wrong - center) * (t * t - 1)))]),
        np.array([center]),
        drawn.mean(drawn.z @ [[sine], [-cosine]], dimension - 1, pairs // 2, rng),
        whole,
        dimension,
    )
    second = METHODS["second_order_dipole"].certify(tally, ALPHA, 1.0)[1]
    return float((axis_radius(found, ALPHA) / second)[0])


def main() -> None:
    """Print one row for each dimension and n."""
    print(f"{'d':>8}{'n':>10}" + "".join(f"{f'cosine {cosine:g}':>14}" for cosine in COSINES))
    for dimension, n in CASES:
        rng = np.random.default_rng(0)
        found = [ratio(dimension, n, cosine, rng) for cosine in COSINES]
        print(f"{dimension:8}{n:10}" + "".join(f"{value:14.4f}" for value in found), flush=True)


if __name__ == "__main__":
    main()

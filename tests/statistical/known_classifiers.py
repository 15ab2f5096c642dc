"""Classifiers with known probabilities and gradient, and the exact law of their pair counts.

They work in any dimension. The classifier depends on the coordinate along one unit vector w (units
of sigma) and, for the mixtures, on the size of a second coordinate. Everything else that a tally
holds follows from Gaussian vectors of the remaining dimensions, of which only norms matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.tally import SLOPE_CAP, Design, Tally

Intervals = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Known:
    """Right where the coordinate is in `parts[0]`, and with probability `mix` in `parts[1]`.

    Both sides of a pair have the same outcome of the chance.
    """

    name: str
    parts: tuple[Intervals, ...]
    mix: float = 0.0

    def right(self, z: np.ndarray, second: np.ndarray) -> np.ndarray:
        values = [np.any([(z > a) & (z <= b) for a, b in part], axis=0) for part in self.parts]
        return np.where(second, values[-1], values[0])

    def _mean(self, of: Callable[[Intervals], float]) -> float:
        return (1 - self.mix) * of(self.parts[0]) + self.mix * of(self.parts[-1])

    @property
    def gamma(self) -> float:
        return abs(self._mean(lambda part: float(sum(pdf(a) - pdf(b) for a, b in part))))

    @property
    def pair_masses(self) -> tuple[float, float]:
        """C_S and C_N."""
        p = self._mean(lambda part: float(sum(special.ndtr(b) - special.ndtr(a) for a, b in part)))

        def overlap(a: float, b: float, c: float, d: float) -> float:
            return max(float(special.ndtr(min(b, d)) - special.ndtr(max(a, c))), 0.0)

        c_s = self._mean(lambda part: sum(overlap(a, b, -d, -c) for a, b in part for c, d in part))
        return c_s, max(p - c_s, 0.0)


def extremal(c_s: float, c_n: float, gradient_share: float) -> Known:
    region = second_order_dipole_region(c_s, c_n, gradient_share * float(pdf(special.ndtri(c_n))))
    return Known(
        f"extremal {gradient_share}", (tuple((float(a), float(b)) for a, b in region.intervals),)
    )


_INF = np.inf
KNOWN = (
    Known("half-space", (((-_INF, 0.8),),)),
    Known("half-space near 1/2", (((-_INF, 0.05),),)),
    Known("band", (((-1.0, 0.9),),)),
    Known("slab: even", (((-1.2, 1.2),),)),
    Known("odd", (((-_INF, -1.0), (0.0, 1.0)),)),
    Known("rare, all of it gradient", (((-_INF, 2.5),),)),
    Known("mixture", (((-_INF, 0.7),), ((-2.0, 1.5),)), 0.4),
    extremal(0.6774, 0.1486, 0.572),
    extremal(0.62, 0.18, 0.9),
    extremal(0.5, 0.2, 0.3),
)


def counts_of(plus: np.ndarray, minus: np.ndarray) -> dict[str, np.ndarray]:
    """The counts of a tally from which sides of the pairs are right, bool (repetitions, pairs)."""
    kinds = {
        "pair_both": plus & minus,
        "pair_plus_only": plus & ~minus,
        "pair_minus_only": ~plus & minus,
        "pair_none": ~plus & ~minus,
    }
    found = {name: np.sum(mask, axis=1) for name, mask in kinds.items()}
    return found | {"count_top": np.sum(plus, axis=1) + np.sum(minus, axis=1)}


def draw(
    known: Known,
    dimension: int,
    n: int,
    repetitions: int,
    rng: np.random.Generator,
    share: float = 0.5,
) -> Tally:
    """Tallies of `n // 2` antithetic pairs each, from their exact law."""
    pairs = n // 2
    first = int(share * pairs)
    z = rng.standard_normal((repetitions, pairs))
    second = rng.random((repetitions, pairs)) < known.mix
    plus, minus = known.right(z, second), known.right(-z, second)
    h = 0.5 * (plus.astype(float) - minus)
    one = plus ^ minus
    along = np.mean((h * z)[:, :first], axis=1)
    one_first = np.sum(one[:, :first], axis=1)
    # The other coordinates of z do not depend on h: given the counts, their part of the mean is
    # Gaussian.
    across = (
        np.sqrt(0.25 * one_first * rng.chisquare(dimension - 1, repetitions)) / first
        if dimension > 1
        else np.zeros(repetitions)
    )
    norm = np.hypot(along, across)
    safe = np.where(norm > 0, norm, 1.0)[:, None]
    slope = (
        z[:, first:] * along[:, None] / safe
        + rng.standard_normal((repetitions, pairs - first)) * across[:, None] / safe
    )
    y = np.minimum(h[:, first:] * slope, SLOPE_CAP)
    return Tally(
        Design.ANTITHETIC,
        np.full(repetitions, 2 * pairs),
        dimension,
        **counts_of(plus, minus),
        direction_pairs=np.full(repetitions, first),
        direction_one=one_first,
        direction_norm=norm,
        slope_pairs=np.full(repetitions, pairs - first),
        slope_sum=np.sum(y, axis=1),
        slope_sq_sum=np.sum(y * y, axis=1),
    )

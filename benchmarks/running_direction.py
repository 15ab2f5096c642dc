"""What a direction that pairs keep improving gives for the norm of the gradient, by simulation.

    python -m benchmarks.running_direction

A classifier that is right on a half-space, but on some pairs by chance on one side only. Its pairs
are simulated by sums: along the gradient they are drawn pair by pair, everything else is Gaussian
and enters through a few scalars. So the dimension costs nothing. The same pairs are bounded in
three ways: by the two steps of halves (two_steps.py), by one bet on the same halves, and by one bet
on a running direction in eight blocks. Only the cap of the slopes is left out: it takes 5e-8 off
their mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from benchmarks.two_steps import two_step_upper_bound
from sosmooth.certificates.region import pdf
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.confidence.gradient_plan import GRADIENT_SHARE
from sosmooth.confidence.pair_counts import pair_cells
from sosmooth.confidence.running_direction import running_gradient_norm_upper_bound
from sosmooth.theorems import BY_DIPOLE, BY_HALF_GRADIENT

DIMENSIONS = (784, 3072, 150_528)
BLOCKS = 8
Floats = np.ndarray


@dataclass(frozen=True)
class Along:
    """Sums over the pairs of each block that disagree, (runs, blocks).

    With g the noise along the gradient and s the sign of h.

    Attributes:
        pairs: of each block, (blocks,).
        one: their number.
        total: sum of `s g`.
        square: sum of `g²`.
    """

    pairs: Floats
    one: Floats
    total: Floats
    square: Floats


@dataclass(frozen=True)
class Sums:
    """What a bound takes: `direction_norms`, `slope_sums`, `slope_sq_sums`, (runs, blocks − 1).

    Attributes:
        pairs: of each block, (blocks,).
        one: pairs that disagree, (runs, blocks).
    """

    pairs: Floats
    one: Floats
    norms: Floats
    slopes: Floats
    squares: Floats

    def by_bet(self, dimension: int, alpha: float) -> Floats:
        """The bound of one bet, (runs,)."""
        return running_gradient_norm_upper_bound(
            block_pairs=[int(pairs) for pairs in self.pairs],
            direction_norms=self.norms,
            slope_sums=self.slopes,
            slope_sq_sums=self.squares,
            pair_one=self.one.sum(axis=1),
            dimension=dimension,
            sigma=1.0,
            alpha=alpha,
        )

    def by_steps(self, alpha: float) -> Floats:
        """The bound of two steps, (runs,); there must be two blocks."""
        first, second = (int(pairs) for pairs in self.pairs)
        return two_step_upper_bound(
            norm=self.norms[:, 0],
            pairs=(first, second),
            one=self.one,
            slope_sum=self.slopes[:, 0],
            slope_sq_sum=self.squares[:, 0],
            alpha=alpha,
        )


@dataclass(frozen=True)
class Chance:
    """Right where the noise along w is below b; of the pairs that agree, some disagree by chance.

    Attributes:
        half_space: probability that a pair disagrees by the half-space, `2 Φ(−b)`.
        chance: probability that a pair disagrees by chance.
    """

    half_space: float
    chance: float

    @property
    def b(self) -> float:
        return -float(special.ndtri(0.5 * self.half_space))

    @property
    def gamma(self) -> float:
        return float(pdf(self.b))

    def draw(self, pairs: Floats, runs: int, rng: np.random.Generator) -> Along:
        """Pair by pair along the gradient."""
        shape = (runs, len(pairs))
        far = rng.binomial(pairs, self.half_space, shape)
        near = rng.binomial(pairs - far, self.chance / (1 - self.half_space))
        outside = -special.ndtri(0.5 * self.half_space * rng.random(far.sum()))
        inside = special.ndtri(
            0.5 * self.half_space + (1 - self.half_space) * rng.random(near.sum())
        )
        total, square = np.zeros((2, *shape))
        for values, count in ((outside, far), (inside, near)):
            total += _summed(values, count)
            square += _summed(values * values, count)
        return Along(pairs, far + near, total, square)


def _summed(values: Floats, count: Floats) -> Floats:
    """Sums of so many of the values each, of the shape of count."""
    ends = np.concatenate([[0.0], np.cumsum(values)])[np.cumsum(count.ravel())]
    return np.diff(ends, prepend=0.0).reshape(count.shape)


def _length(degrees: Floats | int, rng: np.random.Generator, size: int | None = None) -> Floats:
    """Of so many normals."""
    return np.sqrt(rng.chisquare(np.maximum(degrees, 1), size)) * (np.asarray(degrees) > 0)


def simulated(along: Along, dimension: int, rng: np.random.Generator) -> tuple[Sums, Sums]:
    """Sums of the same pairs: of halves, and of the running direction.

    Across w the noise is independent of h. A block is described by two directions across w: e, that
    of the sum before it, and f, which with e spans the direction of the halves. Times s, the noise
    along e and along f over the pairs of a block are independent normal vectors, of which the parts
    along the constant vector and along `s g` count, and the squared lengths of the rest.

    Args:
        along: of an even number of blocks.
        dimension: at least 3.
        rng: where chance comes from.
    """
    runs, blocks = along.one.shape
    middle, n = blocks // 2, along.pairs
    mean, across = np.zeros((2, runs))  # lengths of the sum before the block
    far, half_mean, half_across = np.zeros((3, runs))  # far: of its part along the halves' across w
    norms, slopes, squares = np.zeros((3, runs, blocks))
    half_slope, half_square, half_norm = np.zeros((3, runs))
    for k in range(blocks):
        m, total, square = along.one[:, k], along.total[:, k], along.square[:, k]
        root = np.sqrt(m)
        mean_g = total / np.maximum(root, 1)
        rest = np.sqrt(np.maximum(square - mean_g**2, 0.0))
        if k == middle:
            half_mean, half_across, far = mean.copy(), across.copy(), across.copy()
            half_norm = np.hypot(mean, across)
        first = rng.standard_normal((2, runs)) * (m > 0)  # e's and f's, along the constant
        second = rng.standard_normal((2, runs)) * (m > 1)  # along the rest of s g
        # Bartlett: lengths of the two rests, and the part of f's along e's.
        one, two = _length(m - 2, rng), _length(m - 3, rng)
        shared = rng.standard_normal(runs) * (m > 2)
        nothing = np.zeros(runs)
        e = np.stack([first[0], second[0], one, nothing])
        f = np.stack([first[1], second[1], shared, two])
        g = np.stack([mean_g, rest, nothing, nothing])
        if k:
            length = np.hypot(mean, across)
            y = 0.5 * (mean * g + across * e) / np.maximum(length, _TINY)
            norms[:, k] = length / n[:k].sum()
            slopes[:, k], squares[:, k] = y[0] * root, np.sum(y * y, axis=0)
        if k >= middle:
            cosine = np.clip(far / np.maximum(across, _TINY), -1, 1)
            v = cosine * e + np.sqrt(1 - cosine**2) * f
            y = 0.5 * (half_mean * g + half_across * v) / np.maximum(half_norm, _TINY)
            half_slope, half_square = half_slope + y[0] * root, half_square + np.sum(y * y, axis=0)
            far = far + 0.5 * root * v[0]
        mean = mean + 0.5 * total
        others = np.hypot(f[0], _length(dimension - 3, rng, runs))
        across = np.hypot(across + 0.5 * root * e[0], 0.5 * root * others)
    halves = Sums(
        np.array([n[:middle].sum(), n[middle:].sum()]),
        np.stack([along.one[:, :middle].sum(axis=1), along.one[:, middle:].sum(axis=1)], axis=1),
        (half_norm / n[:middle].sum())[:, None],
        half_slope[:, None],
        half_square[:, None],
    )
    return halves, Sums(n, along.one, norms[:, 1:], slopes[:, 1:], squares[:, 1:])


def bounds(halves: Sums, running: Sums, dimension: int, alpha: float) -> dict[str, Floats]:
    """The three bounds of the same pairs, by name."""
    return {
        "two steps": halves.by_steps(alpha),
        "one bet": halves.by_bet(dimension, alpha),
        "running": running.by_bet(dimension, alpha),
    }


def radii(sums: Sums, gamma: Floats, alpha: float) -> Floats:
    """Radius of `second_order_dipole` in units of sigma; no pair is wrong on both sides."""
    one, pairs = sums.one.sum(axis=1), sums.pairs.sum()
    cells = pair_cells(pairs - one, one, np.zeros_like(one), alpha, BY_HALF_GRADIENT, BY_DIPOLE)
    found = [
        second_order_dipole_region(cells.c_s.T[corner], cells.c_n.T[corner], gamma).radius()
        for corner in range(cells.c_s.shape[1])
    ]
    return np.min(found, axis=0)


#: p = 0.8; the half-space alone gives 83 % of the largest gradient of this p.
CASE = Chance(half_space=0.3, chance=0.1)
# Runs at a time, so that the noise along the gradient fits into memory.
_AT_ONCE = 100
# Where nothing was seen yet, there is no direction.
_TINY = 1e-300


def runs_of(case: Chance, n: int, runs: int, seed: int) -> Iterator[tuple[int, Sums, Sums]]:
    """Runs in each of the dimensions, which share what is along the gradient.

    Args:
        case: the classifier.
        n: evaluations, twice the pairs.
        runs: in each dimension.
        seed: of the chance.
    """
    rng = np.random.default_rng(seed)
    pairs = np.full(BLOCKS, n // 2 // BLOCKS)
    for start in range(0, runs, _AT_ONCE):
        along = case.draw(pairs, min(_AT_ONCE, runs - start), rng)
        for dimension in DIMENSIONS:
            yield dimension, *simulated(along, dimension, rng)


def slack_and_radius(n: int, runs: int, alpha: float) -> None:
    """Print the mean slack of each bound, and the mean radius that it gives."""
    names = ("two steps", "one bet", "running")
    slack = {(d, name): [] for d in DIMENSIONS for name in names}
    radius = {(d, name): [] for d in DIMENSIONS for name in names}
    for dimension, halves, running in runs_of(CASE, n, runs, 0):
        share = GRADIENT_SHARE * alpha
        for name, bound in bounds(halves, running, dimension, share).items():
            slack[dimension, name].append(bound - CASE.gamma)
            radius[dimension, name].append(radii(running, bound, (1 - GRADIENT_SHARE) * alpha))
    print(f"n = {n}, {runs} runs, alpha = {alpha}, of which the gradient has {GRADIENT_SHARE:.0%}")
    print(f"{'d':>8} {'bound':>10} {'slack':>9} {'change, %':>10} {'radius':>9} {'change, %':>10}")
    for dimension in DIMENSIONS:
        first = None
        for name in names:
            here = [float(np.mean(np.concatenate(of[dimension, name]))) for of in (slack, radius)]
            first = first or here
            change = [100 * (a / b - 1) for a, b in zip(here, first, strict=True)]
            print(
                f"{dimension:8} {name:>10} {here[0]:9.5f} {change[0]:10.2f} "
                f"{here[1]:9.5f} {change[1]:10.3f}",
                flush=True,
            )


def failures(case: Chance, n: int, runs: int, alpha: float) -> None:
    """Print how often each bound is below the true norm."""
    count: dict[int, dict[str, int]] = {d: {} for d in DIMENSIONS}
    for dimension, halves, running in runs_of(case, n, runs, 1):
        for name, bound in bounds(halves, running, dimension, alpha).items():
            count[dimension][name] = count[dimension].get(name, 0) + int(np.sum(bound < case.gamma))
    print(f"failures in {runs} runs, n = {n}; alpha = {alpha} allows {alpha * runs:.0f}: {case}")
    for dimension, found in count.items():
        cells = "  ".join(f"{name}: {times}" for name, times in found.items())
        print(f"{dimension:8} {cells}", flush=True)


def main(words: list[str] | None = None) -> None:
    """Print slack, radii and failures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.running_direction")
    parser.add_argument("--n", type=int, default=100_000, help="evaluations of an input")
    parser.add_argument("--runs", type=int, default=200, help="runs for slack and radius")
    parser.add_argument("--repetitions", type=int, default=20_000, help="runs for failures")
    parser.add_argument("--alpha", type=float, default=0.001, help="of slack and radius")
    asked = parser.parse_args(words)
    if asked.runs:
        slack_and_radius(asked.n, asked.runs, asked.alpha)
    if asked.repetitions:
        failures(CASE, asked.n, asked.repetitions, 0.05)
        failures(Chance(0.4, 0.0), asked.n, asked.repetitions, 0.05)


if __name__ == "__main__":
    main()

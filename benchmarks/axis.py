"""What one axis gives: look-ahead against the second-order dipole, from the same samples.

    python -m benchmarks.axis --model SPEC --data SPEC --sigma 0.25 --inputs 0:20

The axis is the gradient of the classifier's sharpened softmax score, by back-propagation over noisy
copies that are used for nothing else; with `--samples` it is the mean of `h z` over the first 30 %
of the pairs. Each input gets one row; the last one holds averages. Columns: p̂; radii of the
second-order dipole, of the axis and, with `--third`, of the third order; the bounds of slope and
curvature along the axis and of the gradient across it, as shares of those of a half-space.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special

from sosmooth import Execution, SmoothedClassifier, load_classifier, load_dataset
from sosmooth.axis import axis_radius
from sosmooth.certificates.region import pdf
from sosmooth.confidence.axis_bounds import AxisPairs, PairMean, axis_bounds
from sosmooth.confidence.curvature_plan import curvature_center, likely_error
from sosmooth.methods import METHODS
from sosmooth.request import Request
from sosmooth.sampling.counts import Estimation
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.noise import NoiseSource, Stage, blocks_of
from sosmooth.sampling.sums import Part, Sums
from sosmooth.tally import SLOPE_CAP, Tally
from sosmooth.theorems import BY_DIPOLE, by_probability

COPIES, FIRST_SHARE = 1024, 0.3
# Scores are divided by this: flat scores point elsewhere than the decisions that are certified. On
# a CIFAR-10 image the axis had a cosine of 0.86 to the gradient at 1, and of 0.98 at 0.25.
TEMPERATURE = 0.25
COLUMNS = ("p̂", "dipole", "axis", "third", "slope", "curvature", "across")
_BATCH = 64


def gradient_axis(smoothed: SmoothedClassifier, x: torch.Tensor, label: int) -> np.ndarray:
    """The mean gradient of the softmax score of a class over noisy copies, of length 1.

    The noise is that of no certificate.
    """
    classifier, sigma = smoothed.sampler.base_classifier, smoothed.sampler.smoothing.sigma
    source, total = NoiseSource(0, torch.device("cpu")), torch.zeros(x.shape, dtype=torch.float64)
    for block in blocks_of(0, 0, Stage.PROBE, COPIES, x.numel()):
        noise = torch.empty((block.vectors, *x.shape))
        source.fill(noise, block)
        for some in noise.split(_BATCH):
            points = (x + sigma * some).requires_grad_(True)
            with EvaluationMode(classifier), torch.enable_grad():
                scores = classifier(points) / TEMPERATURE
                score = torch.softmax(scores, dim=1)[:, label].sum()
                (slope,) = torch.autograd.grad(score, points)
            total += slope.double().sum(dim=0)
    axis = total.flatten().numpy()
    return axis / np.linalg.norm(axis)


class MeanSums:
    """The sums of `PairMean` over pairs that are added in order.

    Args:
        dimension: of the vectors.
        first: pairs that give the mean.
    """

    def __init__(self, dimension: int, first: int):
        self._first, self._seen, self._one = first, 0, 0
        self._sum, self._y = np.zeros(dimension), np.zeros(2)

    def add(self, vectors: np.ndarray, h: np.ndarray) -> None:
        """Add pairs: vectors (pairs, dimension), h (pairs,)."""
        split = min(max(self._first - self._seen, 0), len(h))
        self._seen += len(h)
        self._sum += h[:split] @ vectors[:split]
        self._one += np.count_nonzero(h[:split])
        if split < len(h):
            along = vectors[split:] @ (self._sum / max(np.linalg.norm(self._sum), 1e-300))
            y = np.minimum(h[split:] * along, SLOPE_CAP)
            self._y += [y.sum(), (y * y).sum()]

    def found(self) -> PairMean:
        """The sums so far."""
        length = np.linalg.norm(self._sum) / self._first
        values = (length, self._first, self._one, self._seen - self._first, *self._y)
        return PairMean(*(np.array([value]) for value in values))


class AxisSums:
    """The sums of `AxisPairs` over pairs that are added in order.

    Args:
        of: what else is counted of the input.
        center: c.
        axis: û; None: the mean over the first pairs.
    """

    def __init__(self, of: Estimation, center: float, axis: np.ndarray | None):
        self._axis, self._center = axis, center
        self._left = 0 if axis is not None else int(FIRST_SHARE * of.vectors)
        self._mean, self._sums, self._pairs = np.zeros(of.dimension), np.zeros(2), 0
        after = of.vectors - self._left
        self._across = MeanSums(of.dimension, after // 2 if of.direction_share == 0.5 else after)

    def add(self, z: np.ndarray, right: np.ndarray) -> None:
        """Add pairs: noise (pairs, dimension), whether each side is right (2, pairs)."""
        plus, minus = right.astype(float)
        h, u = 0.5 * (plus - minus), 1 - 0.5 * (plus + minus)
        split = min(self._left, len(h))
        self._left -= split
        self._mean += h[:split] @ z[:split]
        if split == len(h):
            return
        if self._axis is None:
            self._axis = self._mean / max(np.linalg.norm(self._mean), 1e-300)
        z, h, u = z[split:], h[split:], u[split:]
        t = z @ self._axis
        self._sums += [h @ t, -(u - self._center) @ (t * t - 1)]
        self._pairs += len(h)
        self._across.add(z - t[:, None] * self._axis, h)

    def found(self, tally: Tally) -> AxisPairs:
        """The sums so far, with the counts and the whole gradient of the same pairs."""
        names = PairMean.__dataclass_fields__
        whole = PairMean(**{name: tally.required(name) for name in names})
        slope, curvature = self._sums[:, None] / self._pairs
        return AxisPairs(
            tally.required("pair_both"),
            tally.required("pair_plus_only") + tally.required("pair_minus_only"),
            tally.required("pair_none"),
            np.array([self._pairs]),
            slope,
            curvature,
            np.array([self._center]),
            self._across.found(),
            whole if whole.direction_pairs[0] else None,
        )


@dataclass(frozen=True)
class Asked:
    """What is measured; see `main` for the names."""

    sigma: float
    n: int = 100_000
    alpha: float = 0.001
    low: float = 0.0
    high: float = 1.0
    samples: bool = False
    third: bool = False


def drawn(
    smoothed: SmoothedClassifier, x: torch.Tensor, index: int, asked: Asked
) -> tuple[Tally, AxisPairs] | None:
    """The tally and what the axis shows, from the same samples; None: p̂ is not as asked for."""
    method = "third_order_dipole" if asked.third else "second_order_dipole"
    request, sampler = Request(method, n=asked.n, alpha=asked.alpha), smoothed.sampler
    selection = sampler.select(x, index=index, n0=request.n0, seed=request.seed)
    if not asked.low <= selection.first / request.n0 <= asked.high:
        return None
    of = request.estimation(index, selection, shape=x.shape, num_classes=sampler.num_classes)
    center = curvature_center(likely_error(request.n0 - selection.first, request.n0))
    axis = None if asked.samples else gradient_axis(smoothed, x, of.selected)
    sums = AxisSums(of, center, axis)
    with sampler._engine_of_one(x.numpy(), request.seed, None) as engine:
        plain = Sums(Part(0, of), sampler.num_classes, sampler.device, engine._noise)
        for done in engine._evaluate(Part(0, of).blocks(), of.sides):
            plain.add(done.block.number, done.noise, done.labels)
            sums.add(done.noise.double().numpy(), (done.labels == of.selected).numpy())
        counts = plain.counts()
    tally = counts.tally(of, asked.sigma)
    return tally, sums.found(tally)


def row(tally: Tally, pairs: AxisPairs, asked: Asked) -> np.ndarray:
    """The figures of one input, in the order of `COLUMNS`."""
    radii = [
        METHODS[name].certify(tally, asked.alpha, asked.sigma)[1][0]
        for name in ("second_order_dipole", "third_order_dipole")[: 1 + asked.third]
    ]
    bounds = axis_bounds(pairs, asked.alpha, costs=(by_probability, BY_DIPOLE))
    p = tally.p_estimate()[0]
    c = abs(special.ndtri(p))
    steep = float(pdf(c))
    return np.array(
        [
            p,
            radii[0],
            axis_radius(pairs, asked.alpha, sigma=asked.sigma)[0],
            radii[1] if asked.third else np.nan,
            max(bounds.slope_upper[0], -bounds.slope_lower[0]) / steep,
            -bounds.curvature_lower[0] / (c * steep),
            bounds.across_upper[0] / steep,
        ]
    )


def rows(
    model: str, data: str, inputs: range, count: int, asked: Asked
) -> Iterator[tuple[int, np.ndarray]]:
    """The indices and figures of up to `count` inputs."""
    classifier, found = load_classifier(model, sigma=asked.sigma), load_dataset(data)
    smoothed = SmoothedClassifier(
        classifier, sigma=asked.sigma, execution=Execution(channels_last=found.get([0]).ndim == 4)
    )
    for index in inputs:
        sampled = drawn(smoothed, torch.as_tensor(found.get([index])[0]), index, asked)
        if sampled is not None:
            yield index, row(*sampled, asked)
            count -= 1
        if not count:
            return


def main() -> None:
    """Print one row an input, and the averages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.axis")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", required=True, type=float)
    parser.add_argument("--inputs", default="0:10", help="FIRST:END")
    parser.add_argument("--count", default=10, type=int, help="stop after so many inputs")
    parser.add_argument("--n", default=100_000, type=int)
    parser.add_argument("--alpha", default=0.001, type=float)
    parser.add_argument("--low", default=0.0, type=float, help="least share of the selection votes")
    parser.add_argument("--high", default=1.0, type=float, help="largest share of them")
    parser.add_argument("--samples", action="store_true", help="the axis comes from the pairs")
    parser.add_argument("--third", action="store_true", help="with the third order")
    given = vars(parser.parse_args())
    model, data, count = (given.pop(name) for name in ("model", "data", "count"))
    inputs = range(*map(int, given.pop("inputs").split(":")))
    print(f"{'index':>6}" + "".join(f"{name:>11}" for name in COLUMNS))
    found = []
    for index, figures in rows(model, data, inputs, count, Asked(**given)):
        found.append(figures)
        print(f"{index:6}" + "".join(f"{figure:11.5f}" for figure in figures), flush=True)
    print(f"{'mean':>6}" + "".join(f"{figure:11.5f}" for figure in np.mean(found, axis=0)))
    least = min(figures[2] / figures[1] for figures in found if figures[1] > 0)
    _, dipole, axis, *_ = np.mean(found, axis=0)
    print(f"axis / dipole: {axis / dipole:.4f} of the ACR")
    print(f"the smallest of an input: {least:.4f}")


if __name__ == "__main__":
    main()

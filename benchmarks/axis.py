"""What one axis gives: `look_ahead` against `second_order_dipole`, from the same samples.

    python -m benchmarks.axis --model SPEC --data SPEC --sigma 0.25 --inputs 0:20

Each input gets one row; the last one holds averages. Columns: p̂; radii of the second-order dipole,
of look-ahead and, with `--third`, of the third order, whose samples are drawn once more; the bounds
of slope and curvature along the axis and of the gradient across it, as shares of those of a
half-space. All compare with one half.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy import special

from sosmooth import Execution, SmoothedClassifier, load_classifier, load_dataset
from sosmooth.axis import axis_share
from sosmooth.certificates.region import pdf
from sosmooth.confidence.axis_bounds import AxisPairs, axis_bounds
from sosmooth.confidence.axis_plan import DIRECTIONS
from sosmooth.methods import METHODS
from sosmooth.request import Request
from sosmooth.sampler import Failed
from sosmooth.tally import Tally
from sosmooth.theorems import BY_DIPOLE, by_probability

COMPARED = ("second_order_dipole", "look_ahead")
COLUMNS = ("p̂", "dipole", "axis", "third", "slope", "curvature", "across")


def row(smoothed: SmoothedClassifier, x: torch.Tensor, index: int, request: Request) -> np.ndarray:
    """The figures of one input, in the order of `COLUMNS`, all but that of the third order."""
    (found,) = smoothed.sampler.sample(x[None], request, indices=[index])
    if isinstance(found, Failed):
        raise RuntimeError(found.message)
    tally, radii = found.tally, [radius(name, found.tally, request, smoothed) for name in COMPARED]
    return np.array([tally.p_estimate()[0], *radii, np.nan, *along(tally, request.alpha)])


def radius(name: str, tally: Tally, request: Request, smoothed: SmoothedClassifier) -> float:
    """The radius of one input by a method, compared with one half."""
    return float(METHODS[name].certify(tally, request.alpha, smoothed.sigma)[1][0])


def along(tally: Tally, alpha: float) -> tuple[float, float, float]:
    """Bounds of slope, curvature and gradient across, in shares; NaN where there is no axis."""
    (share,) = axis_share(tally).tolist()
    if not share:
        return np.nan, np.nan, np.nan
    costs = (by_probability, BY_DIPOLE)
    bounds = axis_bounds(AxisPairs.of(tally), alpha, costs=costs, share=share)
    c = abs(special.ndtri(tally.p_estimate()[0]))
    steep = float(pdf(c))
    return (
        max(bounds.slope_upper[0], -bounds.slope_lower[0]) / steep,
        -bounds.curvature_lower[0] / (c * steep),
        bounds.across_upper[0] / steep,
    )


def rows(
    smoothed: SmoothedClassifier,
    inputs: Iterator[tuple[int, torch.Tensor]],
    asked: argparse.Namespace,
) -> Iterator[tuple[int, np.ndarray]]:
    """The indices and figures of up to `--count` inputs whose p̂ is as asked for."""
    request = Request("look_ahead", n=asked.n, alpha=asked.alpha, direction=asked.direction)
    left = asked.count
    for index, x in inputs:
        chosen = smoothed.sampler.select(x, index=index, n0=request.n0, seed=request.seed)
        if not asked.low <= chosen.first / request.n0 <= asked.high:
            continue
        figures = row(smoothed, x, index, request)
        if asked.third:
            third = replace(request, method="third_order_dipole", direction="auto")
            (found,) = smoothed.sampler.sample(x[None], third, indices=[index])
            assert not isinstance(found, Failed)
            figures[3] = radius(third.method, found.tally, third, smoothed)
        yield index, figures
        left -= 1
        if not left:
            return


def main() -> None:
    """Print one row an input, and the averages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.axis")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", required=True, type=float)
    parser.add_argument("--num-classes", type=int, help="where the classifier does not say")
    parser.add_argument("--precision", help="of the classifier, as in `sosmooth certify`")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--inputs", default="0:10", help="FIRST:END, or indices with commas")
    parser.add_argument("--count", default=10, type=int, help="stop after so many inputs")
    parser.add_argument("--n", default=100_000, type=int)
    parser.add_argument("--alpha", default=0.001, type=float)
    parser.add_argument("--low", default=0.0, type=float, help="least share of the selection votes")
    parser.add_argument("--high", default=1.0, type=float, help="largest share of them")
    parser.add_argument("--direction", default="auto", choices=DIRECTIONS)
    parser.add_argument("--third", action="store_true", help="with the third order")
    asked = parser.parse_args()
    data = load_dataset(asked.data)
    smoothed = SmoothedClassifier(
        load_classifier(asked.model, sigma=asked.sigma),
        sigma=asked.sigma,
        num_classes=asked.num_classes,
        batch_size=asked.batch_size,
        execution=Execution(channels_last=data.get([0]).ndim == 4, precision=asked.precision),
    )
    ends = asked.inputs.split(":")
    which = range(*map(int, ends)) if len(ends) == 2 else map(int, asked.inputs.split(","))
    inputs = ((index, torch.as_tensor(data.get([index])[0])) for index in which)
    print(f"{'index':>6}" + "".join(f"{name:>11}" for name in COLUMNS))
    found = []
    for index, figures in rows(smoothed, inputs, asked):
        found.append(figures)
        print(f"{index:6}" + "".join(f"{figure:11.5f}" for figure in figures), flush=True)
    mean = np.mean(found, axis=0)
    print(f"{'mean':>6}" + "".join(f"{figure:11.5f}" for figure in mean))
    print(f"axis / dipole: {mean[2] / mean[1]:.4f} of the ACR")
    least = min(figures[2] / figures[1] for figures in found if figures[1] > 0)
    print(f"the smallest of an input: {least:.4f}")


if __name__ == "__main__":
    main()

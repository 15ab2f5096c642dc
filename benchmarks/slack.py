"""What the third order would certify if slope and curvature were known better.

    python -m benchmarks.slack RUN

RUN was certified with `third_order_dipole`. The slack of slope and curvature is multiplied by
several factors; what comes of factors below 1 is no certificate. The reference is that of
`benchmarks.gain`.
"""

import sys

import numpy as np

from benchmarks.gain import reference_of
from sosmooth import load_run
from sosmooth.certificates.third_order_directions import any_direction
from sosmooth.confidence.direction_corners import curvature_share, direction_corners
from sosmooth.directions import InEveryDirection
from sosmooth.methods import METHODS
from sosmooth.runs import Run

FACTORS = (1.0, 0.87, 0.67, 0.5, 0.0)


def ratios(run: Run) -> dict[float, float]:
    """Average certified radius over that of the reference, by the factor of the slack."""
    found = run.certificates()
    theorem = METHODS["third_order_dipole"].theorem
    assert isinstance(theorem, InEveryDirection)
    reference, right = reference_of(run), run["selected"] == run["label"]
    drawn = np.flatnonzero((curvature_share(found.tally) > 0) & right)
    tally = found.tally[drawn]
    truths = direction_corners(tally, found.alpha, costs=theorem.costs)
    result = {}
    for factor in FACTORS:
        radius = np.where(right, found.radius, 0.0)
        radius[drawn] = (
            found.sigma
            * any_direction(
                truths.bounds.required("c_s_lower"),
                truths.bounds.required("c_n_lower"),
                factor * truths.slack,
                truths.eigenvalues,
                truths.squares,
                steepest=truths.gradient_norm_upper,
            ).distance
        )
        result[factor] = float(radius.mean() / reference.mean())
    return result


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.slack RUN")
    print("slack × | ACR / reference")
    for factor, ratio in ratios(load_run(sys.argv[1])).items():
        print(f"{factor:7} | {ratio:.4f}")

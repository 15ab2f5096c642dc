"""How much larger the radii of a run of pairs are than those of first order, without chance.

    python -m benchmarks.gain RUN [RUN ...]

The reference of an image is Cohen et al.'s radius at the same estimate: Clopper–Pearson of
(round(n p̂), n), with p̂ from the same pairs. It is a reference, not a certificate: the two
evaluations of a pair are not independent. Percentages are over the images that the reference
certifies with the right class.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from sosmooth import first_order_radius, load_run
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.runs import Run

COLUMNS = (
    "run",
    "method",
    "images",
    "certified",
    "larger > 1 %",
    "smaller > 0.2 %",
    "ACR ratio",
    "median change",
)


def reference_of(run: Run) -> NDArray[np.float64]:
    """The radii of the reference, 0 where the selected class is wrong."""
    n = run["n"]
    radius = first_order_radius(
        error=proportion_upper_bound(n - run["count_top"], n, run["alpha"]), sigma=run["sigma"]
    )
    return np.where(run["selected"] == run["label"], radius, 0.0)


def row(run: Run) -> dict[str, object]:
    """The figures of one run."""
    reference = reference_of(run)
    radius = np.where(run["prediction"] == run["label"], run["radius"], 0.0)
    certified = reference > 0
    change = radius[certified] / reference[certified] - 1
    values = (
        run.path.name,
        str(run["method"][0]),
        len(run),
        int(certified.sum()),
        f"{100 * np.mean(change > 0.01):.1f} %",
        f"{100 * np.mean(change < -0.002):.1f} %",
        f"{radius.mean() / reference.mean():.4f}",
        f"{100 * np.median(change):+.2f} %",
    )
    return dict(zip(COLUMNS, values, strict=True))


def main(paths: list[str]) -> None:
    rows = [row(load_run(path)) for path in paths]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for one in rows:
        print("| " + " | ".join(map(str, one.values())) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m benchmarks.gain RUN [RUN ...]")
    main(sys.argv[1:])

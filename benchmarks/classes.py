"""How much larger radii become if the class is compared with each other class, not with one half.

    python -m benchmarks.classes RUN [RUN ...] [--at 0,0.25,0.5]

Each run is certified again with `classes` "top" and "all", by its own method and alpha, from the
same samples. ACR is the average certified radius over all images; wrong and abstained ones count as
0. Certified is the certified accuracy at the radii of --at, in input units. The last columns are
the smallest ratio of the radii of one image: among all images that "top" certifies, and among those
whose class has more than 0.99 of the samples.
"""

import argparse

import numpy as np

from sosmooth import certified_accuracy, load_run
from sosmooth.measures import average_certified_radius
from sosmooth.runs import Run
from sosmooth.tasks.validate import recomputed

COLUMNS = (
    "run",
    "method",
    "images",
    "certified: top",
    "all",
    "ACR: top",
    "all",
    "ratio",
    "smallest",
    "p > 0.99",
)
_SURE = 0.99


def row(run: Run, radii: tuple[float, ...]) -> tuple[str, ...]:
    """The figures of one run; certified accuracy is at each of `radii`, in input units."""
    stored, label = run.certificates(), run["label"]
    top, every = (recomputed(stored, stored.method, stored.alpha, c, "l2") for c in ("top", "all"))
    accuracy, mean = [], []
    for found in (top, every):
        at = certified_accuracy(found.prediction, label, found.radius, np.maximum(radii, 1e-300))
        accuracy.append(" / ".join(f"{100 * share:.1f}" for share in at) + " %")
        mean.append(average_certified_radius(found.prediction, label, found.radius))
    certified = top.radius > 0
    ratio = every.radius[certified] / top.radius[certified]
    sure = stored.tally.p_estimate()[certified] > _SURE
    return (
        run.path.name,
        stored.method,
        str(len(run)),
        *accuracy,
        *(f"{value:.4f}" for value in mean),
        f"{mean[1] / mean[0]:.3f}",
        f"{ratio.min():.4f}",
        f"{ratio[sure].min():.4f}" if sure.any() else "–",
    )


def main() -> None:
    """Print a table of the runs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classes")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--at", default="0", help="radii of the certified accuracy, input units")
    chosen = parser.parse_args()
    radii = tuple(float(at) for at in chosen.at.split(","))
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for path in chosen.runs:
        print("| " + " | ".join(row(load_run(path), radii)) + " |", flush=True)


if __name__ == "__main__":
    main()

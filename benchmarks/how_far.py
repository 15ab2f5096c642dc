"""How much of the way to the true boundary the certificates of a run reach.

    python -m benchmarks.how_far RUN --model SPEC --data SPEC --distances FILE.csv [--max 200]

For inputs of the run, spread over it, samples measure the distance at which the class has at most
one half, along the gradient and along the worst direction found (`sosmooth.attacks.lost_class`).
FILE.csv keeps these distances: the same command resumes, and needs no samples once they are there.
Then each method's radius, certified again from the counts of the run with `classes="top"`, is
divided by the smaller distance.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from sosmooth import load_classifier, load_dataset, load_run
from sosmooth.attacks.lost_class import LookSettings, lost_class
from sosmooth.methods import METHODS
from sosmooth.runs import Run
from sosmooth.smoothed import SmoothedClassifier
from sosmooth.tally import Design
from sosmooth.tasks.validate import recomputed

FIELDS = ("index", "along_gradient", "along_worst")


def measured(path: Path) -> dict[int, tuple[float, float]]:
    """The distances that are stored, by the index of the input."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return {
            int(row["index"]): (float(row["along_gradient"]), float(row["along_worst"]))
            for row in rows
        }


def measure(run: Run, rows: np.ndarray, model: str, data: str, path: Path, n: int) -> None:
    """Measure the distances of those inputs that the file lacks."""
    sigma, inputs = run.manifest.settings["sigma"], load_dataset(data)
    smoothed = SmoothedClassifier(load_classifier(model, sigma=sigma), sigma=sigma)
    done = measured(path)
    for row in rows:
        index = int(run["index"][row])
        if index in done:
            continue
        x = torch.as_tensor(inputs.get([index])[0])
        found = lost_class(smoothed, x, int(run["prediction"][row]), settings=LookSettings(n=n))
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(FIELDS)
            writer.writerow([index, found.along_gradient, found.along_worst])


def main() -> None:
    """Measure what is missing, and print one row a method."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.how_far")
    parser.add_argument("run")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--distances", required=True, type=Path)
    parser.add_argument("--max", default=200, type=int)
    parser.add_argument("--n", default=20_000, type=int, help="samples of one look")
    asked = parser.parse_args()
    run = load_run(asked.run)
    certified = np.flatnonzero(run["radius"] > 0)
    rows = certified[:: max(len(certified) // asked.max, 1)][: asked.max]
    measure(run, rows, asked.model, asked.data, asked.distances, asked.n)
    distances = measured(asked.distances)
    gradient, worst = np.array([distances[int(run["index"][row])] for row in rows]).T
    lost = np.minimum(gradient, worst)
    found = np.isfinite(lost)
    print(f"{len(rows)} inputs; a distance was found for {found.sum()}")
    shorter = np.median((worst / gradient)[np.isfinite(gradient) & np.isfinite(worst)])
    print(f"worst direction over gradient, median: {shorter:.3f}")
    print("| method | median reached | lower quartile | upper quartile | beyond |")
    print("|---|---|---|---|---|")
    stored = run.certificates()
    for name, method in METHODS.items():
        if method.design is not Design.ANTITHETIC:
            continue
        radius = recomputed(stored, name, stored.alpha, "top", "l2").radius[rows]
        reached = radius[found] / lost[found]
        low, middle, high = np.quantile(reached, [0.25, 0.5, 0.75])
        beyond = int(np.sum(radius > lost))
        print(f"| `{name}` | {middle:.3f} | {low:.3f} | {high:.3f} | {beyond} |", flush=True)


if __name__ == "__main__":
    main()

"""How often is a certified radius above the true one?

The whole pipeline, called as a user would call it, certifies planted classifiers.
"""

import argparse
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Print the failures of each method and classifier; fail if they exceed the binomial limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=20_000, help="certifications of each classifier by each method"
    )
    parser.add_argument(
        "--n", type=int, default=400, help="estimation samples of each, in evaluations"
    )
    parser.add_argument(
        "--exact", action="store_true", help="exact noise on a lattice instead of float noise"
    )
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "statistical"))
    from whole_pipeline import ALPHA, COMMON, EDGES, coverage

    noise = "exact noise" if asked.exact else "float noise"
    print(
        f"{noise}, alpha = {ALPHA}, n = {asked.n}; a method that fails with probability alpha "
        "exceeds the limit once in a million"
    )
    print(
        f"{'method':20} {'classifier':22} {'runs':>7} {'certified':>9} {'failures':>8} "
        f"{'limit':>6} {'s':>6}"
    )
    over = 0
    for method, edge in EDGES.items():
        for planted in (edge, *COMMON):
            begun = time.perf_counter()
            found = coverage(
                method, planted, runs=asked.runs, n=asked.n, exact=asked.exact, seed=asked.seed
            )
            seconds = time.perf_counter() - begun
            row = (
                f"{found.runs:>7} {found.certified:>9} {found.failures:>8} "
                f"{found.limit:>6} {seconds:>6.0f}"
            )
            print(f"{method:20} {planted:22} {row}", flush=True)
            over += found.failures > found.limit
    if over:
        sys.exit(f"{over} of the rates are above the limit")

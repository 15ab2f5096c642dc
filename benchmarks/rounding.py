"""Compare every number between the counts and the printed radius with mpmath, 10⁵ cases a stage.

The figure is how many are on the unsafe side.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np


def main(arguments: list[str]) -> None:
    """Print how many numbers each stage compared and how many are unsafe; fail if any is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rounding", description=__doc__)
    parser.add_argument(
        "--cases",
        type=int,
        default=100_000,
        help="of the cheapest stages; a share of it of the others",
    )
    cases = parser.parse_args(arguments).cases
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "unit"))
    from stages import STAGES

    print(f"{'stage':22} {'compared':>9} {'unsafe':>7} {'s':>7}")
    found = 0
    for number, (name, (stage, share)) in enumerate(STAGES.items()):
        begun = time.perf_counter()
        wrong, compared = stage(max(int(cases * share), 60), np.random.default_rng(number))
        print(
            f"{name:22} {compared:>9} {len(wrong):>7} {time.perf_counter() - begun:>7.0f}",
            flush=True,
        )
        for sentence in wrong[:5]:
            print(f"  {sentence}")
        found += len(wrong)
    if found:
        sys.exit(f"{found} numbers are on the unsafe side")

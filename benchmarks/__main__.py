"""Run every timing, one after the other; `python -m benchmarks radii engine` chooses some.

Timings print ratios measured side by side in one process; absolute times depend on the machine.
Checks look for failures at a size that no test suite has time for. They run only by name:
`python -m benchmarks attacks`. `NAME --help` lists the options of a benchmark.
"""

import sys
from importlib import import_module

TIMINGS = ("radii", "engine", "driver", "memory", "gradients", "curvature", "workers")
CHECKS = ("attacks", "rounding", "coverage", "tail")
WITH_OPTIONS = ("engine", "attacks", "rounding", "coverage")


def main(words: list[str]) -> None:
    """Run the named benchmarks; options are those of the only one named."""
    split = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    chosen, options = words[:split] or list(TIMINGS), words[split:]
    for name in chosen:
        if name not in TIMINGS + CHECKS:
            sys.exit(f"unknown benchmark {name!r}; there are: {', '.join(TIMINGS + CHECKS)}")
    if options and (len(chosen) > 1 or chosen[0] not in WITH_OPTIONS):
        sys.exit(f"{options[0]}: options follow the name of one of {', '.join(WITH_OPTIONS)}")
    for name in chosen:
        print(f"\n== {name}", flush=True)
        run = import_module(f"benchmarks.{name}").main
        if name in WITH_OPTIONS:
            run(options)
        else:
            run()


main(sys.argv[1:])

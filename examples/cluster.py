"""A hundred thousand images on a cluster.

Certifying needs no communication: samples are counted where they are drawn, and counts add up. So
the command that certifies ten images on a laptop also certifies a hundred thousand on the machines
of a Ray cluster. It writes the same to the bit, whichever process samples, and the same command
resumes a run that was killed.

    pip install -c constraints.txt ".[ray]"              # in the clone, on every machine
    ray start --head --port 6379                         # on one of them
    ray start --address HEAD:6379                        # on each of the others
    sosmooth certify --model resnet.onnx --data photos --sigma 0.25 --out run --dry-run
    sosmooth certify --model resnet.onnx --data photos --sigma 0.25 --out run --device cuda \
        --engine ray --address HEAD:6379

Before the long run, three steps save most of it:

1. `--dry-run` draws a few samples and says how long one machine would take: divide by the number of
   workers.
2. `--radius 0.5` stops at each image as soon as it is decided whether it can be certified there,
   often after a hundredth of n.
3. A pilot with `--max 100 --shuffle-seed 0` and `sosmooth plan` show what more samples would give.

This script does it with bundled images. It starts a Ray cluster on this machine if there is none:

    python examples/cluster.py --max 100000 --out run
    python examples/cluster.py --max 100000 --out run --address auto      # on a running cluster

MNIST has 60 000 training images, so it finds no more. `--engine local --workers 4` needs no Ray.
"""

import sys

from sosmooth.cli import main as sosmooth

COMMAND = [
    "certify",
    "--model",
    "mnist7",
    "--data",
    "mnist7:train",
    "--sigma",
    "0.25",
    "--method",
    "first_order",
]


def main(*options: str) -> int:
    """Run `sosmooth certify` on bundled images with these options; first print its cost."""
    engine = () if "--engine" in options else ("--engine", "ray")
    return sosmooth([*COMMAND, *options, "--dry-run"]) or sosmooth([*COMMAND, *engine, *options])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

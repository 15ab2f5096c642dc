"""Processor time of the curvature: its sums and its eigenvalues, against the bare loop.

Work that grows with the samples is measured on some of them and scaled; everything is processor
time, so that what else runs on the machine matters less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import cases
from benchmarks.bare import Bare
from sosmooth.sampling.curvature import PairCurvature
from sosmooth.sampling.memory import keep_freed_memory
from sosmooth.sampling.noise import NoiseSource, block_vectors
from sosmooth.sampling.spectrum import spectrum

N, CENTER, WRONG = 100_000, 0.1875, 0.2
COLUMNS = ("bare", "sums", "eigenvalues", "ratio", "memory, MB", "sent, MB")


@dataclass(frozen=True)
class Cost:
    """Seconds an input of n evaluations, and megabytes."""

    bare: float
    sums: float
    eigenvalues: float
    memory: float
    sent: float

    def cells(self) -> tuple[str, ...]:
        """One cell for each of `COLUMNS`."""
        ratio = (self.bare + self.sums + self.eigenvalues) / self.bare
        times = (f"{value:.4f}" for value in (self.bare, self.sums, self.eigenvalues))
        return (*times, f"{ratio:.3f}", f"{self.memory:.2f}", f"{self.sent:.2f}")


def cost(case: cases.Case, *, n: int, evaluations: int, batch_size: int) -> Cost:
    """The cost for a case.

    Args:
        case: its classifier and inputs.
        n: evaluations of an input.
        evaluations: so many are measured.
        batch_size: of the bare loop.
    """
    keep_freed_memory()
    classifier, images = case.make()
    bare = Bare(
        classifier, images[0], sigma=1, n0=0, n=evaluations, sides=2, execution=case.execution
    )
    bare.warm_up(batch_size)
    device, dimension = torch.device("cpu"), images[0].numel()
    pairs = block_vectors(dimension)
    sums = PairCurvature(dimension, CENTER, device, NoiseSource(0, device))
    generator = torch.Generator().manual_seed(0)
    z = torch.randn((pairs, dimension), generator=generator)
    right = torch.rand((2, pairs), generator=generator) > WRONG
    sums.add(z, right)  # warms up
    blocks = max(evaluations // (2 * pairs), 1)
    mean = np.random.default_rng(0).normal(size=dimension)
    hessian = (z.double().T @ z.double() / pairs - torch.eye(dimension)).numpy()
    spectrum(mean[:9], np.eye(9))  # likewise
    triangle = dimension * (dimension + 1) // 2
    return Cost(
        processor(lambda: bare.loop(batch_size)) * n / evaluations,
        processor(lambda: [sums.add(z, right) for _ in range(blocks)]) * n / (2 * pairs * blocks),
        processor(lambda: spectrum(mean, hessian)),
        2 * dimension**2 * 8 / 1e6,
        8 * (triangle + dimension) / 1e6,
    )


def processor(work: Callable[[], object]) -> float:
    """Seconds of processor time, of all threads."""
    begun = time.process_time()
    with torch.inference_mode():
        work()
    return time.process_time() - begun


def main() -> None:
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, n = {N}; processor time")
    print(f"{'case':12}{'d':>6}" + "".join(f"{column:>13}" for column in COLUMNS), flush=True)
    chosen = {case.name: case for case in cases.CPU}
    for name, evaluations, batch_size in (("mnist7", N, 4096), ("resnet20", 4096, 256)):
        case = chosen[name]
        found = cost(case, n=N, evaluations=evaluations, batch_size=batch_size)
        dimension = case.make()[1][0].numel()
        cells = "".join(f"{cell:>13}" for cell in found.cells())
        print(f"{name:12}{dimension:6}{cells}", flush=True)

"""Processor time of the curvature and of the whole certification by it, against the bare loop.

The whole is the estimation and the certificate of one input: draw, classify, count, the sums of
gradient and curvature, the eigenvalues, the radius against each other class. Work that grows with
the samples is measured on some of them and scaled; everything is processor time, so that what else
runs on the machine matters less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks import cases
from benchmarks.bare import Bare
from sosmooth import SmoothedClassifier
from sosmooth.request import Request
from sosmooth.sampling.counts import Estimation
from sosmooth.sampling.curvature import PairCurvature
from sosmooth.sampling.memory import keep_freed_memory
from sosmooth.sampling.noise import NoiseSource, block_vectors
from sosmooth.sampling.spectrum import spectrum
from sosmooth.sampling.sums import Part

N, CENTER, WRONG = 100_000, 0.1875, 0.2
COLUMNS = (
    "bare",
    "sums",
    "eigenvalues",
    "ratio",
    "certificate",
    "whole",
    "/ bare",
    "memory, MB",
    "sent, MB",
)


@dataclass(frozen=True)
class Cost:
    """Seconds an input of n evaluations, and megabytes."""

    bare: float
    sums: float
    eigenvalues: float
    certificate: float
    whole: float
    memory: float
    sent: float

    def cells(self) -> tuple[str, ...]:
        """One cell for each of `COLUMNS`."""
        ratio = (self.bare + self.sums + self.eigenvalues) / self.bare
        times = (f"{value:.4f}" for value in (self.bare, self.sums, self.eigenvalues))
        whole = (f"{self.certificate:.4f}", f"{self.whole:.4f}", f"{self.whole / self.bare:.3f}")
        return (*times, f"{ratio:.3f}", *whole, f"{self.memory:.2f}", f"{self.sent:.2f}")


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
        *whole(case, n=n, evaluations=evaluations, batch_size=batch_size),
        2 * dimension**2 * 8 / 1e6,
        8 * (triangle + dimension) / 1e6,
    )


def whole(case: cases.Case, *, n: int, evaluations: int, batch_size: int) -> tuple[float, float]:
    """Seconds of the certificate of one input alone, and of all from its selected class to it.

    Args:
        case: as for `cost`.
        n: as for `cost`.
        evaluations: as for `cost`.
        batch_size: of the estimation.
    """
    classifier, images = case.make()
    sampler = SmoothedClassifier(
        classifier,
        sigma=case.sigma,
        num_classes=case.num_classes,
        batch_size=batch_size,
        device="cpu",
        execution=case.execution,
    ).sampler
    request, x = Request(n=n, curvature="on"), images[0]
    selection = sampler.select(x, index=0, n0=request.n0, seed=0)
    planned = request.estimation(0, selection, shape=x.shape, num_classes=case.num_classes)
    some = replace(planned, n=evaluations, curvature_center=CENTER)
    least = replace(some, n=2)

    def drawn(of: Estimation) -> float:
        return processor(lambda: sampler.count(x, Part(0, of), seed=0))

    def certified() -> None:
        request.certificates(
            tally,
            selected=np.array([selection.selected]),
            selection_margin=np.array([selection.margin]),
            index=np.array([0]),
            sigma=case.sigma,
        )

    drawn(least)  # warms up
    once = drawn(least)
    by_sample = (drawn(some) - once) / evaluations
    counts = sampler.count(x, Part(0, some), seed=0)
    tally = counts.tally(some, case.sigma)
    once += processor(lambda: counts.tally(some, case.sigma))
    certified()
    certificate = processor(certified)
    return certificate, n * by_sample + once + certificate


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

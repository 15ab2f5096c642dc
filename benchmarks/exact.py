"""Time exact noise against float noise: `python -m benchmarks engine --exact`.

Both certify the same inputs of a case whose values lie on a lattice. Rounds alternate in one
process; the ratio is that of the medians.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from benchmarks.bare import seconds
from benchmarks.cases import Case
from sosmooth import SmoothedClassifier

COLUMNS = ("float", "exact", "ratio", "batch")


@dataclass(frozen=True)
class Row:
    """Seconds per input of one case and method, and the batch size."""

    plain: float
    exact: float
    batch_size: int

    def cells(self) -> tuple[str, ...]:
        """One cell for each of `COLUMNS`."""
        ratio = f"{self.exact / self.plain:.3f}"
        return f"{self.plain:.4f}", f"{self.exact:.4f}", ratio, str(self.batch_size)


def measured(case: Case, device: torch.device) -> Iterator[tuple[str, Row]]:
    """The rows of a case, by method; none if its inputs lie on no lattice."""
    if case.lattice is None:
        return
    classifier, images = case.make()
    inputs = images[torch.arange(case.inputs) % len(images)].to(device)
    engine = partial(
        SmoothedClassifier,
        classifier,
        sigma=case.sigma,
        num_classes=case.num_classes,
        device=device,
        execution=case.execution,
    )
    plain = engine()
    plain.certify(inputs[:1], n0=2, n=2)  # finds the batch size
    exact = engine(lattice=case.lattice, batch_size=plain.batch_size)
    for method in case.methods:
        works = [
            partial(each.certify, inputs, method=method, n0=case.n0, n=case.n)
            for each in (plain, exact)
        ]
        for work in works:
            work()  # warms up
        rounds = [[seconds(device, work) for work in works] for _ in range(case.rounds)]
        without, with_it = (median(column) / len(inputs) for column in zip(*rounds, strict=True))
        yield method, Row(without, with_it, plain.batch_size or 0)

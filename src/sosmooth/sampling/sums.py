"""Adding up what the classifier said, on the device, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.counts import Counts, Estimation, fixed_products
from sosmooth.sampling.evaluator import INVALID
from sosmooth.sampling.gradient import PairGradient
from sosmooth.sampling.noise import Block, Stage, block_vectors, blocks_of
from sosmooth.tally import Design


@dataclass(frozen=True)
class Part:
    """Some of the noise vectors of an estimation, all unless told.

    Attributes:
        position: of the input in the batch.
        start, stop: of the vectors, [start, stop), not empty, at the ends of blocks or of the pairs that give the direction; stop
            None: to the last one.
        direction: of the gradient, float64 (features,); None: its pairs are among these vectors, or none gives a slope.
    """

    position: int
    estimation: Estimation
    start: int = 0
    stop: int | None = None
    direction: NDArray[np.float64] | None = None

    @property
    def end(self) -> int:
        """One after the last vector."""
        return self.estimation.vectors if self.stop is None else self.stop

    def blocks(self) -> Iterator[Block]:
        """The blocks that hold the vectors: the first and the last may hold others too."""
        of, size = self.estimation, block_vectors(self.estimation.dimension)
        first, vectors = self.start // size, min(ceil(self.end / size) * size, of.vectors)
        return blocks_of(
            self.position,
            of.index,
            Stage.ESTIMATION,
            vectors - first * size,
            of.dimension,
            first=first,
        )


class Sums:
    """The sums of a part, kept on the device.

    Args:
        standard: from noise as it was drawn to z, float64.
    """

    def __init__(
        self, part: Part, device: torch.device, standard: Callable[[torch.Tensor], torch.Tensor]
    ):
        of = self._estimation = part.estimation
        self._part = part
        self._standard = standard
        self._block_vectors = block_vectors(of.dimension)
        self._next = part.start
        self._exact = _float64_device(device)
        self._right = torch.zeros(3, dtype=torch.int64, device=device)
        self._invalid = torch.zeros((), dtype=torch.int64, device=device)
        self._products = torch.zeros((), dtype=torch.int64, device=self._exact)
        self._gradient = (
            PairGradient(of, self._exact, standard, part.direction) if of.direction_share else None
        )
        self._classes = (
            None if of.num_classes is None else _ClassCounts(of.sides, of.num_classes, device)
        )

    @property
    def complete(self) -> bool:
        """Whether every block of the part was added."""
        return self._next >= self._part.end

    def add(self, block: int, noise: torch.Tensor, labels: torch.Tensor) -> None:
        """Add the noise (vectors, features), as it was drawn, and the labels (sides, vectors) of a block."""
        begin = block * self._block_vectors
        rows = slice(max(self._part.start - begin, 0), self._part.end - begin)
        noise, labels = noise[rows], labels[:, rows]
        right = labels == self._estimation.selected
        self._right += count_right(right)
        self._invalid += torch.count_nonzero(labels == INVALID)
        if self._estimation.design is Design.DISJOINT_PAIRS:
            z = self._standard(noise.to(self._exact))
            self._products += fixed_products(_products_of_right_pairs(z, right[0].to(self._exact)))
        if self._gradient is not None:
            self._gradient.add(begin + rows.start, noise, right)
        if self._classes is not None:
            self._classes.add(labels)
        self._next = begin + self._block_vectors

    def counts(self) -> Counts:
        """The sums so far."""
        sums = {"right": self._right, "invalid": self._invalid}
        if self._estimation.design is Design.DISJOINT_PAIRS:
            sums["products"] = self._products
        for more in (self._gradient, self._classes):
            if more is not None:
                sums |= more.sums()
        return Counts({name: value.cpu().numpy() for name, value in sums.items()})


class _ClassCounts:
    """Votes for each class: of independent evaluations, or of pairs on both sides and on exactly one."""

    def __init__(self, sides: int, num_classes: int, device: torch.device):
        # The last column holds what was no vote.
        self._same = torch.zeros(num_classes + 1, dtype=torch.int64, device=device)
        self._one = torch.zeros_like(self._same)
        self._sides = sides

    def add(self, labels: torch.Tensor) -> None:
        """Count the labels (sides, vectors) of a block."""
        same = (labels[0] == labels[-1]).long()
        add_votes(self._same, labels[0], same)
        if self._sides == 2:
            for side in labels:
                add_votes(self._one, side, 1 - same)

    def sums(self) -> dict[str, torch.Tensor]:
        """The votes, (classes,)."""
        return {"class_same": self._same[:-1], "class_one": self._one[:-1]}


def count_right(right: torch.Tensor) -> torch.Tensor:
    """How many of (sides, vectors) are right on both sides, on the first, on the last: int64 (3,)."""
    if len(right) == 1:
        return torch.count_nonzero(right).expand(3)
    return torch.stack(
        [torch.count_nonzero(side) for side in (right[0] & right[1], right[0], right[1])]
    )


def add_votes(
    votes: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None
) -> None:
    """Add the labels (vectors,) to votes (classes + 1,), those that are no vote in the last column."""
    column = torch.where(labels == INVALID, len(votes) - 1, labels)
    votes.scatter_add_(0, column, torch.ones_like(column) if weight is None else weight)


def _products_of_right_pairs(z: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Theorem 2's sum over the disjoint pairs of a block: `Σ (z·z') f f'`, in float64.

    Computed block by block, never over a whole batch, so that the sum is the same to the bit for every batch size.
    """
    products = (z[0::2] * z[1::2]).sum(1)
    return (products * (right[0::2] & right[1::2])).sum()


def _float64_device(device: torch.device) -> torch.device:
    """Where float64 is to be had: MPS has none."""
    return torch.device("cpu") if device.type == "mps" else device

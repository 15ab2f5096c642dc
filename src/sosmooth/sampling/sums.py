"""Adding up what the classifier said, on the device, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.sampling.axis import PairAxis
from sosmooth.sampling.counts import Counts, Estimation, fixed_products, sparse_classes
from sosmooth.sampling.curvature import PairCurvature
from sosmooth.sampling.evaluator import INVALID
from sosmooth.sampling.gradient import PairGradient
from sosmooth.sampling.noise import Block, Noise, Stage, block_vectors, blocks_of, float64_device
from sosmooth.tally import Design


@dataclass(frozen=True)
class Part:
    """Some of the noise vectors of an estimation, all unless told.

    Attributes:
        position: of the input in the batch.
        estimation: what is counted of it.
        start: the first of the vectors, at the start of a block or after the pairs that give the
            direction.
        stop: one after the last of them, above `start`, at the end of a block or of the pairs that
            give the direction; None: to the last one of the estimation.
        direction: of the gradient, float64 (features,); None: its pairs are among these vectors, or
            none gives a slope.
        axis_direction: likewise that of `Counts.axis_direction`.
    """

    position: int
    estimation: Estimation
    start: int = 0
    stop: int | None = None
    direction: NDArray[np.float64] | None = None
    axis_direction: NDArray[np.float64] | None = None

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
        part: the noise vectors to be added.
        num_classes: of the classifier.
        device: where the labels are.
        noise: what was drawn is read with it.
    """

    def __init__(self, part: Part, num_classes: int, device: torch.device, noise: Noise):
        of = self._estimation = part.estimation
        self._part = part
        self._standard = noise.standard
        self._block_vectors = block_vectors(of.dimension)
        self._next = part.start
        self._exact = float64_device(device)
        self._votes = no_votes(of.sides, num_classes, device)
        self._products = torch.zeros((), dtype=torch.int64, device=self._exact)
        self._gradient = (
            PairGradient(of, self._exact, noise.standard, part.direction)
            if of.direction_share
            else None
        )
        self._curvature = None
        if of.draws_curvature:
            assert of.curvature_center is not None
            self._curvature = PairCurvature(of.dimension, of.curvature_center, self._exact, noise)
        self._axis = (
            PairAxis(of, self._exact, noise, part.axis_direction) if of.draws_axis else None
        )

    @property
    def complete(self) -> bool:
        """Whether every block of the part was added."""
        return self._next >= self._part.end

    def add(self, block: int, noise: torch.Tensor, labels: torch.Tensor) -> None:
        """Add a block of the part.

        Args:
            block: its number.
            noise: as it was drawn, (vectors, features).
            labels: int64 (sides, vectors).
        """
        begin = block * self._block_vectors
        rows = slice(max(self._part.start - begin, 0), self._part.end - begin)
        noise, labels = noise[rows], labels[:, rows]
        add_votes(self._votes, labels)
        right = labels == self._estimation.selected
        if self._estimation.design is Design.DISJOINT_PAIRS:
            z = self._standard(noise.to(self._exact))
            self._products += fixed_products(_products_of_right_pairs(z, right[0].to(self._exact)))
        if self._gradient is not None:
            self._gradient.add(begin + rows.start, noise, right)
        if self._curvature is not None:
            self._curvature.add(noise, right)
        if self._axis is not None:
            self._axis.add(begin + rows.start, noise, right)
        self._next = begin + self._block_vectors

    def counts(self) -> Counts:
        """The sums so far."""
        sums = {}
        if self._estimation.design is Design.DISJOINT_PAIRS:
            sums["products"] = self._products
        if self._gradient is not None:
            sums |= self._gradient.sums()
        if self._curvature is not None:
            sums |= self._curvature.sums()
        if self._axis is not None:
            sums |= self._axis.sums()
        votes = self._votes.cpu().numpy()
        right, invalid = right_and_invalid(votes, self._estimation.selected)
        return Counts(
            {"right": right, "invalid": invalid}
            | {name: value.cpu().numpy() for name, value in sums.items()}
            | {name: one for name, (one,) in sparse_classes(votes[None, :, :-1]).items()}
        )


def no_votes(sides: int, num_classes: int, device: torch.device) -> torch.Tensor:
    """Where the votes of one input are added up, int64 (rows, classes + 1): all zero.

    Without pairs there is one row, with pairs there are three: `x + ε`, `x − ε`, and both sides the
    same. The last column is for evaluations that were no vote.
    """
    return torch.zeros((2 * sides - 1, num_classes + 1), dtype=torch.int64, device=device)


def add_votes(votes: torch.Tensor, labels: torch.Tensor) -> None:
    """Add labels (sides, vectors) to votes (rows, classes + 1), as `no_votes` describes them."""
    column = torch.where(labels == INVALID, votes.shape[1] - 1, labels)
    for row, of_side in zip(votes, column, strict=False):
        row.scatter_add_(0, of_side, torch.ones_like(of_side))
    if len(column) == 2:
        votes[2].scatter_add_(0, column[0], (column[0] == column[1]).long())


def right_and_invalid(
    votes: NDArray[np.int64], selected: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vectors right on both sides, on the first, on the last (3,), and evaluations without a vote.

    Args:
        votes: int64 (rows, classes + 1), as `no_votes` describes them.
        selected: the class that is right.
    """
    both, last = (2, 1) if len(votes) == 3 else (0, 0)
    return votes[[both, 0, last], selected], votes[: last + 1, -1].sum()


def _products_of_right_pairs(z: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Theorem 2's sum over the disjoint pairs of a block: `Σ (z·z') f f'`, in float64.

    Computed block by block, never over a whole batch, so that the sum is the same to the bit for
    every batch size.
    """
    products = (z[0::2] * z[1::2]).sum(1)
    return (products * (right[0::2] & right[1::2])).sum()

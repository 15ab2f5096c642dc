"""Draw, add, classify, count: the only loop that runs the base classifier.

Blocks of noise, of one input or of many, are packed into batches; labels are counted where they are computed, and nothing
is read back before an input is done. Memory does not depend on the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from sosmooth.sampling.base_classifier import INVALID, Evaluator
from sosmooth.sampling.gradient import PairGradient, no_gradient
from sosmooth.sampling.noise import Block, NoiseSource, Stage, block_vectors, blocks_of
from sosmooth.tally import Design, Tally

#: Called with the number of evaluations just done.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Evaluated:
    """One block after the classifier saw it.

    Attributes:
        noise: float32 (vectors, features), in units of sigma; overwritten by the next pack.
        labels: int64 (sides, vectors): sides is 2 for antithetic pairs (x + ε, then x − ε), else 1.
    """

    block: Block
    noise: torch.Tensor
    labels: torch.Tensor


class Engine:
    """Evaluates noisy copies of a batch of inputs.

    Args:
        evaluator: runs the base classifier.
        inputs: float tensor (batch, …) on the device.
        sigma: noise level, input units.
        seed: of all the noise.
        progress: called after each pack.
    """

    def __init__(self, evaluator: Evaluator, inputs: torch.Tensor, *, sigma: float, seed: int, progress: Progress | None = None):
        self._evaluator = evaluator
        self._inputs = inputs
        self._sigma = sigma
        self._noise = NoiseSource(seed, inputs.device)
        self._progress = progress or (lambda evaluations: None)
        self.dimension = int(np.prod(inputs.shape[1:]))

    def count_classes(self, indices: np.ndarray, stage: Stage, n: int, num_classes: int) -> np.ndarray:
        """Votes for each class among `n` independent samples of each input: int64 (batch, classes + 1).

        The last column holds the evaluations that were no vote (NaN or infinite scores, labels out of range).
        """
        votes = torch.zeros((len(indices), num_classes + 1), dtype=torch.int64, device=self._inputs.device)
        blocks = (
            block for position, index in enumerate(indices) for block in blocks_of(position, int(index), stage, n, self.dimension)
        )
        for done in self._evaluate(blocks, sides=1):
            _add_votes(votes[done.block.position], done.labels[0])
        return votes.cpu().numpy()

    def tally(
        self,
        position: int,
        index: int,
        design: Design,
        n: int,
        selected: int,
        *,
        direction_share: float | None = None,
        num_classes: int | None = None,
    ) -> tuple[Tally, int]:
        """Count `n` estimation samples of one input for the class `selected`.

        Args:
            direction_share: for antithetic pairs, the share of them that gives the direction of the gradient; 0: none is
                drawn; None: the gradient is no part of the tally.
            num_classes: count all of them; None: only the selected one.
        Returns:
            The tally, of length 1, and the number of evaluations that were no vote.
        """
        sides = 2 if design is Design.ANTITHETIC else 1
        vectors = n // sides
        exact = _float64_device(self._inputs.device)
        counts = torch.zeros(4, dtype=torch.int64, device=self._inputs.device)
        products = torch.zeros((), dtype=torch.float64, device=exact)
        gradient = PairGradient(vectors, direction_share, self.dimension, exact) if direction_share else None
        classes = _ClassCounts(sides, num_classes, counts.device) if num_classes is not None else None
        for done in self._evaluate(blocks_of(position, index, Stage.ESTIMATION, vectors, self.dimension), sides):
            right = done.labels == selected
            invalid = torch.count_nonzero(done.labels == INVALID)
            counts += torch.stack([*_right(right), invalid])
            if design is Design.DISJOINT_PAIRS:
                products += _products_of_right_pairs(done.noise.to(exact), right[0].to(exact))
            if gradient is not None:
                gradient.add(done.block.number * block_vectors(self.dimension), done.noise, right)
            if classes is not None:
                classes.add(done.labels)
        *right_counts, invalid = counts.tolist()
        sums = _counted(design, vectors, np.array([right_counts]))
        if design is Design.DISJOINT_PAIRS:
            sums["gradient_sq_estimate"] = np.array([products.item() / (n // 2) / self._sigma**2])
        if direction_share is not None:
            sums |= gradient.sums() if gradient is not None else no_gradient()
        if classes is not None:
            sums |= classes.counts()
        return Tally(design, np.array([n]), dimension=self.dimension, **sums), invalid

    def tallies_by_look(
        self, indices: np.ndarray, design: Design, looks: Sequence[int], selected: np.ndarray, going: np.ndarray
    ) -> Iterator[tuple[Tally, np.ndarray]]:
        """Count the estimation samples of a batch from look to look, for those inputs that still go on.

        Args:
            indices, selected: of the whole batch, int64 (batch,). looks: evaluations at each look, ascending.
            going: whether each input is drawn for, bool (batch,): the caller clears it between looks.
        Yields:
            At each look the tally of the batch so far, and the number of evaluations that were no vote, (batch,). Both are
            out of date for inputs that do not go on.
        """
        sides = 2 if design is Design.ANTITHETIC else 1
        counts = torch.zeros((len(indices), 4), dtype=torch.int64, device=self._inputs.device)
        drawn = number = 0
        for look in looks:
            blocks = [
                list(blocks_of(i, int(indices[i]), Stage.ESTIMATION, look // sides - drawn, self.dimension, first=number))
                for i in np.flatnonzero(going).tolist()
            ]
            if not blocks:
                return
            for done in self._evaluate(chain.from_iterable(blocks), sides):
                invalid = torch.count_nonzero(done.labels == INVALID)
                right = done.labels == int(selected[done.block.position])
                counts[done.block.position] += torch.stack([*_right(right), invalid])
            drawn, number = look // sides, blocks[0][-1].number + 1
            found = counts.cpu().numpy()
            n = np.full(len(indices), look)
            sums = _counted(design, drawn, found[:, :3])
            yield Tally(design, n, dimension=self.dimension, **sums), found[:, 3]

    def _evaluate(self, blocks: Iterable[Block], sides: int) -> Iterator[Evaluated]:
        """Evaluate blocks, as many at once as fit in a batch."""
        capacity = max(self._evaluator.batch_size // sides, block_vectors(self.dimension))
        buffer = points = None
        for pack in _packed(blocks, capacity):
            total = sum(block.vectors for block in pack)
            if buffer is None or points is None or len(buffer) < total:
                shape = self._inputs.shape[1:]
                buffer = torch.empty((total, *shape), dtype=torch.float32, device=self._inputs.device)
                points = torch.empty((sides * total, *shape), dtype=self._inputs.dtype, device=self._inputs.device)
            noise, noisy = buffer[:total], points[: sides * total]
            start = 0
            for block in pack:
                part, x = slice(start, start + block.vectors), self._inputs[block.position]
                self._noise.fill(noise[part], block)
                torch.add(x, noise[part], alpha=self._sigma, out=noisy[part])
                if sides == 2:
                    torch.sub(x, noise[part], alpha=self._sigma, out=noisy[total:][part])
                start += block.vectors
            labels = self._evaluator.labels(noisy).view(sides, total)
            start = 0
            for block in pack:
                part = slice(start, start + block.vectors)
                yield Evaluated(block, noise[part].flatten(1), labels[:, part])
                start += block.vectors
            self._progress(sides * total)


class _ClassCounts:
    """Votes for each class, kept on the device: of independent evaluations, or of pairs on both sides and on exactly one."""

    def __init__(self, sides: int, num_classes: int, device: torch.device):
        # The last column holds what was no vote.
        self._same = torch.zeros(num_classes + 1, dtype=torch.int64, device=device)
        self._one = torch.zeros_like(self._same)
        self._sides = sides

    def add(self, labels: torch.Tensor) -> None:
        """Count the labels (sides, vectors) of a block."""
        same = (labels[0] == labels[-1]).long()
        _add_votes(self._same, labels[0], same)
        if self._sides == 2:
            for side in labels:
                _add_votes(self._one, side, 1 - same)

    def counts(self) -> dict[str, np.ndarray]:
        """The fields of the tally, (1, classes)."""
        same, one = (votes[None, :-1].cpu().numpy() for votes in (self._same, self._one))
        return {"class_counts": same} if self._sides == 1 else {"class_both": same, "class_one": one}


def _right(right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How many of (sides, vectors) are right on both sides, on the first, on the last."""
    return torch.count_nonzero(right[0] & right[-1]), torch.count_nonzero(right[0]), torch.count_nonzero(right[-1])


def _counted(design: Design, vectors: int, counts: np.ndarray) -> dict[str, np.ndarray]:
    """The counts of a tally from those of `_right`, (batch, 3)."""
    both, plus, minus = counts.T
    if design is not Design.ANTITHETIC:
        return {"count_top": plus}
    return {
        "count_top": plus + minus,
        "pair_both": both,
        "pair_plus_only": plus - both,
        "pair_minus_only": minus - both,
        "pair_none": vectors - plus - minus + both,
    }


def _add_votes(votes: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None) -> None:
    """Add the labels (vectors,) to votes (classes + 1,), those that are no vote in the last column."""
    column = torch.where(labels == INVALID, len(votes) - 1, labels)
    votes.scatter_add_(0, column, torch.ones_like(column) if weight is None else weight)


def _packed(blocks: Iterable[Block], capacity: int) -> Iterator[list[Block]]:
    """Consecutive blocks, together at most `capacity` noise vectors."""
    pack: list[Block] = []
    for block in blocks:
        if pack and sum(other.vectors for other in pack) + block.vectors > capacity:
            yield pack
            pack = []
        pack.append(block)
    if pack:
        yield pack


def _products_of_right_pairs(noise: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Theorem 2's sum over the disjoint pairs of a block: `Σ (z·z') f f'`, in float64.

    Computed block by block, never over a whole batch, so that the sum is the same to the bit for every batch size.
    """
    products = (noise[0::2].double() * noise[1::2].double()).sum(1)
    return (products * (right[0::2] & right[1::2])).sum()


def _float64_device(device: torch.device) -> torch.device:
    """Where float64 is to be had: MPS has none."""
    return torch.device("cpu") if device.type == "mps" else device

"""Draw, add, classify, count: the only loop that runs the base classifier.

Blocks of noise, of one input or of many, are packed into batches. Labels are counted where they are
computed, and nothing is read back before an input is done. Memory does not depend on the number of
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import torch

from sosmooth.sampling.counts import Counts, counted, sides_of, sparse_classes
from sosmooth.sampling.evaluator import ClassifierError, Evaluator, MakePoints
from sosmooth.sampling.lattice import noise_source
from sosmooth.sampling.noise import Block, Stage, block_vectors, blocks_of
from sosmooth.sampling.sums import Part, Sums, add_votes, no_votes, right_and_invalid
from sosmooth.tally import Design, Tally

#: Called with the number of evaluations just done.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Evaluated:
    """One block after the classifier saw it.

    Attributes:
        block: the noise vectors.
        noise: as its source draws it, (vectors, features); overwritten by the next pack.
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
        lattice: the inputs and their noise are multiples of it, and the noise is exact; None: float
            noise.
        progress: called after each pack.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        inputs: torch.Tensor,
        *,
        sigma: float,
        seed: int,
        lattice: float | None = None,
        progress: Progress | None = None,
    ):
        self._evaluator = evaluator
        self._inputs = inputs
        self._noise = noise_source(seed, inputs.device, sigma=sigma, lattice=lattice)
        self._centers = self._noise.centers(inputs)
        self._progress = progress or (lambda evaluations: None)
        self.shape = tuple(inputs.shape[1:])
        self.dimension = int(np.prod(self.shape))

    def input(self, position: int) -> torch.Tensor:
        """An input of the batch, on the device."""
        return self._inputs[position]

    def why_no_vote(self) -> str:
        """What the classifier returned where its output was no vote, in words."""
        return self._evaluator.why_no_vote()

    def count_classes(self, indices: np.ndarray, stage: Stage, n: int) -> np.ndarray:
        """Votes for each class among independent samples of each input.

        Args:
            indices: of the inputs of the batch, int64 (batch,).
            stage: what the samples are for.
            n: samples of each input.

        Returns:
            int64 (batch, classes + 1); the last column holds the evaluations that were no vote
            (NaN, +inf or no finite score; labels out of range).
        """
        votes = self._no_votes(len(indices), sides=1)
        blocks = (
            block
            for position, index in enumerate(indices)
            for block in blocks_of(position, int(index), stage, n, self.dimension)
        )
        for done in self._evaluate(blocks, sides=1):
            add_votes(votes[done.block.position], done.labels)
        self._noise.check()
        return votes[:, 0].cpu().numpy()

    def classes(self, indices: np.ndarray, stage: Stage, n: int) -> np.ndarray:
        """The classes of independent noisy copies of each input.

        Args:
            indices: of the inputs of the batch, int64 (batch,).
            stage: what the samples are for.
            n: copies of each input.

        Returns:
            int64 (batch, n).
        """
        found = torch.empty((len(indices), n), dtype=torch.int64, device=self._inputs.device)
        full = block_vectors(self.dimension)
        blocks = (
            block
            for position, index in enumerate(indices)
            for block in blocks_of(position, int(index), stage, n, self.dimension)
        )
        for done in self._evaluate(blocks, sides=1):
            of = done.block
            start = of.number * full
            found[of.position, start : start + of.vectors] = done.labels[0]
        self._noise.check()
        return found.cpu().numpy()

    def count(self, parts: Sequence[Part]) -> Iterator[Counts]:
        """Sums over the estimation samples of inputs, or over parts of them, each as it is done.

        Args:
            parts: of one design. They share batches.

        Yields:
            The sums of each part, in order.
        """
        remaining, sums = iter(parts), None
        blocks = chain.from_iterable(part.blocks() for part in parts)
        for done in self._evaluate(blocks, parts[0].estimation.sides if parts else 1):
            if sums is None:
                sums = Sums(
                    next(remaining),
                    self._evaluator.num_classes,
                    self._inputs.device,
                    self._noise,
                )
            sums.add(done.block.number, done.noise, done.labels)
            if sums.complete:
                self._noise.check()
                yield sums.counts()
                sums = None

    def tallies_by_look(
        self,
        indices: np.ndarray,
        design: Design,
        looks: Sequence[int],
        selected: np.ndarray,
        going: np.ndarray,
    ) -> Iterator[tuple[Tally, np.ndarray]]:
        """Count the estimation samples of a batch from look to look.

        Args:
            indices: of the inputs of the batch, int64 (batch,).
            design: how the noise is drawn.
            looks: evaluations at each look, ascending.
            selected: the class of each input that is counted as right, int64 (batch,).
            going: whether to go on drawing for each input, bool (batch,): the caller clears it
                between looks.

        Yields:
            At each look the tally of the batch so far, and the number of evaluations that were no
            vote, (batch,). Both are out of date for inputs that do not go on.
        """
        sides = sides_of(design)
        votes = self._no_votes(len(indices), sides)
        drawn = number = 0
        for look in looks:
            blocks = [
                list(
                    blocks_of(
                        i,
                        int(indices[i]),
                        Stage.ESTIMATION,
                        look // sides - drawn,
                        self.dimension,
                        first=number,
                    )
                )
                for i in np.flatnonzero(going).tolist()
            ]
            if not blocks:
                return
            for done in self._evaluate(chain.from_iterable(blocks), sides):
                add_votes(votes[done.block.position], done.labels)
            drawn, number = look // sides, blocks[0][-1].number + 1
            self._noise.check()
            found = votes.cpu().numpy()
            right, invalid = zip(
                *(right_and_invalid(*of) for of in zip(found, selected.tolist(), strict=True)),
                strict=True,
            )
            yield (
                Tally(
                    design,
                    np.full(len(indices), look),
                    dimension=self.dimension,
                    num_classes=self._evaluator.num_classes,
                    **counted(design, drawn, np.stack(right)),
                    **sparse_classes(found[..., :-1], without=selected),
                ),
                np.array(invalid),
            )

    def _no_votes(self, batch: int, sides: int) -> torch.Tensor:
        """Where the votes of each input are added up, int64 (batch, rows, classes + 1)."""
        one = no_votes(sides, self._evaluator.num_classes, self._inputs.device)
        return one.repeat(batch, 1, 1)

    def _evaluate(self, blocks: Iterable[Block], sides: int) -> Iterator[Evaluated]:
        """Evaluate blocks, as many at once as fit in a batch."""
        for pack, noise, make_points in self._drawn(blocks, sides):
            try:
                labels = self._evaluator.labels(make_points).view(sides, len(noise))
            except ClassifierError as error:
                raise ClassifierError(
                    f"{_named({block.index for block in pack})}: {error}"
                ) from error
            start = 0
            for block in pack:
                part = slice(start, start + block.vectors)
                yield Evaluated(block, noise[part].flatten(1), labels[:, part])
                start += block.vectors
            self._progress(sides * len(noise))

    def _drawn(
        self, blocks: Iterable[Block], sides: int
    ) -> Iterator[tuple[list[Block], torch.Tensor, MakePoints]]:
        """Packs of blocks that fill a batch, their noise, and what makes the noisy copies of it.

        The next pack overwrites the tensors of this one. The classifier never sees the noise.
        """
        capacity = max(self._evaluator.batch_size // sides, block_vectors(self.dimension))
        shape, device = self._inputs.shape[1:], self._inputs.device
        noises = points_ = torch.empty(0, *shape, device=device)
        for pack in _packed(blocks, capacity):
            total = sum(block.vectors for block in pack)
            if len(noises) < total:
                noises = torch.empty((total, *shape), dtype=self._noise.dtype, device=device)
                points_ = torch.empty(
                    (sides * total, *shape), dtype=self._inputs.dtype, device=device
                )
            noise, points = noises[:total], points_[: sides * total]
            start = 0
            for block in pack:
                self._noise.fill(noise[start : start + block.vectors], block)
                start += block.vectors
            yield pack, noise, partial(self._make_points, pack, noise, points)

    def _make_points(
        self, pack: list[Block], noise: torch.Tensor, out: torch.Tensor
    ) -> torch.Tensor:
        """Write the noisy copies to `out`: x + ε, then, where there is room, x − ε."""
        start = 0
        for block in pack:
            part, x = slice(start, start + block.vectors), self._centers[block.position]
            self._noise.add(x, noise[part], sign=1, out=out[part])
            if len(out) > len(noise):
                self._noise.add(x, noise[part], sign=-1, out=out[len(noise) :][part])
            start += block.vectors
        return out


def _named(indices: set[int]) -> str:
    """The inputs of a batch, as an error names them."""
    first, last = min(indices), max(indices)
    return (
        f"input {first}"
        if first == last
        else f"one of {len(indices)} inputs from {first} to {last}"
    )


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

"""How work is divided: whole inputs to one worker, or the samples of one input to many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sosmooth.request import Request, Smoothing
from sosmooth.sampler import Failed, Sampled
from sosmooth.sampling.counts import Counts, Estimation
from sosmooth.sampling.engine import Progress
from sosmooth.sampling.noise import block_vectors
from sosmooth.sampling.sums import Part
from sosmooth.workers.pool import Job, Phase, Pool
from sosmooth.workers.share import CountPart, FindAxis, Measure, Measured, Select, WholeInputs

# What a unit of work should take: long compared with a message, and short compared with the time
# that the death of a worker or the end of the run may cost.
_SHORTEST, _LONGEST = 0.2, 5.0  # seconds
_SHARES_PER_WORKER = 32
_FEW_INPUTS = 8  # a worker: then the samples of an input are shared out
_LONG_INPUT = 8  # shares: likewise
_MOST_INPUTS = 64  # of a share: more would not share batches


def sample_by(
    pool: Pool,
    get: Callable[[Sequence[int]], NDArray[np.float32]],
    indices: Sequence[int],
    request: Request,
    smoothing: Smoothing,
    *,
    batch_size: int | None = None,
    progress: Progress,
    share_evaluations: int | None = None,
) -> Iterator[tuple[Sampled | Failed, int | None]]:
    """What `Sampler.sample` yields for these inputs, to the bit, by all workers, as it is done.

    Args:
        pool: the workers.
        get: indices → inputs.
        indices: of the inputs, distinct.
        request: what is asked for.
        smoothing: with which the workers were set up.
        batch_size: of every worker; None: one worker finds it for all.
        progress: called with the number of evaluations just done.
        share_evaluations: in one unit of work, about; None: as many as take a few seconds.

    Yields:
        An input after sampling, and the batch size.

    Raises:
        ClassifierError: the classifier raised.
        WorkersError: the workers cannot go on.
    """
    if not len(indices):
        return
    if share_evaluations is None or batch_size is None:
        (measured,) = pool.run([_measured(get(indices[:1])[0], indices[0], batch_size)])
        batch_size = measured.batch_size
        if share_evaluations is None:
            fair = len(indices) * request.evaluations / (_SHARES_PER_WORKER * pool.size)
            share_evaluations = int(
                np.clip(fair, _SHORTEST * measured.rate, _LONGEST * measured.rate)
            )
    work = _Work(get, request, smoothing, batch_size, share_evaluations)
    for found in pool.run(work.jobs(indices, pool.size), progress):
        yield found, batch_size


def _measured(x: NDArray[np.float32], index: int, batch_size: int | None) -> Job[Measured]:
    (answer,) = yield Phase([Measure(x, index, batch_size)])
    return [answer.result]


@dataclass(frozen=True)
class _Work:
    """All that is to be sampled, and how it is divided."""

    get: Callable[[Sequence[int]], NDArray[np.float32]]
    request: Request
    smoothing: Smoothing
    batch_size: int
    share_evaluations: int

    def jobs(self, indices: Sequence[int], workers: int) -> Iterator[Job[Sampled | Failed]]:
        """One job for some inputs each, or one for each input whose samples are divided."""
        each, size = self.request.evaluations, self.share_evaluations
        few = len(indices) < _FEW_INPUTS * workers
        if not self.request.stops and each > size and (few or each > _LONG_INPUT * size):
            for position, index in enumerate(indices):
                yield self._split_input(position, index)
            return
        inputs = max(1, min(size // each, _MOST_INPUTS))
        if self.request.stops:  # each may take far fewer; in shared batches they are faster
            inputs = max(1, min(len(indices) // (_FEW_INPUTS * workers), _MOST_INPUTS))
        for start in range(0, len(indices), inputs):
            yield self._whole_inputs(start, list(indices[start : start + inputs]))

    def _whole_inputs(self, start: int, indices: list[int]) -> Job[Sampled | Failed]:
        share = WholeInputs(self.get(indices), indices, self.request, self.batch_size)
        (answer,) = yield Phase([share])
        return [replace(found, position=start + found.position) for found in answer.result]

    def _split_input(self, position: int, index: int) -> Job[Sampled | Failed]:
        """Selection, then the direction of the gradient where one is wanted, then the rest."""
        request, x = self.request, self.get([index])[0]
        (answer,) = yield Phase([Select(x, index, request, self.batch_size)])
        selection, seconds = answer.result, answer.seconds
        if selection.invalid:
            return [Failed(position, index, selection.why, selection.invalid)]
        estimation = request.estimation(
            index, selection, shape=x.shape, num_classes=self.smoothing.classes
        )
        if estimation.draws_axis and request.direction != "samples":
            (answer,) = yield Phase([FindAxis(x, estimation, request, self.batch_size)])
            estimation, seconds = answer.result, seconds + answer.seconds

        def phase(start: int, stop: int, *directions: NDArray[np.float64] | None) -> Phase:
            parts = [
                Part(0, estimation, *ends, *directions)
                for ends in _bounds(estimation, start, stop, self.share_evaluations)
            ]
            return Phase(
                [CountPart(x, part, request, self.batch_size) for part in parts], added=True
            )

        counts, first = Counts({"invalid": np.array(0)}), estimation.first_pairs
        directions: list[NDArray[np.float64] | None] = []
        if first:
            (answer,) = yield phase(0, first)
            counts, seconds = answer.result, seconds + answer.seconds
            directions = [counts.direction(estimation)[0]]
            if estimation.draws_axis:
                directions.append(counts.axis_direction(estimation)[0])
        if first < estimation.vectors and not counts.invalid:
            (answer,) = yield phase(first, estimation.vectors, *directions)
            counts, seconds = counts + answer.result, seconds + answer.seconds
        if counts.invalid:
            return [Failed(position, index, counts.why, counts.invalid)]
        begun = time.perf_counter()
        tally = counts.tally(estimation, self.smoothing.sigma)
        seconds += time.perf_counter() - begun
        return [Sampled(position, index, selection.selected, selection.margin, tally, seconds)]


def _bounds(
    estimation: Estimation, start: int, stop: int, share_evaluations: int
) -> Iterator[tuple[int, int]]:
    """Noise vectors [start, stop) in parts that end where blocks do."""
    block = block_vectors(estimation.dimension)
    size = max(1, share_evaluations // estimation.sides // block) * block
    while start < stop:
        end = min(start - start % block + size, stop)
        yield start, end
        start = end

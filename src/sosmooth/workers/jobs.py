"""What is shared out: some inputs to one worker as a whole, or the samples of one input to many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sosmooth.methods import method_named
from sosmooth.sampling.counts import Counts, Estimation
from sosmooth.sampling.engine import Progress
from sosmooth.sampling.noise import block_vectors
from sosmooth.sampling.sums import Part
from sosmooth.smoothed import Failed, Sampled, planned_estimation
from sosmooth.workers.pool import Job, Phase, Pool
from sosmooth.workers.share import CountPart, Measure, Measured, Sampling, Select, WholeInputs

# What a share should take: long against a message, short against the time that a death or the end of the run may cost.
_SHORTEST, _LONGEST = 0.2, 5.0  # seconds
_SHARES_PER_WORKER = 32
_FEW_INPUTS = 8  # a worker: then the samples of an input are shared out
_LONG_INPUT = 8  # shares: likewise
_MOST_INPUTS = 64  # of a share: more would not share batches


def sample_by(
    pool: Pool,
    get: Callable[[Sequence[int]], NDArray[np.float32]],
    indices: Sequence[int],
    sampling: Sampling,
    *,
    sigma: float,
    progress: Progress,
    share_evaluations: int | None = None,
) -> Iterator[tuple[Sampled | Failed, int | None]]:
    """What `SmoothedClassifier.sample` yields for these inputs, to the bit, by all workers and in the order in which it is done.

    Args:
        get: indices → inputs. indices: distinct. sampling: the batch size None: one worker finds it for all.
        sigma: noise level, input units. progress: called with the number of evaluations just done.
        share_evaluations: in one share, about; None: as many as take a few seconds.
    Yields:
        An input after sampling, and the batch size.
    Raises:
        ClassifierError, WorkersError: as for `Pool.run`.
    """
    if not len(indices):
        return
    if share_evaluations is None or sampling.batch_size is None:
        (measured,) = pool.run([_measured(get(indices[:1])[0], indices[0], sampling)])
        sampling = replace(sampling, batch_size=measured.batch_size)
        if share_evaluations is None:
            fair = len(indices) * (sampling.n0 + sampling.n) / (_SHARES_PER_WORKER * pool.size)
            share_evaluations = int(
                np.clip(fair, _SHORTEST * measured.rate, _LONGEST * measured.rate)
            )
    jobs = _jobs(get, indices, sampling, sigma, share_evaluations, pool.size)
    for found in pool.run(jobs, progress):
        yield found, sampling.batch_size


def _jobs(
    get: Callable[[Sequence[int]], NDArray[np.float32]],
    indices: Sequence[int],
    sampling: Sampling,
    sigma: float,
    share_evaluations: int,
    workers: int,
) -> Iterator[Job[Sampled | Failed]]:
    each = sampling.n0 + sampling.n
    stops = sampling.radius is not None or sampling.tolerance is not None
    few = len(indices) < _FEW_INPUTS * workers
    if not stops and each > share_evaluations and (few or each > _LONG_INPUT * share_evaluations):
        for position, index in enumerate(indices):
            yield _split_input(get([index])[0], position, index, sampling, sigma, share_evaluations)
        return
    size = max(1, min(share_evaluations // each, _MOST_INPUTS))
    if stops:  # each may take far fewer; in shared batches they are faster
        size = max(1, min(len(indices) // (_FEW_INPUTS * workers), _MOST_INPUTS))
    for start in range(0, len(indices), size):
        part = list(indices[start : start + size])
        yield _whole_inputs(get(part), start, part, sampling)


def _measured(x: NDArray[np.float32], index: int, sampling: Sampling) -> Job[Measured]:
    (answer,) = yield Phase([Measure(x, index, sampling.batch_size)])
    return [answer.result]


def _whole_inputs(
    inputs: NDArray[np.float32], start: int, indices: list[int], sampling: Sampling
) -> Job[Sampled | Failed]:
    (answer,) = yield Phase([WholeInputs(inputs, indices, sampling)])
    return [replace(found, position=start + found.position) for found in answer.result]


def _split_input(
    x: NDArray[np.float32],
    position: int,
    index: int,
    sampling: Sampling,
    sigma: float,
    share_evaluations: int,
) -> Job[Sampled | Failed]:
    """Selection, then the direction of the gradient where one is wanted, then the rest."""
    (answer,) = yield Phase([Select(x, index, sampling)])
    selection, seconds = answer.result, answer.seconds
    if selection.invalid:
        return [Failed(position, index, selection.why, selection.invalid)]
    of = sampling
    estimation = planned_estimation(
        method_named(of.method),
        index,
        selection,
        n0=of.n0,
        n=of.n,
        alpha=of.alpha,
        dimension=x.size,
    )

    def phase(start: int, stop: int, direction: NDArray[np.float64] | None = None) -> Phase:
        bounds = _bounds(estimation, start, stop, share_evaluations)
        return Phase(
            [CountPart(x, Part(0, estimation, *some, direction), sampling) for some in bounds],
            added=True,
        )

    counts, direction, first = Counts({"invalid": np.array(0)}), None, estimation.direction_pairs
    if first:
        (answer,) = yield phase(0, first)
        counts, seconds = answer.result, seconds + answer.seconds
        direction, _ = counts.direction(estimation)
    if first < estimation.vectors and not counts.invalid:
        (answer,) = yield phase(first, estimation.vectors, direction)
        counts, seconds = counts + answer.result, seconds + answer.seconds
    if counts.invalid:
        return [Failed(position, index, counts.why, counts.invalid)]
    tally = counts.tally(estimation, sigma)
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

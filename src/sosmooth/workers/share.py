"""What a worker is told once, what it is asked, and what it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sosmooth.request import Request, Smoothing
from sosmooth.sampler import Failed, Sampled, Sampler
from sosmooth.sampling.counts import Counts, Estimation
from sosmooth.sampling.engine import Progress
from sosmooth.sampling.environment import sampling_environment
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.selection import Selection
from sosmooth.sampling.sums import Part


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker opens its classifier from: the classifier is never sent.

    Attributes:
        spec: of the classifier, as `open_classifier` reads it.
        smoothing: sigma, number of classes, device and noise.
        settings: what identifies the classifier where the run is written.
        versions: what must be installed.
        folder: in which paths of `spec` are looked up, where the worker has it.
    """

    spec: str
    smoothing: Smoothing
    settings: dict[str, Any]
    versions: dict[str, str]
    folder: str

    def on(self, device: str) -> WorkerSetup:
        """The same on another device."""
        return replace(self, smoothing=replace(self.smoothing, device=device))


class Share(Protocol):
    """A piece of work for one worker; `indices` are those of its inputs."""

    @property
    def indices(self) -> list[int]: ...

    @property
    def batch_size(self) -> int | None: ...

    def run(self, sampler: Sampler, progress: Progress) -> Any:
        """The result, worked out where the classifier is."""
        ...


@dataclass(frozen=True)
class Measured:
    """A good batch size, and how many evaluations a second it gives."""

    batch_size: int
    rate: float


@dataclass(frozen=True)
class Measure:
    """Find the batch size, unless it is given, and the rate."""

    x: NDArray[np.float32]
    index: int
    batch_size: int | None

    @property
    def indices(self) -> list[int]:
        return [self.index]

    def run(self, sampler: Sampler, progress: Progress) -> Measured:
        sampler.select(self.x, index=self.index, n0=1, seed=0)  # finds the batch size, warms up
        evaluations, begun = sampler.batch_size or 1, time.perf_counter()
        sampler.select(self.x, index=self.index, n0=evaluations, seed=0)
        return Measured(evaluations, evaluations / (time.perf_counter() - begun))


@dataclass(frozen=True)
class WholeInputs:
    """Sample some inputs, each from its selection to its tally."""

    inputs: NDArray[np.float32]
    indices: list[int]
    request: Request
    batch_size: int | None

    def run(self, sampler: Sampler, progress: Progress) -> list[Sampled | Failed]:
        try:
            return self._sampled(sampler, slice(None), progress)
        except ClassifierError:
            if len(self.indices) == 1:
                raise
        # They shared batches: which of them was it?
        return [
            found
            for i in range(len(self.indices))
            for found in self._sampled(sampler, slice(i, i + 1), progress)
        ]

    def _sampled(
        self, sampler: Sampler, which: slice, progress: Progress
    ) -> list[Sampled | Failed]:
        return list(
            sampler.sample(
                self.inputs[which],
                self.request,
                indices=self.indices[which],
                progress=progress,
            )
        )


@dataclass(frozen=True)
class Select:
    """The selection samples of one input."""

    x: NDArray[np.float32]
    index: int
    request: Request
    batch_size: int | None

    @property
    def indices(self) -> list[int]:
        return [self.index]

    def run(self, sampler: Sampler, progress: Progress) -> Selection:
        return sampler.select(
            self.x,
            index=self.index,
            n0=self.request.n0,
            seed=self.request.seed,
            progress=progress,
        )


@dataclass(frozen=True)
class FindAxis:
    """The axis that the scores of one input give, in its estimation."""

    x: NDArray[np.float32]
    estimation: Estimation
    request: Request
    batch_size: int | None

    @property
    def indices(self) -> list[int]:
        return [self.estimation.index]

    def run(self, sampler: Sampler, progress: Progress) -> Estimation:
        return sampler.with_axis(self.x, self.estimation, self.request)


@dataclass(frozen=True)
class CountPart:
    """Some of the estimation samples of one input."""

    x: NDArray[np.float32]
    part: Part
    request: Request
    batch_size: int | None

    @property
    def indices(self) -> list[int]:
        return [self.part.estimation.index]

    def run(self, sampler: Sampler, progress: Progress) -> Counts:
        return sampler.count(self.x, self.part, seed=self.request.seed, progress=progress)


@dataclass(frozen=True)
class Probed:
    """What the classifier answers, by which a run knows it again.

    Attributes:
        labels: int64 (inputs, copies), −1 where it was no vote.
        environment: in which it answered, as `sampling_environment` gives it.
    """

    labels: NDArray[np.int64]
    environment: dict[str, str | None]


@dataclass(frozen=True)
class Probe:
    """Noisy copies of some inputs, drawn for no certificate: which classes has the classifier?"""

    inputs: NDArray[np.float32]
    indices: list[int]
    copies: int
    seed: int

    @property
    def batch_size(self) -> int | None:
        return None  # always the same, whatever that of the run

    def run(self, sampler: Sampler, progress: Progress) -> Probed:
        # One input after another: where the classifier fails, it is known on which.
        labels = [
            sampler.answers(x[None], indices=[index], copies=self.copies, seed=self.seed)
            for x, index in zip(self.inputs, self.indices, strict=True)
        ]
        return Probed(np.concatenate(labels), sampling_environment(sampler.device))


@dataclass(frozen=True)
class Ready:
    """The worker has opened the classifier, and it is the right one."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot take part: what is wrong, in one line."""

    message: str


@dataclass(frozen=True)
class Executed:
    """A share is done.

    Attributes:
        result: of the share.
        evaluations: of the classifier, done or found unnecessary.
        seconds: that they took the worker.
    """

    result: Any
    evaluations: int
    seconds: float

    def __add__(self, other: Executed) -> Executed:
        """Both shares, where results can be added."""
        return Executed(
            self.result + other.result,
            self.evaluations + other.evaluations,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Raised:
    """The share raised an exception.

    Attributes:
        message: of the exception.
        by_classifier: whether the classifier raised it, or its output was no vote.
    """

    message: str
    by_classifier: bool


@dataclass(frozen=True)
class Lost:
    """The worker is gone, with all that it was asked: why, in a few words."""

    why: str


Answer = Ready | Refused | Executed | Raised | Lost

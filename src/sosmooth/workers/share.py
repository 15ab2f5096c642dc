"""What a worker is told once, what it is asked, and what it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sosmooth.sampling.counts import Counts
from sosmooth.sampling.engine import Progress
from sosmooth.sampling.environment import sampling_environment
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.sampling.sums import Part
from sosmooth.smoothed import Failed, Sampled, Selection, SmoothedClassifier


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker opens its classifier from: it is never sent.

    Attributes:
        spec: of the classifier, as `open_classifier` reads it. sigma: noise level, input units.
        num_classes: of the classifier. device: `cpu`, `cuda`, `cuda:1`, `mps`.
        settings: what identifies the classifier where the run is written. versions: what must be installed.
        folder: in which paths of `spec` are looked up, where the worker has it.
        lattice, execution, batch_timeout: as for `SmoothedClassifier`.
    """

    spec: str
    sigma: float
    num_classes: int
    device: str
    settings: dict[str, Any]
    versions: dict[str, str]
    folder: str
    lattice: float | None = None
    execution: Execution = AS_GIVEN
    batch_timeout: float | None = None


@dataclass(frozen=True)
class Sampling:
    """How inputs are sampled: the arguments of `SmoothedClassifier.sample`, and the batch size of every worker."""

    method: str
    n0: int
    n: int
    alpha: float
    seed: int
    radius: float | None = None
    tolerance: float | None = None
    batch_size: int | None = None


class Share(Protocol):
    """A piece of work for one worker; `indices` are those of its inputs."""

    @property
    def indices(self) -> list[int]: ...

    @property
    def batch_size(self) -> int | None: ...

    def run(self, smoothed: SmoothedClassifier, progress: Progress) -> Any:
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

    def run(self, smoothed: SmoothedClassifier, progress: Progress) -> Measured:
        smoothed.select(self.x, index=self.index, n0=1, seed=0)  # finds the batch size, warms up
        evaluations, begun = smoothed.batch_size or 1, time.perf_counter()
        smoothed.select(self.x, index=self.index, n0=evaluations, seed=0)
        return Measured(evaluations, evaluations / (time.perf_counter() - begun))


@dataclass(frozen=True)
class WholeInputs:
    """Sample some inputs, each from its selection to its tally."""

    inputs: NDArray[np.float32]
    indices: list[int]
    sampling: Sampling

    @property
    def batch_size(self) -> int | None:
        return self.sampling.batch_size

    def run(self, smoothed: SmoothedClassifier, progress: Progress) -> list[Sampled | Failed]:
        try:
            return self._sampled(smoothed, slice(None), progress)
        except ClassifierError:
            if len(self.indices) == 1:
                raise
        # They shared batches: which of them was it?
        return [
            found
            for i in range(len(self.indices))
            for found in self._sampled(smoothed, slice(i, i + 1), progress)
        ]

    def _sampled(
        self, smoothed: SmoothedClassifier, which: slice, progress: Progress
    ) -> list[Sampled | Failed]:
        of = self.sampling
        return list(
            smoothed.sample(
                self.inputs[which],
                method=of.method,
                n0=of.n0,
                n=of.n,
                alpha=of.alpha,
                seed=of.seed,
                indices=self.indices[which],
                radius=of.radius,
                tolerance=of.tolerance,
                progress=progress,
            )
        )


@dataclass(frozen=True)
class Select:
    """The selection samples of one input."""

    x: NDArray[np.float32]
    index: int
    sampling: Sampling

    @property
    def indices(self) -> list[int]:
        return [self.index]

    @property
    def batch_size(self) -> int | None:
        return self.sampling.batch_size

    def run(self, smoothed: SmoothedClassifier, progress: Progress) -> Selection:
        return smoothed.select(
            self.x,
            index=self.index,
            n0=self.sampling.n0,
            seed=self.sampling.seed,
            progress=progress,
        )


@dataclass(frozen=True)
class CountPart:
    """Some of the estimation samples of one input."""

    x: NDArray[np.float32]
    part: Part
    sampling: Sampling

    @property
    def indices(self) -> list[int]:
        return [self.part.estimation.index]

    @property
    def batch_size(self) -> int | None:
        return self.sampling.batch_size

    def run(self, smoothed: SmoothedClassifier, progress: Progress) -> Counts:
        return smoothed.count(self.x, self.part, seed=self.sampling.seed, progress=progress)


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

    def run(self, smoothed: SmoothedClassifier, progress: Progress) -> Probed:
        # One input after another: where the classifier fails, it is known on which.
        labels = [
            smoothed.answers(x[None], indices=[index], copies=self.copies, seed=self.seed)
            for x, index in zip(self.inputs, self.indices, strict=True)
        ]
        return Probed(np.concatenate(labels), sampling_environment(smoothed.device))


@dataclass(frozen=True)
class Ready:
    """The worker has opened the classifier, and it is the right one."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot take part: what is wrong, in one line."""

    message: str


@dataclass(frozen=True)
class Executed:
    """A share is done. `evaluations`: of the classifier, done or found to be needless; `seconds`: they took the worker."""

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
    """The share raised an exception. `by_classifier`: that is what raised it, or what it returned."""

    message: str
    by_classifier: bool


@dataclass(frozen=True)
class Lost:
    """The worker is gone, with all that it was asked: why, in a few words."""

    why: str


Answer = Ready | Refused | Executed | Raised | Lost

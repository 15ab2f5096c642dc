"""The sampling half of a smoothed classifier: noise, votes and tallies; it certifies nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sosmooth._numbers import whole_number
from sosmooth.confidence.axis_plan import axis_copies
from sosmooth.methods import method_named
from sosmooth.request import Request, Smoothing
from sosmooth.sampling.batch_size import find_batch_size
from sosmooth.sampling.counts import Counts, Estimation, no_axis, no_curvature, no_gradient
from sosmooth.sampling.engine import Engine, Progress
from sosmooth.sampling.evaluator import (
    BaseClassifier,
    ClassifierError,
    Evaluator,
    executed,
)
from sosmooth.sampling.inputs import checked_indices, checked_inputs, on_device, usable
from sosmooth.sampling.low_frequencies import image_shape
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.noise import Stage
from sosmooth.sampling.score_gradient import with_score_axis
from sosmooth.sampling.selection import Selection
from sosmooth.sampling.sums import Part
from sosmooth.stopping import StoppingRule, marked
from sosmooth.tally import NO_CLASS, Tally

#: Inputs whose selection samples share batches, at most, and their votes over all classes.
_GROUP, _GROUP_VOTES = 64, 2**20
#: Evaluations at once where the classifier is to be known again by its answers.
_ANSWERS_BATCH = 32


@dataclass(frozen=True)
class Sampled:
    """One input after sampling.

    Attributes:
        position: in the batch.
        index: of the input, with which its noise was drawn.
        selected: the class that led the selection samples.
        selection_margin: votes by which it led.
        tally: of the estimation samples, of length 1.
        seconds: that sampling took.
    """

    position: int
    index: int
    selected: int
    selection_margin: int
    tally: Tally
    seconds: float


@dataclass(frozen=True)
class Failed:
    """One input that could not be certified: for some of its noisy copies the output was no vote.

    Attributes:
        position: in the batch.
        index: of the input.
        reason: what the classifier returned for those copies.
        evaluations: how many copies there were.
    """

    position: int
    index: int
    reason: str
    evaluations: int

    @property
    def message(self) -> str:
        """One line on the input."""
        return (
            f"input {self.index}: the classifier returned {self.reason} for {self.evaluations}"
            " noisy copies; such an input cannot be certified, look at the classifier's range,"
            " precision or number of classes"
        )


class Sampler:
    """Draws noise around inputs, runs the base classifier on it, and counts.

    Args:
        base_classifier: as for `SmoothedClassifier`.
        smoothing: sigma, classes, device and noise.
        batch_size: evaluations in one call; None finds a good one at the first use.

    Raises:
        ValueError: the number of classes is not known, a number is outside its range, or the device
            is not available.
    """

    def __init__(
        self,
        base_classifier: BaseClassifier,
        smoothing: Smoothing,
        *,
        batch_size: int | None = None,
    ):
        self.base_classifier = base_classifier
        self.smoothing = smoothing
        self.num_classes = smoothing.classes
        self.batch_size = (
            None if batch_size is None else whole_number("batch_size", batch_size, least=1)
        )
        self.device = usable(smoothing.device)
        if isinstance(base_classifier, torch.nn.Module):
            base_classifier.to(self.device)
        self._executed = executed(base_classifier, smoothing.execution, self.device)
        self._examined = False

    def sample(
        self,
        inputs: ArrayLike | torch.Tensor,
        request: Request,
        *,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Sampled | Failed]:
        """Yields the tally of each input as it is done, to be stored or certified.

        An input for which the classifier returned NaN, infinite scores or a label out of range
        yields `Failed`, perhaps before inputs ahead of it; the others go on.

        Args:
            inputs: float array or tensor (batch, …), finite.
            request: what is asked for.
            indices: whole numbers (batch,), distinct; None: 0, 1, 2, …
            progress: called with the number of evaluations just done.
        """
        rule = request.rule(self.smoothing.sigma)
        batch, indices_ = self._checked(inputs, indices)
        request.check_dimension(batch[:1].numel())
        return self._in_eval_mode(self._sampled(batch, indices_, request, rule, progress))

    def votes(
        self,
        inputs: ArrayLike | torch.Tensor,
        *,
        n: int,
        seed: int,
        progress: Progress | None = None,
    ) -> NDArray[np.int64]:
        """Votes of each class on noise that is used for predictions alone.

        Args:
            inputs: float array or tensor (batch, …), finite.
            n: samples of each input.
            seed: of the noise.
            progress: called with the number of evaluations just done.

        Returns:
            int64 (batch, classes).

        Raises:
            ClassifierError: some evaluations were no vote.
        """
        batch, indices = self._checked(inputs, None)
        with EvaluationMode(self.base_classifier), torch.inference_mode():
            evaluator = self._evaluator(batch)
            engine = self._engine(evaluator, batch, seed, progress)
            votes = engine.count_classes(indices, Stage.PREDICTION, n)
            self.batch_size = evaluator.batch_size
        for index, invalid in zip(indices.tolist(), votes[:, -1].tolist(), strict=True):
            if invalid:
                raise ClassifierError(
                    Failed(index, index, evaluator.why_no_vote(), invalid).message
                )
        return votes[:, :-1]

    def select(
        self, x: ArrayLike, *, index: int, n0: int, seed: int, progress: Progress | None = None
    ) -> Selection:
        """The first step of `sample` for one input.

        Args:
            x: the input, float array (…).
            index: its index, which its noise follows from.
            n0: selection samples.
            seed: of the noise.
            progress: called with the number of evaluations just done.
        """
        with self._engine_of_one(x, seed, progress) as engine:
            columns = self._select(engine, np.array([index]), n0)
            selected, first, runner_up, second, invalid = (int(column[0]) for column in columns)
            found = Selection(selected, first, runner_up, second, invalid)
            return replace(found, why=engine.why_no_vote()) if found.invalid else found

    def with_axis(self, x: ArrayLike, estimation: Estimation, request: Request) -> Estimation:
        """The estimation with the axis that the scores give, where it wants one.

        Args:
            x: the input, float array (…).
            estimation: what is counted of it.
            request: what is asked for.

        Raises:
            ClassifierError: the classifier raised, or it has no gradients where they are asked for.
        """
        batch, _ = self._checked(np.asarray(x)[None], None)
        with EvaluationMode(self.base_classifier):
            return self._with_axis(on_device(batch, self.device)[0], estimation, request)

    def count(
        self, x: ArrayLike, part: Part, *, seed: int, progress: Progress | None = None
    ) -> Counts:
        """The second step for one input, or for a part of its noise vectors.

        Args:
            x: the input, float array (…).
            part: its index, its selected class, and which noise vectors are drawn.
            seed: of the noise.
            progress: called with the number of evaluations just done.
        """
        with self._engine_of_one(x, seed, progress) as engine:
            (counts,) = engine.count([part])
            return replace(counts, why=engine.why_no_vote()) if counts.invalid else counts

    def answers(
        self, inputs: ArrayLike | torch.Tensor, *, indices: Sequence[int], copies: int, seed: int
    ) -> NDArray[np.int64]:
        """The base classifier's class of noisy copies of inputs, by which it is known again.

        The noise is that of no certificate and no prediction. The batches are small and always the
        same, and the classifier is not compiled, so that rounding is the same each time.

        Args:
            inputs: float array or tensor (batch, …).
            indices: whole numbers (batch,), distinct.
            copies: of each input.
            seed: of the noise.

        Returns:
            int64 (batch, copies), in [−1, num_classes); −1: the output was no vote.

        Raises:
            ValueError: inputs or indices that cannot be used.
            ClassifierError: the classifier raised.
        """
        batch, indices_ = self._checked(inputs, indices)
        classifier = executed(
            self.base_classifier, replace(self.smoothing.execution, compile=False), self.device
        )
        with EvaluationMode(self.base_classifier), torch.inference_mode():
            # A smaller batch that was asked for may be all that the classifier takes.
            size = min(_ANSWERS_BATCH, self.batch_size or _ANSWERS_BATCH)
            evaluator = Evaluator(
                classifier, self.num_classes, size, batch_timeout=self.smoothing.batch_timeout
            )
            engine = self._engine(evaluator, batch, seed)
            return engine.classes(indices_, Stage.PROBE, copies)

    @contextmanager
    def _engine_of_one(
        self, x: ArrayLike, seed: int, progress: Progress | None
    ) -> Iterator[Engine]:
        batch, _ = self._checked(np.asarray(x)[None], None)
        with EvaluationMode(self.base_classifier), torch.inference_mode():
            # Parts of one certification: the first of them examines the classifier.
            evaluator = self._evaluator(batch, examine=not self._examined)
            yield self._engine(evaluator, batch, seed, progress)
            self.batch_size, self._examined = evaluator.batch_size, evaluator.examined

    def _in_eval_mode(self, found: Iterator[Sampled | Failed]) -> Iterator[Sampled | Failed]:
        """What an iterator yields; in between, torch and the classifier are as they were before."""
        mode = EvaluationMode(self.base_classifier)
        while True:
            with mode, torch.inference_mode():
                sampled = next(found, None)
            if sampled is None:
                return
            yield sampled

    def _sampled(
        self,
        batch: torch.Tensor,
        indices: NDArray[np.int64],
        request: Request,
        rule: StoppingRule | None,
        progress: Progress | None,
    ) -> Iterator[Sampled | Failed]:
        """Samples inputs, in eval mode throughout: see `_in_eval_mode`."""
        evaluator = self._evaluator(batch)
        size = max(1, min(_GROUP, _GROUP_VOTES // self.num_classes))
        for start in range(0, len(batch), size):
            group = slice(start, start + size)
            engine = self._engine(evaluator, batch[group], request.seed, progress)
            if rule is None:
                found = self._sample_group(engine, start, indices[group], request)
            else:
                found = self._sample_until_stopped(
                    engine, start, indices[group], request, rule, progress
                )
            for sampled in found:
                self.batch_size = evaluator.batch_size  # halved where memory ran out
                yield sampled

    def _sample_group(
        self,
        engine: Engine,
        offset: int,
        indices: NDArray[np.int64],
        request: Request,
    ) -> Iterator[Sampled | Failed]:
        """Selection of the whole group in shared batches, then each input's estimation."""
        begun = time.perf_counter()
        columns = self._select(engine, indices, request.n0)
        share = (time.perf_counter() - begun) / len(indices)
        parts, margins = [], []
        for position, (index, *votes) in enumerate(
            zip(*(column.tolist() for column in (indices, *columns)), strict=True)
        ):
            selection = Selection(*votes)
            if selection.invalid:  # already: estimating would be in vain
                why = engine.why_no_vote()
                yield Failed(offset + position, index, why, selection.invalid)
                continue
            estimation = request.estimation(
                index, selection, shape=engine.shape, num_classes=self.num_classes
            )
            estimation = self._with_axis(engine.input(position), estimation, request)
            parts.append(Part(position, estimation))
            margins.append(selection.margin)
        begun = time.perf_counter()
        for part, margin, counts in zip(parts, margins, engine.count(parts), strict=True):
            position, of = offset + part.position, part.estimation
            if counts.invalid:
                yield Failed(position, of.index, engine.why_no_vote(), counts.invalid)
                continue
            tally = counts.tally(of, self.smoothing.sigma)
            seconds = share + time.perf_counter() - begun
            yield Sampled(position, of.index, of.selected, margin, tally, seconds)
            begun = time.perf_counter()

    def _sample_until_stopped(
        self,
        engine: Engine,
        offset: int,
        indices: NDArray[np.int64],
        request: Request,
        rule: StoppingRule,
        progress: Progress | None,
    ) -> Iterator[Sampled | Failed]:
        """Selection and estimation of the whole group in shared batches, look by look."""
        begun = time.perf_counter()
        selected, first, runner_up, second, invalid = self._select(engine, indices, request.n0)
        method, going = method_named(request.method), invalid == 0
        image = image_shape(engine.shape)
        tallies: dict[int, Tally] = {}
        for tally, found_invalid in engine.tallies_by_look(
            indices, request.design, rule.looks(), selected, going
        ):
            tally = replace(tally, runner_up=runner_up)
            if method.pair_gradient:
                tally = replace(tally, **no_gradient(len(tally), image))
            if method.curvature:
                tally = replace(tally, **no_curvature(len(tally), engine.dimension, image))
            if method.axis:
                tally = replace(tally, **no_axis(len(tally)))
            invalid[going] = found_invalid[going]
            going &= invalid == 0
            last = tally.n[0] == rule.n
            for i in np.flatnonzero(going)[rule.stopped(tally[going]) | last]:
                going[i] = False
                tallies[int(i)] = marked(rule, tally[i : i + 1].trimmed())
                if progress is not None and not last:
                    progress(rule.n - int(tally.n[0]))
        # Inputs that share batches share the time.
        rate = (time.perf_counter() - begun) / (
            len(indices) * request.n0 + sum(int(tally.n[0]) for tally in tallies.values())
        )
        for i, index in enumerate(indices.tolist()):
            if i not in tallies:
                yield Failed(offset + i, index, engine.why_no_vote(), int(invalid[i]))
                continue
            seconds = rate * (request.n0 + int(tallies[i].n[0]))
            yield Sampled(
                offset + i, index, int(selected[i]), int(first[i] - second[i]), tallies[i], seconds
            )

    def _with_axis(self, x: torch.Tensor, of: Estimation, request: Request) -> Estimation:
        if not of.draws_axis or request.direction == "samples":
            return of
        # Not compiled: that would be for these few evaluations alone.
        execution = replace(self.smoothing.execution, compile=False)
        return with_score_axis(
            of,
            executed(self.base_classifier, execution, self.device),
            x,
            sigma=self.smoothing.sigma,
            copies=axis_copies(of.n),
            seed=request.seed,
            batch_timeout=self.smoothing.batch_timeout,
            required=request.direction == "gradient",
        )

    def _select(
        self, engine: Engine, indices: NDArray[np.int64], n0: int
    ) -> tuple[NDArray[np.int64], ...]:
        """The columns of `Selection`, each (batch,)."""
        votes = engine.count_classes(indices, Stage.SELECTION, n0)
        votes, invalid, rows = votes[:, :-1], votes[:, -1].copy(), np.arange(len(votes))
        selected = votes.argmax(1)
        first = votes[rows, selected]
        votes[rows, selected] = -1
        runner_up = votes.argmax(1)
        second = votes[rows, runner_up]
        return selected, first, np.where(second > 0, runner_up, NO_CLASS), second, invalid

    def _engine(
        self, evaluator: Evaluator, batch: torch.Tensor, seed: int, progress: Progress | None = None
    ) -> Engine:
        moved = on_device(batch, self.device)
        return Engine(
            evaluator,
            moved,
            sigma=self.smoothing.sigma,
            seed=seed,
            lattice=self.smoothing.lattice,
            progress=progress,
        )

    def _evaluator(self, batch: torch.Tensor, *, examine: bool = True) -> Evaluator:
        if self.batch_size is None:
            like = on_device(batch[:1], self.device)[0]
            # Not compiled: each size that is tried would be compiled again.
            tried = executed(
                self.base_classifier, replace(self.smoothing.execution, compile=False), self.device
            )
            self.batch_size = find_batch_size(
                tried, self.num_classes, like, batch_timeout=self.smoothing.batch_timeout
            )
        return Evaluator(
            self._executed,
            self.num_classes,
            self.batch_size,
            one_shape=self.smoothing.execution.compile,
            batch_timeout=self.smoothing.batch_timeout,
            examine=examine,
        )

    def _checked(
        self, inputs: ArrayLike | torch.Tensor, indices: Sequence[int] | NDArray[np.int64] | None
    ) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """Inputs as a float tensor (batch, …), left where they are, and their indices."""
        smoothing = self.smoothing
        channels_last = smoothing.execution.channels_last
        batch = checked_inputs(inputs, channels_last=channels_last, lattice=smoothing.lattice)
        return batch, checked_indices(indices, len(batch))

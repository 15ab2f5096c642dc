"""The smoothed classifier: what a user holds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import whole_number
from sosmooth.confidence.joint_pairs import planned_gradient
from sosmooth.confidence.other_classes import selected_class_alpha
from sosmooth.measures import ABSTAINED
from sosmooth.methods import DEFAULT_METHOD, Method, certify_tally, check_classes, method_named
from sosmooth.results import Certificates
from sosmooth.sampling.batch_size import find_batch_size
from sosmooth.sampling.counts import Counts, Estimation, no_gradient
from sosmooth.sampling.engine import Engine, Progress
from sosmooth.sampling.evaluator import (
    BaseClassifier,
    ClassifierError,
    Evaluator,
    executed,
)
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.sampling.lattice import check_on_lattice, steps_per_sigma
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.noise import Stage, checked_seed
from sosmooth.sampling.sums import Part
from sosmooth.sampling.time_limit import check_timeout
from sosmooth.stopping import StoppingRule, marked, stopping_rule
from sosmooth.tally import Design, Tally, concatenate

#: Inputs whose selection samples share batches, at most.
_GROUP = 64
#: Evaluations at once where the classifier is to be known again by its answers.
_ANSWERS_BATCH = 32


@dataclass(frozen=True)
class Sampled:
    """One input after sampling. `tally` has length 1; `selection_margin` is the votes by which `selected` led."""

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
        reason: what the classifier returned for them. evaluations: how many they were.
    """

    position: int
    index: int
    reason: str
    evaluations: int

    @property
    def message(self) -> str:
        """One line on the input."""
        return (
            f"input {self.index}: the classifier returned {self.reason} for {self.evaluations} noisy"
            " copies; such an input cannot be certified, look at the classifier's range, precision"
            " or number of classes"
        )


@dataclass(frozen=True)
class Selection:
    """The selection samples of one input: the leading class, its votes, the runner-up's, and evaluations that were no vote.

    `why`: what those were, in words.
    """

    selected: int
    first: int
    second: int
    invalid: int
    why: str = ""

    @property
    def margin(self) -> int:
        """Votes by which the class led."""
        return self.first - self.second


class SmoothedClassifier:
    """The classifier `x ↦ argmax_c P(f(x + ε) = c)`, `ε ~ N(0, σ² I)`, of a base classifier f.

    Args:
        base_classifier: takes a float tensor (batch, …) on `device`, returns floating scores (batch,
            classes), of which the first maximum wins, or integer labels (batch,); axes of length 1
            at the end are dropped. A torch module is put in eval mode for each call. It runs in the
            precision it is given in: that *is* the base classifier.
        sigma: noise level, in units of the inputs (normalise inside the classifier), positive.
        num_classes: number of classes, at least 2.
        batch_size: evaluations in one call of the base classifier; None finds a good one at the first use.
        device: where the noise is drawn and the classifier runs; None: where the module's parameters are, else the CPU.
        lattice: None: float noise. Δ = 1/N, as 1/255 for 8-bit images: exact noise. All inputs must then be multiples of Δ, and
            what is smoothed is f∘Q, f after rounding to such multiples: no rounding of floats enters the guarantee
            (docs/theory/exact.md).
        execution: another precision, memory layout or compilation of the classifier: then *that* is the base classifier.
        batch_timeout: seconds that one call of the base classifier may take, positive; then `ClassifierError` is raised, and
            where the call does not come back to Python, the process ends. In the main thread only. None: any number.
    Raises:
        ValueError: sigma, num_classes, batch_size, batch_timeout or lattice outside its range.
    Source:
        Cohen, Rosenfeld, Kolter 2019, "Certified Adversarial Robustness via Randomized Smoothing".
    """

    def __init__(
        self,
        base_classifier: BaseClassifier,
        *,
        sigma: float,
        num_classes: int,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        lattice: float | None = None,
        execution: Execution = AS_GIVEN,
        batch_timeout: float | None = None,
    ):
        if not callable(base_classifier):
            raise ValueError(
                f"base_classifier must be callable on a batch of inputs; got {type(base_classifier).__name__}"
            )
        if not (np.isfinite(sigma) and sigma > 0):
            raise ValueError(
                f"sigma must be a positive number, in units of the inputs; got {sigma!r}"
            )
        if lattice is not None:
            steps_per_sigma(float(sigma), lattice)
        self.lattice = lattice
        check_timeout(batch_timeout)
        self.base_classifier = base_classifier
        self.batch_timeout = batch_timeout
        self.sigma = float(sigma)
        self.num_classes = whole_number("num_classes", num_classes, least=2)
        self.batch_size = (
            None if batch_size is None else whole_number("batch_size", batch_size, least=1)
        )
        if device is None:
            parameters = (
                base_classifier.parameters()
                if isinstance(base_classifier, torch.nn.Module)
                else iter(())
            )
            device = next((parameter.device for parameter in parameters), "cpu")
        self.device = _usable(device)
        if isinstance(base_classifier, torch.nn.Module):
            base_classifier.to(self.device)
        self.execution = execution
        self._executed = executed(base_classifier, execution, self.device)
        self._examined = False

    def __repr__(self) -> str:
        lattice = "" if self.lattice is None else f", lattice={self.lattice:g}"
        return (
            f"<SmoothedClassifier of {type(self.base_classifier).__name__}: sigma={self.sigma:g},"
            f" num_classes={self.num_classes}, batch_size={self.batch_size}, device={str(self.device)!r}{lattice}>"
        )

    def certify(
        self,
        inputs: ArrayLike | torch.Tensor,
        *,
        method: str = DEFAULT_METHOD,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        seed: int = 0,
        indices: Sequence[int] | None = None,
        classes: str = "top",
        radius: float | None = None,
        tolerance: float | None = None,
        progress: Progress | bool | None = None,
    ) -> Certificates:
        """Certify each input: its class, and an l2 radius within which no perturbation changes it.

        Args:
            inputs: float array or tensor (batch, …), finite; sigma is in its units.
            method: a key of `METHODS`.
            n0: selection samples, at least 1. n: estimation samples, in evaluations (a pair is two; even for pairs).
            alpha: failure probability of each input's certificate, in (0, 1).
            seed: of the noise, in [0, 2^64).
            indices: whole numbers (batch,), distinct: the noise of an input follows from (seed, index); None: 0, 1, 2, …
            classes: "top": the class must keep half of the probability. "all": or else more than each other class, all of which
                are bounded from the same samples; it can certify below one half, and costs a tenth of alpha.
            radius: draw until it is decided whether this radius can be certified, at most n samples; in (0, 6 sigma]. The radius
                of a certificate is then this one or 0, with the reason `not_certifiable_at_radius` (by this method, without the
                gradient; of the classifier it says nothing) or `undecided`.
            tolerance: draw until more samples, up to n, could not raise the radius by more than this; without the gradient.
            progress: called with the number of evaluations just done, or found to be needless; True: shows a bar with the time
                left, in notebooks too.
        Returns:
            A sequence of one certificate an input, whose attributes are arrays: `prediction` (−1 = abstained), `radius`
            (input units, rounded down, 0.0 where abstained), `abstain_reason`, the tally, the bounds.
        Raises:
            ValueError: an argument outside its range, or inputs that are not finite.
            ClassifierError: the classifier raised, or returned what is no vote.
        Guarantee:
            For each input, with probability at least 1 − alpha over the noise: the smoothed classifier's class is
            `prediction` everywhere within `radius`. Simultaneous over all classes of an input, not over inputs.
        """
        n0, n, seed = checked_settings(method=method, n0=n0, n=n, alpha=alpha, seed=seed)
        check_classes(classes)
        rule = stopping_rule(
            radius, tolerance, method=method, n=n, sigma=self.sigma, alpha=alpha, classes=classes
        )
        batch, indices_ = self._checked_inputs(inputs, indices)
        samples = []
        num_classes = None if classes == "top" else self.num_classes
        with _shown(
            progress, len(batch) * (n0 + n), f"certifying {len(batch)} inputs, {method}"
        ) as advance:
            found = self._sampled(
                batch,
                indices_,
                method_named(method),
                n0,
                n,
                alpha,
                seed,
                advance,
                rule,
                num_classes,
            )
            for sampled in self._in_eval_mode(found):
                if isinstance(sampled, Failed):
                    raise ClassifierError(sampled.message)
                samples.append(sampled)
        tally = concatenate([sampled.tally for sampled in samples])
        inputs_found = {
            "selected": np.array([sampled.selected for sampled in samples]),
            "selection_margin": np.array([sampled.selection_margin for sampled in samples]),
            "index": indices_,
            "n0": n0,
            "seed": seed,
        }
        if rule is not None:
            return rule.certify(tally, **inputs_found)
        return certify_tally(
            method, tally, **inputs_found, sigma=self.sigma, alpha=alpha, classes=classes
        )

    def sample(
        self,
        inputs: ArrayLike | torch.Tensor,
        *,
        method: str,
        n0: int,
        n: int,
        alpha: float,
        seed: int,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        radius: float | None = None,
        tolerance: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Sampled | Failed]:
        """The sampling half of `certify`: yields each input's tally as it is done, to be stored or certified.

        An input for which the classifier returned NaN, infinite scores or a label out of range yields `Failed`, perhaps before
        those ahead of it; the others go on. Arguments and exceptions as for `certify`.
        """
        n0, n, seed = checked_settings(method=method, n0=n0, n=n, alpha=alpha, seed=seed)
        rule = stopping_rule(radius, tolerance, method=method, n=n, sigma=self.sigma, alpha=alpha)
        batch, indices_ = self._checked_inputs(inputs, indices)
        found = self._sampled(
            batch, indices_, method_named(method), n0, n, alpha, seed, progress, rule
        )
        return self._in_eval_mode(found)

    def select(
        self, x: ArrayLike, *, index: int, n0: int, seed: int, progress: Progress | None = None
    ) -> Selection:
        """The first step of `sample` for one input, float array (…)."""
        with self._engine_of_one(x, seed, progress) as engine:
            columns = self._select(engine, np.array([index]), n0)
            selected, first, second, invalid = (int(column[0]) for column in columns)
            found = Selection(selected, first, second, invalid)
            return replace(found, why=engine.why_no_vote()) if found.invalid else found

    def count(
        self, x: ArrayLike, part: Part, *, seed: int, progress: Progress | None = None
    ) -> Counts:
        """The second step for one input, float array (…), position 0, or for a part of its noise vectors."""
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
            inputs: float array or tensor (batch, …). indices: whole numbers (batch,), distinct.
            copies: of each input. seed: of the noise.
        Returns:
            int64 (batch, copies), in [−1, num_classes); −1: the output was no vote.
        Raises:
            ValueError, ClassifierError: as for `certify`.
        """
        batch, indices_ = self._checked_inputs(inputs, indices)
        classifier = executed(
            self.base_classifier, replace(self.execution, compile=False), self.device
        )
        with EvaluationMode(self.base_classifier), torch.inference_mode():
            # A smaller batch that was asked for may be all that the classifier takes.
            size = min(_ANSWERS_BATCH, self.batch_size or _ANSWERS_BATCH)
            evaluator = Evaluator(
                classifier, self.num_classes, size, batch_timeout=self.batch_timeout
            )
            engine = self._engine(evaluator, batch, seed)
            return engine.classes(indices_, Stage.PROBE, copies)

    @contextmanager
    def _engine_of_one(
        self, x: ArrayLike, seed: int, progress: Progress | None
    ) -> Iterator[Engine]:
        batch, _ = self._checked_inputs(np.asarray(x)[None], None)
        with EvaluationMode(self.base_classifier), torch.inference_mode():
            # Parts of one certification: the first of them examines the classifier.
            evaluator = self._evaluator(batch, examine=not self._examined)
            yield self._engine(evaluator, batch, seed, progress)
            self.batch_size, self._examined = evaluator.batch_size, evaluator.examined

    def _in_eval_mode(self, found: Iterator[Sampled | Failed]) -> Iterator[Sampled | Failed]:
        """What an iterator yields; between two of them neither torch nor the classifier is left changed."""
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
        method: Method,
        n0: int,
        n: int,
        alpha: float,
        seed: int,
        progress: Progress | None,
        rule: StoppingRule | None,
        num_classes: int | None = None,
    ) -> Iterator[Sampled | Failed]:
        """Samples inputs, in eval mode throughout: see `_in_eval_mode`."""
        evaluator = self._evaluator(batch)
        for start in range(0, len(batch), _GROUP):
            group = slice(start, start + _GROUP)
            engine = self._engine(evaluator, batch[group], seed, progress)
            if rule is not None:
                found = self._sample_until_stopped(
                    engine, start, indices[group], method, n0, rule, progress
                )
            else:
                found = self._sample_group(
                    engine, start, indices[group], method, n0, n, alpha, num_classes
                )
            for sampled in found:
                self.batch_size = evaluator.batch_size  # halved where memory ran out
                yield sampled

    def predict(
        self, inputs: ArrayLike | torch.Tensor, *, n: int, alpha: float = 0.001, seed: int = 0
    ) -> NDArray[np.int64]:
        """The smoothed classifier's class of each input, or −1 where `n` samples do not settle it.

        Args:
            inputs: float array or tensor (batch, …). n: samples an input, at least 1. alpha: failure probability, in (0, 1).
            seed: of the noise; its samples are never those of `certify`.
        Returns:
            int64 (batch,); −1 = abstained.
        Raises:
            ValueError, ClassifierError: as for `certify`.
        Guarantee:
            For each input, the probability of returning another class than the smoothed classifier's is at most alpha.
        Source:
            Hung, Fithian 2019, "Rank verification for exponential families", as used by Cohen et al. 2019.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be a failure probability in (0, 1); got {alpha!r}")
        n, seed = whole_number("n", n, least=1), checked_seed(seed)
        batch, indices = self._checked_inputs(inputs, None)
        with EvaluationMode(self.base_classifier), torch.inference_mode():
            evaluator = self._evaluator(batch)
            engine = self._engine(evaluator, batch, seed)
            votes = engine.count_classes(indices, Stage.PREDICTION, n, self.num_classes)
            self.batch_size = evaluator.batch_size
        for index, invalid in zip(indices, votes[:, -1], strict=True):
            if invalid:
                failed = Failed(int(index), int(index), evaluator.why_no_vote(), int(invalid))
                raise ClassifierError(failed.message)
        second, first = np.sort(votes[:, :-1], axis=1)[:, -2:].T
        # Two-sided test that the top two are equally likely: twice P(Binomial(first + second, 1/2) ≥ first).
        settled = (first > second) & (
            2 * special.betainc(np.maximum(first, 1), second + 1, 0.5) <= alpha
        )
        return np.where(settled, votes[:, :-1].argmax(1), ABSTAINED)

    def _sample_group(
        self,
        engine: Engine,
        offset: int,
        indices: NDArray[np.int64],
        method: Method,
        n0: int,
        n: int,
        alpha: float,
        num_classes: int | None,
    ) -> Iterator[Sampled | Failed]:
        """Selection of the whole group in shared batches, then each input's estimation, of all classes where they are given."""
        begun = time.perf_counter()
        columns = self._select(engine, indices, n0)
        share = (time.perf_counter() - begun) / len(indices)
        parts, margins = [], []
        for position, (index, *votes) in enumerate(
            zip(*(column.tolist() for column in (indices, *columns)), strict=True)
        ):
            selected, first, second, invalid = votes
            selection = Selection(selected, first, second, invalid)
            if selection.invalid:  # already: estimating would be in vain
                why = engine.why_no_vote()
                yield Failed(offset + position, index, why, selection.invalid)
                continue
            estimation = planned_estimation(
                method,
                index,
                selection,
                n0=n0,
                n=n,
                alpha=alpha,
                dimension=engine.dimension,
                num_classes=num_classes,
            )
            parts.append(Part(position, estimation))
            margins.append(selection.margin)
        begun = time.perf_counter()
        for part, margin, counts in zip(parts, margins, engine.count(parts), strict=True):
            position, of = offset + part.position, part.estimation
            if counts.invalid:
                yield Failed(position, of.index, engine.why_no_vote(), counts.invalid)
                continue
            ended = time.perf_counter()
            yield Sampled(
                position,
                of.index,
                of.selected,
                margin,
                counts.tally(of, self.sigma),
                share + ended - begun,
            )
            begun = time.perf_counter()

    def _sample_until_stopped(
        self,
        engine: Engine,
        offset: int,
        indices: NDArray[np.int64],
        method: Method,
        n0: int,
        rule: StoppingRule,
        progress: Progress | None,
    ) -> Iterator[Sampled | Failed]:
        """Selection and estimation of the whole group in shared batches, look by look."""
        begun = time.perf_counter()
        selected, first, second, invalid = self._select(engine, indices, n0)
        going = invalid == 0
        tallies: dict[int, Tally] = {}
        for tally, found_invalid in engine.tallies_by_look(
            indices, method.design, rule.looks(), selected, going
        ):
            if method.pair_gradient:
                tally = replace(tally, **no_gradient(len(tally)))
            invalid[going] = found_invalid[going]
            going &= invalid == 0
            last = tally.n[0] == rule.n
            for i in np.flatnonzero(going)[rule.stopped(tally[going]) | last]:
                going[i] = False
                tallies[int(i)] = marked(rule, tally[i : i + 1])
                if progress is not None and not last:
                    progress(rule.n - int(tally.n[0]))
        # Inputs that share batches share the time.
        rate = (time.perf_counter() - begun) / (
            len(indices) * n0 + sum(int(tally.n[0]) for tally in tallies.values())
        )
        for i, index in enumerate(indices.tolist()):
            if i not in tallies:
                yield Failed(offset + i, index, engine.why_no_vote(), int(invalid[i]))
                continue
            seconds = rate * (n0 + int(tallies[i].n[0]))
            yield Sampled(
                offset + i, index, int(selected[i]), int(first[i] - second[i]), tallies[i], seconds
            )

    def _select(
        self, engine: Engine, indices: NDArray[np.int64], n0: int
    ) -> tuple[NDArray[np.int64], ...]:
        """Of each input: the class that leads the selection samples, its votes, the runner-up's, and those that are no vote."""
        votes = engine.count_classes(indices, Stage.SELECTION, n0, self.num_classes)
        second, first = np.sort(votes[:, :-1], axis=1)[:, -2:].T
        return votes[:, :-1].argmax(1), first, second, votes[:, -1].copy()

    def _engine(
        self, evaluator: Evaluator, batch: torch.Tensor, seed: int, progress: Progress | None = None
    ) -> Engine:
        moved = _on_device(batch, self.device)
        return Engine(
            evaluator, moved, sigma=self.sigma, seed=seed, lattice=self.lattice, progress=progress
        )

    def _evaluator(self, batch: torch.Tensor, *, examine: bool = True) -> Evaluator:
        if self.batch_size is None:
            like = _on_device(batch[:1], self.device)[0]
            # Uncompiled: each of the sizes that are tried would be compiled for its own.
            tried = executed(
                self.base_classifier, replace(self.execution, compile=False), self.device
            )
            self.batch_size = find_batch_size(
                tried, self.num_classes, like, batch_timeout=self.batch_timeout
            )
        return Evaluator(
            self._executed,
            self.num_classes,
            self.batch_size,
            one_shape=self.execution.compile,
            batch_timeout=self.batch_timeout,
            examine=examine,
        )

    def _checked_inputs(
        self, inputs: ArrayLike | torch.Tensor, indices: Sequence[int] | NDArray[np.int64] | None
    ) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """Inputs as a float tensor (batch, …), left where they are, and their indices."""
        batch: torch.Tensor = (
            inputs if isinstance(inputs, torch.Tensor) else torch.as_tensor(np.asarray(inputs))
        )
        if not batch.is_floating_point():
            raise ValueError(
                f"inputs must be floating point; got {batch.dtype}: divide 8-bit images by 255, and give sigma in that unit"
            )
        if batch.ndim < 2 or batch.numel() == 0:
            raise ValueError(
                f"inputs must be a batch, first axis the inputs: (batch, …), none of them empty; got {tuple(batch.shape)}"
            )
        if self.execution.channels_last and batch.ndim != 4:
            raise ValueError(
                f"channels_last is for images (batch, channels, height, width); got inputs {tuple(batch.shape)}: leave it out"
            )
        finite = torch.isfinite(batch.flatten(1)).all(1)
        if not bool(finite.all()):
            raise ValueError(
                f"inputs must be finite; input {int((~finite).nonzero()[0])} of the batch holds NaN or infinity"
            )
        if self.lattice is not None:
            check_on_lattice(batch, self.lattice)
        if indices is None:
            return batch, np.arange(len(batch))
        return batch, _checked_indices(indices, len(batch))


def _checked_indices(indices: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.int64]:
    try:
        array = [
            whole_number("an index", index, least=0, below=2**63)
            for index in np.asarray(indices).tolist()
        ]
    except (TypeError, ValueError) as error:
        wrong = f" ({error})"
    else:
        if len(array) == count == len(set(array)):
            return np.array(array, dtype=np.int64)
        wrong = ""
    raise ValueError(
        f"indices must be {count} distinct whole numbers of at least 0, below 2^63, one an input;"
        f" got {' '.join(repr(indices).split())[:80]}{wrong}"
    )


def planned_estimation(
    method: Method,
    index: int,
    selection: Selection,
    *,
    n0: int,
    n: int,
    alpha: float,
    dimension: int,
    num_classes: int | None = None,
) -> Estimation:
    """What `method` counts of an input after its selection; of all classes where their number is given."""
    gradient = None
    if method.pair_gradient:
        top_alpha = alpha if num_classes is None else selected_class_alpha(alpha)
        gradient = planned_gradient(n0 - selection.first, n0, n, dimension, top_alpha)
    return Estimation(
        index,
        method.design,
        n,
        selection.selected,
        dimension,
        direction_share=gradient and gradient.direction_share,
        gradient_share=gradient.alpha_share if gradient else 0.0,
        num_classes=num_classes,
    )


def _shown(
    progress: Progress | bool | None, evaluations: int, what: str
) -> AbstractContextManager[Progress | None]:
    """The function to be called with the evaluations just done; where a bar is asked for, the bar's."""
    if progress is True:
        from sosmooth._progress import progress as shown_on_a_bar

        return shown_on_a_bar(evaluations, what)
    return nullcontext(progress or None)


def _usable(device: str | torch.device) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device {str(device)!r} is not available: {str(error).splitlines()[0]}"
        ) from error


def _on_device(inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Inputs in at least float32: the precision in which noise is added, whatever the classifier's own."""
    wide = (
        torch.promote_types(inputs.dtype, torch.float32) if device.type != "mps" else torch.float32
    )
    return inputs.to(device=device, dtype=wide)


def checked_settings(
    *, method: str, n0: float, n: float, alpha: float, seed: float
) -> tuple[int, int, int]:
    """Refuse what `certify` cannot be asked for; n0, n and the seed as ints.

    Raises:
        ValueError: unknown method; a number outside its range; an odd n for pairs.
    """
    design = method_named(method).design
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be a failure probability in (0, 1); got {alpha!r}")
    n0, n = whole_number("n0", n0, least=1), whole_number("n", n, least=1)
    if design is not Design.INDEPENDENT and n % 2:
        raise ValueError(
            f"n must be even for {method}: it counts evaluations, and a pair is two; got {n}"
        )
    return n0, n, checked_seed(seed)
